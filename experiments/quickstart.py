"""A small E2E-VarNet on phantoms it makes itself: the first thing to try, on a laptop's CPU.

    python -m jaxrecon.train --config experiments/quickstart.py

Simulates cardiac phantoms in the CMRxRecon layout (analytic k-space, 6 coils, noise), trains a
VarNet of 4 cascades on them at acceleration 4 for 600 steps, and tests it on held-out hearts and,
out of distribution, on knee and brain phantoms in the fastMRI layout. About 5 minutes on 2 cores.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, test_set_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = default_config()
    config.name = "quickstart"

    phantom = {"height": 128, "width": 128, "coils": 6, "noise": 0.004}
    config.phantoms = ConfigDict(
        {
            "cardiac": {
                "layout": "cmrxrecon", "anatomy": "cardiac", "cases": 40, "frames": 3, **phantom
            },
            "knee": {
                "layout": "fastmri", "anatomy": "knee", "cases": 8, "oversampling": 2, **phantom
            },
            "brain": {
                "layout": "fastmri", "anatomy": "brain", "cases": 8, "oversampling": 2, **phantom
            },
        }
    )  # fmt: skip
    config.data.root = "phantom:cardiac"
    config.mask.acs = 12

    config.model.cascades = 4
    config.model.refinement.channels = 8
    config.model.refinement.pools = 3
    config.model.sensitivity.channels = 4
    config.model.sensitivity.pools = 3

    config.training.steps = 600
    config.training.validate_every = 200
    config.optimizer.decay_epochs = (6,)

    for anatomy in ("knee", "brain"):
        test_set = test_set_config()
        test_set.anatomy = anatomy
        test_set.root = f"phantom:{anatomy}"
        test_set.mask.family = "equispaced"
        test_set.mask.center_fractions = (0.08,)
        config.test_sets[anatomy] = test_set
    return config
