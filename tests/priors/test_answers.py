import pytest

from jaxrecon.priors.answers import meaning
from jaxrecon.priors.prompts import QUALITY_MEANINGS, QUALITY_PROMPTS


@pytest.mark.parametrize(
    "answer", ["High-quality", "high quality.", " HIGH", "The image is of high quality!"]
)
def test_answers_in_other_words_mean_the_same(answer):
    assert meaning(answer, QUALITY_MEANINGS) == "high"
    assert meaning(answer.lower().replace("high", "low"), QUALITY_MEANINGS) == "low"


def test_answers_that_do_not_choose_mean_what_they_say():
    assert meaning("Neither high nor low.", QUALITY_MEANINGS) == "neither high nor low"
    assert meaning("Thigh", QUALITY_MEANINGS) == "thigh"
    assert meaning("It is blurry", ("blur", "alias")) == meaning("Blurred", ("blur", "alias"))
    assert meaning("High-quality.", ()) == meaning("high quality", ()) != meaning("high", ())
    assert meaning("", ("high",)) == ""


def test_the_twenty_phrasings_differ_and_name_both_answers():
    assert len(set(QUALITY_PROMPTS)) == 20
    for prompt in QUALITY_PROMPTS:
        assert {"high", "low"} <= {meaning(word, QUALITY_MEANINGS) for word in prompt.split()}
