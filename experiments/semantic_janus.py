r"""Paper B's image prior with the paper's own encoder, the vision tower of Janus-Pro-1B.

Its layers 1, 13 and 24 (arXiv:2511.19641). As experiments/semantic_unrolled.py; the other
backbones' experiments take the tower too: `--config.prior.encoder.architecture=janus_pro_1b
--config.prior.encoder.weights=weights/janus`.

    python -m weight_conversion.janus --source deepseek-community/Janus-Pro-1B \
        --output weights/janus --dtype bfloat16
    python -m jaxrecon.embed --config experiments/semantic_janus.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee_janus.h5
    python -m jaxrecon.reconstruct --config experiments/semantic_janus.py --input file.h5 \
        --mask gaussian --acceleration 4 --workdir runs/knee_janus --output knee_janus.png
"""

from ml_collections import ConfigDict

from jaxrecon.scan_config import unrolled_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = unrolled_config()
    config.name = "unrolled_janus"
    config.prior.encoder.architecture = "janus_pro_1b"
    config.prior.encoder.weights = "weights/janus"
    config.prior.embeddings = "priors/knee_janus.h5"
    config.prior.layers = (1, 13, 24)
    config.prior.level_weights = (0.01, 0.5, 1.0)
    config.prior.components = (64, 128, 512)
    config.prior.reduction = "image"
    return config
