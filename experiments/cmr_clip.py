"""CMR-CLIP on CMRxRecon 2023 (Hashmi et al. 2026, arXiv:2604.22557, table 1).

    python -m weight_conversion.clip --output weights/clip \
        --source openai/clip-vit-base-patch16
    python -m jaxrecon.train --config experiments/cmr_clip.py \
        --config.data.root=/data/CMRxRecon2023/MultiCoil --workdir runs/cmr_clip_x4

E2E-VarNet's unrolled network and recipe with a frozen ViT-B encoder in each of the 12 cascades:
56,333,198 trainable parameters. One model per acceleration: `--config.mask.accelerations=8,` and
`=10,` train the other two. `--config.model.refinement.encoder.weights=random` runs without the
converted weights, and every result then says so. The paper reports at R = 4 / 8 / 10 on its test
cases SSIM 0.9585 / 0.9359 / 0.9215, PSNR 40.12 / 36.83 / 35.51 dB and NMSE 0.0226 /
0.0340 / 0.0418.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, foundation_refinement_config


def get_config() -> ConfigDict:
    """The experiment's configuration: all else is the baseline's, see e2e_varnet.py."""
    config = default_config()
    config.name = "cmr_clip"
    config.data.root = "data/CMRxRecon2023/MultiCoil"
    config.data.contains = "TrainingSet"
    config.model.refinement = foundation_refinement_config("clip_vit_b16", "weights/clip")
    return config
