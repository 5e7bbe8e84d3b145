"""CMR-BiomedCLIP on CMRxRecon 2023 (Hashmi et al. 2026, arXiv:2604.22557, table 1).

    python -m weight_conversion.biomedclip --output weights/biomedclip \
        --source microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224
    python -m jaxrecon.train --config experiments/cmr_biomedclip.py \
        --config.data.root=/data/CMRxRecon2023/MultiCoil --workdir runs/cmr_biomedclip_x4

E2E-VarNet's unrolled network and recipe with a frozen ViT-B encoder in each of the 12 cascades:
56,333,198 trainable parameters. One model per acceleration: `--config.mask.accelerations=8,` and
`=10,` train the other two. `--config.model.refinement.encoder.weights=random` runs without the
converted weights, and every result then says so. The paper reports at R = 4 / 8 / 10 on its test
cases SSIM 0.9557 / 0.9358 / 0.9240, PSNR 39.67 / 36.79 / 35.73 dB and NMSE 0.0252 /
0.0343 / 0.0401.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, foundation_refinement_config


def get_config() -> ConfigDict:
    """The experiment's configuration: all else is the baseline's, see e2e_varnet.py."""
    config = default_config()
    config.name = "cmr_biomedclip"
    config.data.root = "data/CMRxRecon2023/MultiCoil"
    config.data.contains = "TrainingSet"
    config.model.refinement = foundation_refinement_config(
        "biomedclip_vit_b16", "weights/biomedclip"
    )
    return config
