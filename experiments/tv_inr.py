"""The total-variation twin of `semantic_inr.py`: the same network, steps and data term.

    python -m jaxrecon.reconstruct --config experiments/tv_inr.py --input file.h5 \
        --mask gaussian --acceleration 4 --workdir runs/knee_inr_tv --output knee_tv.png

It is `semantic_inr.py` with `--config.regulariser=tv`, under a name of its own. With
`--config.prior.embeddings=priors/knee.h5` and the prior's encoder, its path is followed through the
prior's space too.
"""

from ml_collections import ConfigDict

from jaxrecon.scan_config import inr_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = inr_config()
    config.name = "inr_tv"
    config.regulariser = "tv"
    return config
