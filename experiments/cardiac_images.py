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

from jaxrecon.config import default_config, set_cardiac_images, set_small_varnet


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = default_config()
    config.name = "cardiac_images"
    set_cardiac_images(config)
    set_small_varnet(config)
    return config
