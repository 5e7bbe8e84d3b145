"""Every field an experiment may set, with its unit, its meaning and paper A's value.

An experiment is a file with a function `get_config()` that starts from `default_config()` and sets
what differs. Fields can be set on the command line too: `--config.model.cascades=4`. A field that
is not listed here is an error that names the closest one.

Paper A is Hashmi et al. 2026, arXiv:2604.22557.
"""

from ml_collections import ConfigDict


def default_config() -> ConfigDict:
    """Paper A's baseline: E2E-VarNet on CMRxRecon 2023 at acceleration 4."""
    config = ConfigDict()
    config.name = "e2e_varnet"  # stands as "method" in results
    config.seed = 0  # of the initial weights and the order of the training data

    config.data = data_config()
    config.mask = mask_config()
    # Data the run makes itself, by name: fields of `jaxrecon.data.simulation.PhantomSettings`. A
    # data folder is named "phantom:NAME" to mean one of them.
    config.phantoms = ConfigDict()

    config.model = ConfigDict()
    config.model.name = "varnet"  # module of jaxrecon.models
    config.model.cascades = 12  # unrolled steps
    config.model.dtype = "float32"  # of the convolutions; "bfloat16" is mixed precision
    config.model.refinement = ConfigDict()
    config.model.refinement.name = "norm_unet"  # module of jaxrecon.models
    config.model.refinement.channels = 18  # of the first level
    config.model.refinement.pools = 4  # levels below the first
    config.model.sensitivity = ConfigDict()
    config.model.sensitivity.channels = 8
    config.model.sensitivity.pools = 4

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 1e-3  # Adam
    config.optimizer.decay_epochs = (40,)  # epochs after which the learning rate is decayed
    config.optimizer.decay_factor = 0.1
    config.optimizer.gradient_clip = 0.0  # largest global norm of the gradient; 0: not clipped

    config.training = ConfigDict()
    config.training.batch_size = 1  # slices per step, over all devices and processes
    config.training.epochs = 50
    config.training.steps = 0  # if not 0, it takes the place of `epochs`
    config.training.validate_every = 0  # steps; 0: at the end of each epoch
    config.training.checkpoint_every = 0  # steps between checkpoints besides validations; 0: none
    config.training.patience = 5  # validations without a better SSIM before stopping; 0: never
    config.training.log_every = 10  # steps
    config.training.panel_slices = 3  # slices drawn at each validation

    # Judges validation and test slices: a name in jaxrecon.metrics.protocols.
    config.protocol = "fastmri"
    # Further data to test the best checkpoint on, by name: `test_set_config()` each.
    config.test_sets = ConfigDict()

    # From here on a misspelt field is an error; what is listed by name stays open.
    config.lock()
    config.phantoms.unlock()
    config.test_sets.unlock()
    return config


def data_config() -> ConfigDict:
    """Where training, validation and test slices come from."""
    data = ConfigDict()
    data.layout = "cmrxrecon"  # module of jaxrecon.data
    data.anatomy = "cardiac"  # stands in results
    data.root = ""  # folder to be split by case ...
    data.split = (0.7, 0.1, 0.2)  # ... into training, validation and test
    data.split_seed = 0
    data.train = ""  # or, instead of root, one folder each
    data.validation = ""
    data.test = ""
    data.contrasts = ()  # keep only these, such as ("cine_sax",); empty: all
    data.contains = ""  # keep only files with this in their path, such as "TrainingSet"
    data.check = "structure"  # "values": read every sample once, and remember the bad slices
    data.on_bad_file = "error"  # "skip": leave out and count
    data.on_bad_slice = "error"  # "skip", with check = "values": leave out and count
    data.data_range = "slice"  # maximum of the SSIM loss: of the "slice" or its "volume"
    data.coil_multiple = 1  # coils are padded with zero coils to a multiple of this
    data.threads = 2  # that read, in this process or in each worker
    data.workers = 0  # processes that read; 0: none but this one
    return data


def mask_config() -> ConfigDict:
    """How fully sampled k-space is undersampled."""
    mask = ConfigDict()
    mask.family = "cmrxrecon_uniform"  # a name in jaxrecon.physics.sampling.FAMILIES
    mask.accelerations = (4,)  # nominal; training draws one per slice, tests take each in turn
    mask.center_fractions = ()  # of the columns, fully sampled; one for each acceleration
    mask.acs = 24  # fully sampled central columns, where the family counts columns
    # Training masks differ between slices and epochs, drawn from this seed. Validation and test
    # masks depend on the file's name alone, as in fastMRI's evaluation.
    mask.training_seed = 0
    return mask


