"""Every field an experiment on one scan may set, with its unit, its meaning and paper B's value.

An experiment is a file with a function `get_config()` that starts from `scan_config()`; it serves
`python -m jaxrecon.embed`, which makes the prior, and `python -m jaxrecon.reconstruct --config`.

Paper B is Feng et al. 2025, arXiv:2511.19641. Where it is silent, or differs from the authors'
released code, the comment says whose value stands here.
"""

from ml_collections import ConfigDict

from jaxrecon.config import mask_config

REGULARISERS = ("semantic", "tv", "none")


def scan_config() -> ConfigDict:
    """Fields that all backbones share; `inr_config` and its like add a backbone's own."""
    config = ConfigDict()
    config.name = ""  # stands as "method" in results; the random encoder is added to it
    config.seed = 0  # of initial weights, of the split of k-space and of draws from the prior

    # What fills in the missing samples: "semantic", "tv", or "none". The one field in which an
    # experiment and its TV twin differ.
    config.regulariser = "semantic"
    config.weights = ConfigDict()
    config.weights.semantic = 1.0  # of the contrastive loss, beside the L1 data term of weight 1
    config.weights.tv = 1.0  # of the total variation

    config.steps = 1500  # of Adam, with the regulariser
    config.tv_steps = 0  # before these, with total variation whatever the regulariser
    config.report_every = 100  # steps in one compiled program; then a moment of the path is kept
    config.learning_rate = 1e-3
    config.halve_every = 1000  # steps after which the learning rate is halved; 0: never
    config.final_weight = (
        0.0  # of the network's image in a last least-squares step; 0: no such step
    )

    config.backbone = ConfigDict()
    config.backbone.name = ""  # module of jaxrecon.scan_specific
    config.prior = prior_config()
    # Auxiliary images, and how the negatives among them are undersampled, for `jaxrecon.embed`.
    config.auxiliary = auxiliary_config()
    config.lock()
    config.backbone.unlock()
    return config


def prior_config() -> ConfigDict:
    """The semantic prior: an encoder's embeddings of auxiliary images."""
    prior = ConfigDict()
    prior.name = "image"  # module of jaxrecon.priors: "image" or "language"
    prior.embeddings = ""  # file of `jaxrecon.embed`
    prior.encoder = ConfigDict()
    # A name in jaxrecon.encoders.spec.PUBLISHED, or "janus_pro_1b": for "image" its tower alone.
    prior.encoder.architecture = "siglip_vit_l16"
    prior.encoder.weights = ""  # folder of converted weights; "random": untrained, results say so
    prior.encoder.seed = 0  # of random weights
    prior.encoder.dtype = "float32"  # of the matrix products; "bfloat16" takes half the memory
    # For "image": hidden states; empty: 1, 13 and 24 of 24, or the same relative depths.
    prior.layers = ()
    # For "image": of their losses, low to high; the released code has 0.01 first.
    prior.level_weights = (0.005, 0.5, 1.0)
    # How an image becomes pixels: "peak" (paper B) or "percentiles" (paper A).
    prior.preprocessing = "peak"
    prior.image_size = 0  # pixels along each side that the encoder sees; 0: what it was trained on
    prior.statistics = "own"  # "own" of the encoder, or "imagenet"
    prior.components = ()  # principal components per level; the code: (64, 128, 256); empty: none
    prior.temperature = 0.07
    prior.negative_temperature = 0.0  # 0: as `temperature`; the code for language: 0.1 and 0.7
    prior.reduction = (
        "token"  # loss token by token; "image": cosine averaged over tokens (the code)
    )
    prior.memory = 4_000_000_000  # bytes for references on the device; more are drawn anew
    _add_language(prior)
    return prior


def _add_language(prior: ConfigDict) -> None:
    """Fields of the prior "language"."""
    prior.prompt = ""
    prior.tokenizer = ""  # folder; empty: the one in the folder of the weights
    prior.perturbations = 100  # of the prompt's embeddings, for each image
    prior.perturbation_std = 0.03  # the code has 0.02
    # Beginnings of words that tell answers apart, ("high", "low"); empty: their words do.
    prior.meanings = ()
    # Of a perturbation, until the answer means what that to the plain prompt does; 0: not checked.
    prior.draws = 4
    prior.answer_tokens = 8  # of an answer, at most


