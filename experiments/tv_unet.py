"""The total-variation twin of `semantic_unet.py`: the same network, steps and data term.

    python -m jaxrecon.reconstruct --config experiments/tv_unet.py --input file.h5 \
        --mask gaussian --acceleration 4 --workdir runs/knee_unet_tv --output knee_tv.png

It is `semantic_unet.py` with `--config.regulariser=tv`, under a name of its own. With
`--config.prior.embeddings=priors/knee.h5` and the prior's encoder, its path is followed through the
prior's space too.
"""

from ml_collections import ConfigDict

from jaxrecon.scan_config import unet_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = unet_config()
    config.name = "unet_tv"
    config.regulariser = "tv"
    return config
