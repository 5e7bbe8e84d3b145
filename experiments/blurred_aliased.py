r"""Paper B's "blurred" against "aliased": an unrolled network led by language.

Figure 8 of arXiv:2511.19641. As experiments/image_language.py, with another question and other
positives: total-variation reconstructions of the negatives, blurred where those are aliased. The
reconstruction becomes smoother, not better; what is shown is that it follows the words.

    python -m jaxrecon.embed --config experiments/blurred_aliased.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee_blurred.h5
    python -m jaxrecon.reconstruct --config experiments/blurred_aliased.py --input file.h5 \
        --mask gaussian --acceleration 4 --slices middle --workdir runs/knee_blurred \
        --output knee_blurred.png
    python -m jaxrecon.report --trajectories runs/knee_blurred --output report
"""

from ml_collections import ConfigDict

from jaxrecon.priors.prompts import BLURRED_MEANINGS, BLURRED_PROMPT, with_single_word
from jaxrecon.scan_config import language_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = language_config()
    config.name = "unrolled_blurred"
    config.prior.embeddings = "priors/knee_blurred.h5"
    config.prior.prompt = with_single_word(BLURRED_PROMPT)
    config.prior.meanings = BLURRED_MEANINGS
    config.auxiliary.positive = "tv"
    return config
