"""What a language model's answers mean: whether two of them say the same."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def meaning(answer: str, meanings: Sequence[str]) -> str:
    """What an answer says, whatever its wording.

    Args:
        answer: of the language model.
        meanings: beginnings of words of which an answer is to contain one, such as ("high",
            "low"); none: answers mean the same where their words are the same.

    Returns:
        The one of `meanings` that begins a word of the answer; of an answer with none or several
        of them, its words in lower case without punctuation.
    """
    words = _WORD.findall(answer.casefold())
    named = [
        start for start in meanings if any(word.startswith(start.casefold()) for word in words)
    ]
    return named[0] if len(named) == 1 else " ".join(words)
