"""One arm of the comparison: `--config benchmarks/semantic_prior/experiment.py:ARM`.

An arm is BACKBONE_REGULARISER: the three backbones of paper B (arXiv:2511.19641), each under total
variation and under the semantic prior, at sizes for two CPU cores. Everything else is equal within
a pair: data, masks, initial weights, steps, learning rates, the last least-squares step.
"""

from ml_collections import ConfigDict

from jaxrecon.scan_config import inr_config, unet_config, unrolled_config

BACKBONES = {"unet": unet_config, "unrolled": unrolled_config, "inr": inr_config}
ARMS = tuple(f"{name}_{prior}" for name in BACKBONES for prior in ("tv", "semantic"))

# Of total variation: the best of two or three on a validation slice; of the prior: the authors'.
TV_WEIGHTS = {"unet": 0.3, "unrolled": 1.0, "inr": 3.0}
SEMANTIC_WEIGHTS = {"unet": 0.1, "unrolled": 1.0, "inr": 5.0}


def get_config(arm: str) -> ConfigDict:
    """The arm's configuration; its folders are relative to the sweep's `--workdir`."""
    name, regulariser = arm.split("_")
    config = BACKBONES[name]()
    config.name = arm
    config.regulariser = regulariser
    config.weights.tv = TV_WEIGHTS[name]
    config.weights.semantic = SEMANTIC_WEIGHTS[name]
    config.report_every = 25
    if name == "inr":
        config.backbone.features = 128
        config.backbone.adaptor_features = 64
        config.learning_rate = 5e-4
        config.tv_steps = 300
        config.steps = 150
        config.halve_every = 300
    else:
        config.backbone.features = (16, 32, 64, 128)
        config.backbone.warm_start = "weights/unet"
        config.backbone.warm_up.steps = 1000
        config.steps = 200
    if name == "unrolled":
        config.backbone.iterations = 10
        config.steps = 60
    _set_prior(config)
    return config


def _set_prior(config: ConfigDict) -> None:
    config.auxiliary.root = "data/cardiac/MultiCoil/Cine/TrainingSet"
    config.auxiliary.layout = "cmrxrecon"
    config.auxiliary.files = 0
    config.auxiliary.mask.accelerations = (4, 6)
    config.auxiliary.mask.acs = 12
    prior = config.prior
    prior.encoder.architecture = "dinov2_vit_s14"
    prior.encoder.weights = "weights/dinov2_small_derived"
    prior.embeddings = "priors/cardiac.h5"
    # 126 of the 128 pixels along each side, as they are: 9 x 9 patches.
    prior.image_size = 126
    # The released code's variant of the loss.
    prior.level_weights = (0.01, 0.5, 1.0)
    prior.components = (64, 128, 256)
    prior.reduction = "image"
