r"""How much the wording matters: one of twenty phrasings of one question.

Supporting Table S1 and Figure S2 of arXiv:2511.19641. As experiments/image_language.py, with the
prompt's number, 1 to 20, as an argument. Each prompt has embeddings of its own, in a file that the
configuration names:

    for n in $(seq 20); do
        python -m jaxrecon.embed --config experiments/prompt_robustness.py:$n \
            --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee_prompt_$n.h5
        python -m jaxrecon.reconstruct --config experiments/prompt_robustness.py:$n \
            --input file.h5 --mask gaussian --acceleration 4 --slices middle \
            --workdir runs/knee_prompts/$n --output runs/knee_prompts/$n.png
    done
    python -m jaxrecon.report --trajectories runs/knee_prompts/1,runs/knee_prompts/2,... \
        --output report

Reconstructions of one scan by one method with different prompts are one group of the report: it
shows four of them, and the pixel-wise standard deviation over all.
"""

from ml_collections import ConfigDict

from jaxrecon.priors.prompts import QUALITY_MEANINGS, QUALITY_PROMPTS, with_single_word
from jaxrecon.scan_config import language_config


def get_config(number: str = "1") -> ConfigDict:
    """The experiment's configuration.

    Args:
        number: of the prompt, from 1.
    """
    if number not in map(str, range(1, len(QUALITY_PROMPTS) + 1)):
        raise ValueError(f"expected a prompt from 1 to {len(QUALITY_PROMPTS)}, found {number!r}")
    config = language_config()
    config.name = "unrolled_quality"
    config.prior.embeddings = f"priors/knee_prompt_{number}.h5"
    config.prior.prompt = with_single_word(QUALITY_PROMPTS[int(number) - 1])
    config.prior.meanings = QUALITY_MEANINGS
    return config
