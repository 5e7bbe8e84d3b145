"""Prompts for Janus: from sentences to token ids with slots for an image, and answers back.

The conversation is that of deepseek-ai's `VLChatProcessor` and of transformers' `JanusProcessor`:
a system sentence, what the user says, and the assistant's turn.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.encoders.store import RANDOM
from jaxrecon.errors import InputError

IMAGE = "<image_placeholder>"
IMAGE_BEGIN = "<begin_of_image>"
IMAGE_END = "<end_of_image>"
# With full-width bars and lower blocks, as DeepSeek spells them.
SENTENCE_BEGIN = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
SENTENCE_END = "<\uff5cend\u2581of\u2581sentence\uff5c>"

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)

# Where `weight_conversion.janus` puts it, in a folder of converted weights.
_FOLDER, _FILE = "tokenizer", "tokenizer.json"


def image_question(question: str) -> str:
    """What a user says who shows an image and asks about it.

    Args:
        question: such as "Determine whether this image is high-quality or low-quality."
    """
    return f"{IMAGE}\n{question}"


def conversation(message: str, system: str = SYSTEM) -> str:
    """The text up to where the assistant's answer begins.

    Args:
        message: what the user says, see `image_question`.
        system: what the assistant is told before; "" for nothing.
    """
    before = f"{system}\n\n" if system else ""
    return f"{before}<|User|>: {message.strip()}\n\n<|Assistant|>:"


@dataclasses.dataclass(frozen=True, eq=False)
class Prompts:
    """Tokens of some prompts, padded on the left to one length.

    Attributes:
        tokens: ids.
        mask: False for padding.
        slots: where the tokens of each prompt's image belong.
    """

    tokens: Int32[np.ndarray, "batch tokens"]
    mask: Bool[np.ndarray, "batch tokens"]
    slots: Bool[np.ndarray, "batch tokens"]


@dataclasses.dataclass(frozen=True, eq=False)
class JanusTokenizer:
    """A tokenizer with Janus's special tokens.

    Attributes:
        backend: of transformers.
        name: where it comes from, for messages and provenance.
        image_tokens: slots of an image.
        ids: of the special tokens, by their text.
    """

    backend: Any
    name: str
    image_tokens: int
    ids: dict[str, int]

    @property
    def end_token(self) -> int:
        """The id that ends an answer."""
        return self.ids[SENTENCE_END]

    def prompts(self, messages: Sequence[str], system: str = SYSTEM) -> Prompts:
        """Token ids of conversations about one image each.

        Args:
            messages: what the user says in each; `<image_placeholder>` stands for the image.
            system: see `conversation`.

        Raises:
            InputError: there is no message, or one has no slot for an image, or more than one.
        """
        if not messages:
            raise InputError("prompts: expected at least one prompt, found none")
        rows = [self._ids(message, system) for message in messages]
        length = max(map(len, rows))
        tokens = np.full((len(rows), length), self.end_token, np.int32)
        mask = np.zeros(tokens.shape, bool)
        for i, row in enumerate(rows):
            tokens[i, length - len(row) :] = row
            mask[i, length - len(row) :] = True
        return Prompts(tokens, mask, mask & (tokens == self.ids[IMAGE]))

    def answers(self, tokens: Int[np.ndarray, "batch tokens"]) -> list[str]:
        """Texts of answers, up to their ends, without special tokens and surrounding spaces.

        Args:
            tokens: as `generation.generate` gives them.
        """
        texts = []
        for row in np.asarray(tokens).tolist():
            end = row.index(self.end_token) if self.end_token in row else len(row)
            texts.append(self.backend.decode(row[:end], skip_special_tokens=True).strip())
        return texts

    def _ids(self, message: str, system: str) -> list[int]:
        text = conversation(message, system)
        ids = self.backend(text, add_special_tokens=False)["input_ids"]
        image = self.ids[IMAGE]
        if ids.count(image) != 1:
            raise InputError(
                f"prompt {message!r}: expected one {IMAGE} where the image belongs, found "
                f"{ids.count(image) or 'none'}"
            )
        place = ids.index(image)
        shown = [self.ids[IMAGE_BEGIN], *[image] * self.image_tokens, self.ids[IMAGE_END]]
        return [self.ids[SENTENCE_BEGIN], *ids[:place], *shown, *ids[place + 1 :]]


def open_tokenizer(folder: str | Path, spec: JanusSpec) -> JanusTokenizer:
    """The tokenizer that belongs to a Janus.

    The file is used as it stands. transformers' `AutoTokenizer` would not do: in version 5 it takes
    DeepSeek's for one of Llama's own kind and loses the spaces.

    Args:
        folder: of converted weights, or one that holds `tokenizer.json`; or "random" for one of
            bytes, which random weights can do with.
        spec: of the Janus.

    Raises:
        InputError: transformers is not installed, there is no tokenizer, or it is not one of this
            Janus: its vocabulary is too large, or lacks the image's tokens.
    """
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError:
        raise InputError(
            "tokenizer: expected the package transformers, found none; install it with: "
            "pip install 'jaxrecon[language]'"
        ) from None
    if folder == RANDOM:
        backend, name, named = _byte_backend(PreTrainedTokenizerFast), "tokenizer of bytes", {}
    else:
        path = _tokenizer_file(Path(folder))
        name = str(path)
        try:
            backend = PreTrainedTokenizerFast(tokenizer_file=name)
        except Exception as error:  # the tokenizers library raises nothing more specific
            raise InputError(f"{path}: expected a tokenizer, found {error}") from None
        named = _named_tokens(path.with_name("tokenizer_config.json"))
    vocabulary = backend.get_vocab()
    size = max(vocabulary.values(), default=-1) + 1
    if size > spec.language.vocabulary:
        raise InputError(
            f"{name}: expected a vocabulary of up to {spec.language.vocabulary} tokens, those of "
            f"this Janus, found {size}"
        )
    texts = {text: named.get(text, text) for text in _SPECIAL}
    missing = [text for text in texts.values() if text not in vocabulary]
    if missing:
        raise InputError(
            f"{name}: expected a tokenizer of Janus, found one without {', '.join(missing)}"
        )
    ids = {text: vocabulary[found] for text, found in texts.items()}
    return JanusTokenizer(backend, name, spec.image_tokens, ids)


_SPECIAL = (IMAGE, IMAGE_BEGIN, IMAGE_END, SENTENCE_BEGIN, SENTENCE_END)


def _tokenizer_file(folder: Path) -> Path:
    candidates = [folder / _FOLDER / _FILE, folder / _FILE]
    for path in candidates:
        if path.is_file():
            return path
    raise InputError(
        f"{folder}: expected {_FOLDER}/{_FILE} or {_FILE}, the tokenizer of Janus, found neither; "
        f"they lie beside the published weights"
    )


def _named_tokens(path: Path) -> dict[str, str]:
    """Where a configuration has other names for beginning and end of a sentence."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found {error}") from None
    named = {}
    for text, field in ((SENTENCE_BEGIN, "bos_token"), (SENTENCE_END, "eos_token")):
        value = content.get(field)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            named[text] = value
    return named


def _byte_backend(backend: Any) -> Any:
    """A tokenizer of bytes with Janus's special tokens behind them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(_SPECIAL))
    return backend(tokenizer_object=tokenizer)
