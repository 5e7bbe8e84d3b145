"""The quickstart with a frozen vision transformer in every cascade, small enough for a CPU.

    python -m jaxrecon.train --config experiments/quickstart_cmr.py

Paper A's network (arXiv:2604.22557) with a ViT-S/14 instead of a ViT-B, 3 cascades instead of 12
and a narrower decoder, on the quickstart's phantoms; a step takes several times the quickstart's.
It runs with a random encoder, and its results say so. For a pretrained one, convert it and name it:

    python -m weight_conversion.dinov2 --source facebook/dinov2-small --output weights/dinov2_small
    python -m jaxrecon.train --config experiments/quickstart_cmr.py --workdir runs/pretrained \
        --config.model.refinement.encoder.weights=weights/dinov2_small
"""

from ml_collections import ConfigDict

from jaxrecon.config import (
    default_config,
    foundation_refinement_config,
    set_phantom_data,
    set_small_varnet,
)


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = default_config()
    config.name = "quickstart_cmr"
    set_phantom_data(config)
    set_small_varnet(config)
    config.model.cascades = 3
    config.model.refinement = foundation_refinement_config("dinov2_vit_s14", "random")
    config.model.refinement.widths = (192, 96, 64, 32)
    config.model.refinement.image_size = 112
    config.training.steps = 300
    config.training.validate_every = 100
    config.optimizer.decay_epochs = (3,)
    return config
