"""E2E-VarNet on CMRxRecon 2023: the baseline of paper A (Hashmi et al. 2026, arXiv:2604.22557).

    python -m jaxrecon.train --config experiments/e2e_varnet.py \
        --config.data.root=/data/CMRxRecon2023/MultiCoil --workdir runs/e2e_varnet_x4

The folder holds Cine/ and Mapping/, each with TrainingSet/FullSample, whose 120 cases are divided
70/10/20 by case. One model per acceleration: `--config.mask.accelerations=8,` and `=10,` train the
other two. The paper reports on its test cases SSIM 0.9676 / 0.9502 / 0.9417, PSNR 41.29 / 38.21 /
37.32 dB and NMSE 0.0154 / 0.0227 / 0.0262 at R = 4 / 8 / 10; its split by case is not published.

Out of distribution, on fastMRI (here the knee; the brain likewise):

    python -m jaxrecon.evaluate --run runs/e2e_varnet_x4 --data /data/fastmri/multicoil_val \
        --layout fastmri --mask equispaced --acceleration 4 --center_fraction 0.08

12 cascades, 29,936,966 parameters. Meant for a GPU: a step takes about 7 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config


def get_config() -> ConfigDict:
    """The experiment's configuration: the defaults are the paper's."""
    config = default_config()
    config.name = "e2e_varnet"
    config.data.root = "data/CMRxRecon2023/MultiCoil"
    config.data.contains = "TrainingSet"
    return config
