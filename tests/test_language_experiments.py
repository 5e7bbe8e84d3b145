from pathlib import Path

import pytest

from jaxrecon.errors import InputError
from jaxrecon.priors.prompts import QUALITY_PROMPTS
from jaxrecon.scan_config import language_config
from jaxrecon.scan_specific.experiment_file import read_experiment

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def changed_fields(config):
    """Fields in which an experiment differs from `language_config`."""

    def flat(fields, before=""):
        found = {}
        for name, value in fields.items():
            nested = isinstance(value, dict)
            found |= flat(value, f"{before}{name}.") if nested else {before + name: value}
        return found

    expected = flat(language_config().to_dict())
    return {name for name, value in flat(config.to_dict()).items() if value != expected[name]}


@pytest.mark.parametrize("name", ["image_language", "blurred_aliased", "prompt_robustness"])
def test_experiments_led_by_language_differ_in_what_is_asked(name):
    config = read_experiment(str(EXPERIMENTS / f"{name}.py"))
    asked = {"name", "prior.embeddings", "prior.prompt", "prior.meanings"}
    positives = {"auxiliary.positive"} if name == "blurred_aliased" else set()
    assert changed_fields(config) == asked | positives
    assert config.prior.prompt.endswith(". Respond with single word.")
    assert all(word in config.prior.prompt for word in config.prior.meanings)


def test_prompts_are_chosen_by_number():
    configs = [
        read_experiment(f"{EXPERIMENTS / 'prompt_robustness.py'}:{number}")
        for number in range(1, 21)
    ]
    for config, prompt in zip(configs, QUALITY_PROMPTS, strict=True):
        assert config.prior.prompt.startswith(prompt)
    assert len({config.prior.embeddings for config in configs}) == 20
    assert len({config.name for config in configs}) == 1
    with pytest.raises(InputError, match="expected a prompt from 1 to 20, found '21'"):
        read_experiment(f"{EXPERIMENTS / 'prompt_robustness.py'}:21")
