"""One arm of the comparison: `--config benchmarks/frozen_prior/experiment.py:ARM`.

`e2e_varnet` is the baseline; `pretrained` and `random_encoder` are paper A's network
(arXiv:2604.22557) with a ViT-S/14, its weights pretrained or drawn at random and frozen alike.
Everything else is equal: data, masks, order, cascades, sensitivity network, loss and optimiser.
"""

from ml_collections import ConfigDict

from jaxrecon.config import (
    add_test_folder,
    default_config,
    foundation_refinement_config,
    set_cardiac_images,
    set_small_varnet,
)

ARMS = ("e2e_varnet", "pretrained", "random_encoder")


def get_config(arm: str) -> ConfigDict:
    """The arm's configuration; its folders are relative to the sweep's `--workdir`."""
    config = default_config()
    config.name = arm
    set_cardiac_images(config)
    set_small_varnet(config)
    if arm != "e2e_varnet":
        weights = "weights/dinov2_small_derived" if arm == "pretrained" else "random"
        config.name = "cmr_dinov2_derived" if arm == "pretrained" else "cmr_vit_s14"
        config.model.refinement = foundation_refinement_config("dinov2_vit_s14", weights)
        config.model.refinement.widths = (192, 96, 64, 32)
        config.model.refinement.image_size = 168
    config.training.checkpoint_every = 50
    for anatomy in ("cardiac", "knee", "brain"):
        add_test_folder(config, f"{anatomy}_phantom", anatomy)
    return config
