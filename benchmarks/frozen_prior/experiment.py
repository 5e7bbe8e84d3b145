"""One arm of the comparison: `--config benchmarks/frozen_prior/experiment.py:ARM`.

`e2e_varnet` is the baseline; `pretrained` and `random_encoder` are paper A's network
(arXiv:2604.22557) with a ViT-S/14, its weights pretrained or drawn at random and frozen alike.
Everything else is equal: data, masks, order, cascades, sensitivity network, loss and optimiser.
"""

from ml_collections import ConfigDict

from jaxrecon.config import (
    default_config,
    foundation_refinement_config,
    set_small_varnet,
    test_set_config,
)

ARMS = ("e2e_varnet", "pretrained", "random_encoder")


def get_config(arm: str) -> ConfigDict:
    """The arm's configuration; its folders are relative to the sweep's `--workdir`."""
    config = default_config()
    config.name = arm
    config.data.train = "data/cardiac/MultiCoil/Cine/TrainingSet"
    config.data.validation = "data/cardiac/MultiCoil/Cine/ValidationSet"
    config.data.test = "data/cardiac/MultiCoil/Cine/TestSet"
    config.mask.acs = 12

    set_small_varnet(config)
    if arm != "e2e_varnet":
        weights = "weights/dinov2_small_derived" if arm == "pretrained" else "random"
        config.name = "cmr_dinov2_derived" if arm == "pretrained" else "cmr_vit_s14"
        config.model.refinement = foundation_refinement_config("dinov2_vit_s14", weights)
        config.model.refinement.widths = (192, 96, 64, 32)
        config.model.refinement.image_size = 168
    config.training.steps = 600
    config.training.validate_every = 100
    config.training.checkpoint_every = 50
    config.training.patience = 0
    config.optimizer.decay_epochs = ()

    for name, anatomy in (
        ("knee", "knee"),
        ("head", "head"),
        ("cardiac_phantom", "cardiac"),
        ("knee_phantom", "knee"),
        ("brain_phantom", "brain"),
    ):
        test_set = test_set_config()
        test_set.anatomy = anatomy
        test_set.root = f"data/{name}"
        test_set.mask = config.get_ref("mask")
        config.test_sets[name] = test_set
    return config
