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
    return test_set