def auxiliary_config() -> ConfigDict:
    """Fully sampled scans whose images are the positives; undersampled, they are the negatives."""
    auxiliary = ConfigDict()
    auxiliary.root = ""  # folder of k-space files
    auxiliary.layout = "fastmri"  # module of jaxrecon.data
    auxiliary.contrasts = ()  # keep only these; empty: all
    auxiliary.contains = ""  # keep only files with this in their path
    auxiliary.files = 20  # at most, spread evenly; 0: all
    auxiliary.slices = 0  # at most per file, its middle ones; 0: all
    auxiliary.positive = "target"  # or "tv": total-variation reconstructions of the negatives
    auxiliary.mask = mask_config()
    auxiliary.mask.family = "gaussian"
    auxiliary.mask.accelerations = (4,)
    return auxiliary


def inr_config() -> ConfigDict:
    """Paper B's implicit neural representation, with the released code's steps and weights."""
    config = scan_config()
    config.weights.semantic = 5.0
    config.weights.tv = 3.0
    config.tv_steps = 1600
    config.steps = 1600
    config.learning_rate = 1e-4
    config.final_weight = 0.05
    config.backbone.name = "inr"
    config.backbone.layers = 8
    config.backbone.features = 256
    config.backbone.frequency = 15.0  # w0
    config.backbone.adaptor_features = 256
    # Largest part of a pixel that the adaptor can give, in peaks of the zero-filled image. The
    # released code has 1, but fully sampled images are up to twice as bright as zero-filled ones.
    config.backbone.range = 3.0
    config.backbone.adaptor_learning_rate = 1e-3
    config.backbone.lock()
    return config


def unet_config() -> ConfigDict:
    """Paper B's end-to-end U-Net, with the released code's steps and weights."""
    config = scan_config()
    config.weights.semantic = 0.1
    config.steps = 1500
    config.final_weight = 0.5
    _add_unet(config, "unet")
    config.backbone.lock()
    return config


def unrolled_config() -> ConfigDict:
    """Paper B's unrolled network, with the released code's steps and weights."""
    config = scan_config()
    config.weights.semantic = 1.0
    config.steps = 1500
    _add_unet(config, "unrolled")
    config.backbone.stages = 4  # the released code has 8 for language
    config.backbone.iterations = 20  # of conjugate gradients
    config.backbone.initial_weight = 0.01  # of the denoiser's image in each stage
    config.backbone.holdout = 0.4  # of the samples, for the loss; the rest for data consistency
    config.backbone.holdout_sigma = 0.5  # of their Gaussian density, half the width of k-space
    config.backbone.guided_stages = "last"  # whose U-Nets the prior looks at: "last" or "all"
    config.backbone.lock()
    return config


def language_config() -> ConfigDict:
    """Paper B's unrolled network led by language, with the released code's steps and weights."""
    config = unrolled_config()
    config.weights.semantic = 500.0
    config.steps = 200
    config.report_every = 10
    config.backbone.stages = 8
    config.backbone.guided_stages = "all"
    config.prior.name = "language"
    config.prior.encoder.architecture = "janus_pro_1b"
    config.prior.encoder.weights = "weights/janus"
    config.prior.encoder.dtype = "bfloat16"
    config.prior.perturbation_std = 0.02
    config.prior.temperature = 0.1
    config.prior.negative_temperature = 0.7
    config.prior.reduction = "image"
    config.auxiliary.files = 3
    return config


def _add_unet(config: ConfigDict, name: str) -> None:
    backbone = config.backbone
    backbone.name = name
    backbone.features = (64, 128, 256, 512, 1024)  # of the levels
    backbone.halves_before_upsampling = False  # the released code's variant
    backbone.dtype = "float32"
    # Weights of `jaxrecon.warm_start`, frozen but for LoRA; empty: random, and all of them trained.
    backbone.warm_start = ""
    backbone.lora_rank = 4
    backbone.lora_alpha = 1.0
    # Warm start on the auxiliary images.
    backbone.warm_up = ConfigDict()
    backbone.warm_up.steps = 5000
    backbone.warm_up.batch_size = 4  # slices
    backbone.warm_up.learning_rate = 1e-3
