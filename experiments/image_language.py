r"""Paper B's "high-quality" against "low-quality": an unrolled network led by language.

Figure 7 of arXiv:2511.19641. A question is put to Janus-Pro-1B about a few auxiliary images, fully
sampled (positives) and undersampled (negatives), each under 100 perturbations of the question's
embeddings; what follows the question, the model's last hidden state, is the prior. The
reconstruction is led towards the positives, and the model's answer about it is kept along its path:

    python -m weight_conversion.janus --source deepseek-community/Janus-Pro-1B \
        --output weights/janus --dtype bfloat16
    python -m jaxrecon.embed --config experiments/image_language.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee_quality.h5
    python -m jaxrecon.reconstruct --config experiments/image_language.py --input file.h5 \
        --mask gaussian --acceleration 4 --slices middle --workdir runs/knee_quality \
        --output knee_quality.png
    python -m jaxrecon.report --trajectories runs/knee_quality --output report

Any question will do: give the same `--config.prior.prompt="..."` to both programs, and
`--config.prior.meanings=good,bad` to `embed`, words whose beginnings tell its answers apart.

The weights are those of the authors' released code: 8 stages, all of them led, 200 steps, 500
times the contrastive loss with temperatures 0.1 and 0.7, perturbations of 0.02 (0.03 in the
paper, with one temperature of 0.07). The auxiliary images are those of three subjects.

Without the published weights, on a laptop (results then say "random encoder", and answers mean
nothing): `--config.prior.encoder.architecture=janus_small --config.prior.encoder.weights=random`.
"""

from ml_collections import ConfigDict

from jaxrecon.priors.prompts import QUALITY_MEANINGS, QUALITY_PROMPTS, with_single_word
from jaxrecon.scan_config import language_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = language_config()
    config.name = "unrolled_quality"
    config.prior.embeddings = "priors/knee_quality.h5"
    config.prior.prompt = with_single_word(QUALITY_PROMPTS[0])
    config.prior.meanings = QUALITY_MEANINGS
    return config
