"""CMR-DINOv2 on CMRxRecon 2023 (Hashmi et al. 2026, arXiv:2604.22557, table 1).

    python -m weight_conversion.dinov2 --output weights/dinov2 \
        --source facebook/dinov2-base
    python -m jaxrecon.train --config experiments/cmr_dinov2.py \
        --config.data.root=/data/CMRxRecon2023/MultiCoil --workdir runs/cmr_dinov2_x4

E2E-VarNet's unrolled network and recipe with a frozen ViT-B encoder in each of the 12 cascades:
56,333,198 trainable parameters. One model per acceleration: `--config.mask.accelerations=8,` and
`=10,` train the other two. `--config.model.refinement.encoder.weights=random` runs without the
converted weights, and every result then says so. The paper reports at R = 4 / 8 / 10 on its test
cases SSIM 0.9548 / 0.9340 / 0.9223, PSNR 39.57 / 36.65 / 35.54 dB and NMSE 0.0249 /
0.0340 / 0.0419.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, foundation_refinement_config


def get_config() -> ConfigDict:
    """The experiment's configuration: all else is the baseline's, see e2e_varnet.py."""
    config = default_config()
    config.name = "cmr_dinov2"
    config.data.root = "data/CMRxRecon2023/MultiCoil"
    config.data.contains = "TrainingSet"
    config.model.refinement = foundation_refinement_config("dinov2_vit_b14", "weights/dinov2")
    return config
