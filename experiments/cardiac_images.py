"""A small E2E-VarNet on real cardiac images, tested on a real knee and a real head too.

The images are 100 cardiac cine magnitudes, the knee and the head one slice each of single-coil
k-space (see "Real data" in the README for their sources). Coils, the images' phase and noise are
simulated:

    D=$JAXRECON_REAL_DATA/data
    python -m jaxrecon.simulate --images $D/cardiac_sax.npz --output data/cardiac --matrix 128x128 \
        --slices 1 --parts train=0-79,validation=80-89,test=90-99
    python -m jaxrecon.simulate --images $D/knee_single_coil_kspace.npz --key kspace \
        --layout fastmri --output data/knee --transpose --matrix 256x132
    python -m jaxrecon.simulate --images $D/head_single_coil_kspace.npz --key kspace \
        --layout fastmri --output data/head
    python -m jaxrecon.train --config experiments/cardiac_images.py \
        [--config.mask.accelerations=8,]

4 cascades, 511,550 parameters, 600 steps: 2 minutes on 2 cores. The same network in torch
(PyTorch, fastmri 0.3.0), trained alike, reaches SSIM 0.877 at R = 4 and 0.802 at R = 8 on the
cardiac test images.
"""

from ml_collections import ConfigDict

from jaxrecon.config import default_config, set_small_varnet, test_set_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = default_config()
    config.name = "cardiac_images"

    # Simulated in the CMRxRecon layout, one image per file.
    config.data.train = "data/cardiac/MultiCoil/Cine/TrainingSet"
    config.data.validation = "data/cardiac/MultiCoil/Cine/ValidationSet"
    config.data.test = "data/cardiac/MultiCoil/Cine/TestSet"
    config.mask.acs = 12

    set_small_varnet(config)
    config.training.steps = 600
    config.training.validate_every = 100
    config.training.patience = 0
    config.optimizer.decay_epochs = ()

    for anatomy in ("knee", "head"):
        test_set = test_set_config()
        test_set.anatomy = anatomy
        test_set.root = f"data/{anatomy}"
        test_set.mask = config.get_ref("mask")
        config.test_sets[anatomy] = test_set
    return config
