"""A small E2E-VarNet on phantoms it makes itself: the first thing to try, on a laptop's CPU.

    python -m jaxrecon.train --config experiments/quickstart.py

Simulates cardiac phantoms in the CMRxRecon layout (analytic k-space, 6 coils, noise), trains a
VarNet of 4 cascades on them at acceleration 4 for 600 steps, and tests it on held-out hearts and,
out of distribution, on knee and brain phantoms in the fastMRI layout. About 5 minutes on 2 cores.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, set_phantom_data, set_small_varnet


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = default_config()
    config.name = "quickstart"
    set_phantom_data(config)
    set_small_varnet(config)
    config.training.steps = 600
    config.training.validate_every = 200
    config.optimizer.decay_epochs = (6,)
    return config