def test_set_config() -> ConfigDict:
    """One more data set to test on."""
    test_set = ConfigDict()
    test_set.layout = "fastmri"
    test_set.anatomy = ""
    test_set.root = ""
    test_set.contrasts = ()
    test_set.protocol = "fastmri"
    test_set.mask = mask_config()
    test_set.lock()
    return test_set


def foundation_refinement_config(architecture: str, weights: str) -> ConfigDict:
    """Paper A's denoiser, to stand as `config.model.refinement`.

    Args:
        architecture: of the encoder, a name in jaxrecon.encoders.spec.PUBLISHED.
        weights: folder of its converted weights.
    """
    refinement = ConfigDict()
    refinement.name = "foundation_denoiser"
    refinement.encoder = ConfigDict()
    refinement.encoder.architecture = architecture
    refinement.encoder.weights = weights  # "random": untrained, and every result says so
    refinement.encoder.seed = 0  # of random weights
    # Standardise the encoder's input by "imagenet" statistics, as the paper does for every encoder,
    # or by the encoder's "own".
    refinement.encoder.statistics = "imagenet"
    refinement.layers = (1, 2, 3, 4, 5, 6)  # fused
    refinement.skips = (5, 4, 3)  # join the decoder's stages
    refinement.widths = (384, 192, 128, 64)  # channels of the stages
    refinement.image_size = 224  # pixels along each side that the encoder sees
    refinement.output_size = 0  # of the last stage; 0: the image's own, 224: the encoder's
    refinement.percentiles = (1.0, 99.0)  # of the magnitude, become 0 and 1 for the encoder
    refinement.lock()
    return refinement


def set_phantom_data(config: ConfigDict) -> None:
    """Train on cardiac phantoms, and test on knees and brains too; the run makes them itself.

    128 x 128 pixels, 6 coils, noise; 40 cardiac cases of 3 frames in the CMRxRecon layout, 8 knees
    and 8 brains in the fastMRI layout.
    """
    common = {"height": 128, "width": 128, "coils": 6, "noise": 0.004}
    cardiac = {"layout": "cmrxrecon", "anatomy": "cardiac", "cases": 40, "frames": 3}
    config.phantoms.cardiac = ConfigDict(cardiac | common)
    config.data.root = "phantom:cardiac"
    config.mask.acs = 12
    for anatomy in ("knee", "brain"):
        other = {"layout": "fastmri", "anatomy": anatomy, "cases": 8, "oversampling": 2}
        config.phantoms[anatomy] = ConfigDict(other | common)
        test_set = test_set_config()
        test_set.anatomy = anatomy
        test_set.root = f"phantom:{anatomy}"
        test_set.mask.family = "equispaced"
        test_set.mask.center_fractions = (0.08,)
        config.test_sets[anatomy] = test_set


def set_cardiac_images(config: ConfigDict) -> None:
    """Train on real cardiac images with simulated coils, and test on a real knee and head too.

    600 steps on 128 x 128 pixels. The folders are those that the docstring of
    `experiments/cardiac_images.py` makes.
    """
    # Simulated in the CMRxRecon layout, one image per file.
    config.data.train = "data/cardiac/MultiCoil/Cine/TrainingSet"
    config.data.validation = "data/cardiac/MultiCoil/Cine/ValidationSet"
    config.data.test = "data/cardiac/MultiCoil/Cine/TestSet"
    config.mask.acs = 12
    config.training.steps = 600
    config.training.validate_every = 100
    config.training.patience = 0
    config.optimizer.decay_epochs = ()
    for anatomy in ("knee", "head"):
        add_test_folder(config, anatomy, anatomy)


def add_test_folder(config: ConfigDict, name: str, anatomy: str) -> None:
    """Test on the folder `data/NAME` too, in the fastMRI layout with the training's masks.

    Args:
        config: the experiment's.
        name: of the folder; stands in results.
        anatomy: what it shows.
    """
    test_set = test_set_config()
    test_set.anatomy = anatomy
    test_set.root = f"data/{name}"
    test_set.mask = config.get_ref("mask")
    config.test_sets[name] = test_set


def set_small_varnet(config: ConfigDict) -> None:
    """4 cascades, 8 channels, 3 poolings: 511,550 parameters, for a CPU."""
    config.model.cascades = 4
    config.model.refinement.channels = 8
    config.model.refinement.pools = 3
    config.model.sensitivity.channels = 4
    config.model.sensitivity.pools = 3
