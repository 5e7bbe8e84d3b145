import builtins
import dataclasses
import json

import numpy as np
import pytest
import reference_janus as reference
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from jaxrecon.encoders import janus_prompt
from jaxrecon.encoders.janus_prompt import (
    IMAGE,
    SENTENCE_BEGIN,
    SENTENCE_END,
    conversation,
    image_question,
    open_tokenizer,
)
from jaxrecon.errors import InputError

transformers = reference.transformers
SPEC = dataclasses.replace(
    reference.SMALL, language=dataclasses.replace(reference.SMALL.language, vocabulary=320)
)
IMAGE_TOKENS = {
    "image_token": "<image_placeholder>",
    "boi_token": "<begin_of_image>",
    "eoi_token": "<end_of_image>",
}
SENTENCES = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]  # noqa: RUF001
SPECIAL = (*SENTENCES, *IMAGE_TOKENS.values())


def save_tokenizer(folder, special=SPECIAL, **config):
    """A byte-level tokenizer, as DeepSeek's are, with two merges, in the published layout."""
    folder.mkdir(parents=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate([*letters, "ma", "Ġi"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("m", "a"), ("Ġ", "i")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "LlamaTokenizerFast", "model_max_length": 16384} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def processor_ids(folder, text):
    """Ids of transformers' own processor, which begins with the system's sentence."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), extra_special_tokens=IMAGE_TOKENS
    )
    processor = transformers.JanusProcessor(
        transformers.JanusImageProcessor(size={"height": 32, "width": 32}),
        tokenizer,
        use_default_system_prompt=True,
        num_image_tokens=SPEC.image_tokens,
    )
    image = np.zeros((32, 32, 3), np.uint8)
    return processor(text=text, images=[image], return_tensors="np")["input_ids"][0].tolist()


def test_tokens_are_those_of_the_published_processor(tmp_path):
    folder = save_tokenizer(tmp_path / "tokenizer")
    tokenizer = open_tokenizer(tmp_path, SPEC)
    question = "Is this image blurred?"
    prompts = tokenizer.prompts([image_question(question)])
    text = f"<|User|>: <image_placeholder>\n{question}\n\n<|Assistant|>:"
    begin = tokenizer.backend.convert_tokens_to_ids(SENTENCES[0])
    assert prompts.tokens[0].tolist() == [begin, *processor_ids(folder, text)]
    assert prompts.mask.all()
    image = tokenizer.backend.convert_tokens_to_ids(IMAGE)
    np.testing.assert_array_equal(prompts.slots, prompts.tokens == image)
    assert prompts.slots.sum() == SPEC.image_tokens


def test_the_tokenizer_keeps_spaces_and_merges_as_its_file_says(tmp_path):
    tokenizer = open_tokenizer(save_tokenizer(tmp_path / "here"), SPEC)
    vocabulary = tokenizer.backend.get_vocab()
    ids = tokenizer.prompts([image_question("an image")], system="").tokens[0].tolist()
    place = ids.index(vocabulary["Ġi"])
    assert ids[place - 2 : place + 4] == [
        vocabulary[piece] for piece in ("a", "n", "Ġi", "ma", "g", "e")
    ]


def test_shorter_prompts_are_padded_on_the_left(tmp_path):
    tokenizer = open_tokenizer(save_tokenizer(tmp_path / "tokenizer"), SPEC)
    short, long = image_question("Sharp?"), image_question("Is it sharp?")
    prompts = tokenizer.prompts([short, long])
    alone = tokenizer.prompts([short])
    padding = len("Is it sharp?") - len("Sharp?") - 1  # " i" is one token
    assert not prompts.mask[0, :padding].any()
    assert prompts.mask[0, padding:].all()
    np.testing.assert_array_equal(prompts.tokens[0, padding:], alone.tokens[0])
    np.testing.assert_array_equal(prompts.slots[0, padding:], alone.slots[0])
    assert not prompts.slots[0, :padding].any()


def test_answers_stop_at_their_end(tmp_path):
    tokenizer = open_tokenizer(save_tokenizer(tmp_path / "tokenizer"), SPEC)
    ids = tokenizer.backend(" High-quality é", add_special_tokens=False)["input_ids"]
    end = tokenizer.end_token
    rows = np.full((2, len(ids) + 2), end, np.int32)
    rows[0, : len(ids)] = ids
    rows[0, -1] = ids[3]  # behind the end
    rows[1] = [*ids, ids[1], ids[2]]  # cut off by the limit
    assert tokenizer.answers(rows) == ["High-quality é", "High-quality éHi"]


def test_names_of_begin_and_end_come_from_the_configuration(tmp_path):
    special = ["<s>", "</s>", *IMAGE_TOKENS.values()]
    folder = save_tokenizer(
        tmp_path / "tokenizer", special, bos_token={"content": "<s>"}, eos_token="</s>"
    )
    tokenizer = open_tokenizer(folder, SPEC)
    vocabulary = tokenizer.backend.get_vocab()
    assert tokenizer.end_token == vocabulary["</s>"]
    assert tokenizer.prompts([image_question("?")]).tokens[0, 0] == vocabulary["<s>"]


def test_random_weights_have_a_tokenizer_of_bytes():
    tokenizer = open_tokenizer("random", SPEC)
    prompts = tokenizer.prompts([image_question("Is it sharp?")])
    text = conversation(image_question("Is it sharp?"))
    assert prompts.tokens.shape[1] == len(text) - len(IMAGE) + SPEC.image_tokens + 3
    assert prompts.tokens.max() < SPEC.language.vocabulary
    assert tokenizer.answers(prompts.tokens) == [text.replace(IMAGE, "")]


def test_special_tokens_are_spelt_as_published():
    assert SENTENCES[:2] == [SENTENCE_BEGIN, SENTENCE_END]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("Is this image blurred?", "found none"),
        (f"{IMAGE}{IMAGE}\nWhich one is sharper?", "found 2"),
    ],
)
def test_a_prompt_needs_one_place_for_its_image(message, found):
    tokenizer = open_tokenizer("random", SPEC)
    with pytest.raises(InputError, match=f"expected one {IMAGE} where the image belongs, {found}"):
        tokenizer.prompts([image_question("fine"), message])
    with pytest.raises(InputError, match="expected at least one prompt, found none"):
        tokenizer.prompts([])


def test_other_tokenizers_are_refused(tmp_path):
    without = save_tokenizer(tmp_path / "text", SENTENCES)
    with pytest.raises(InputError, match="found one without <image_placeholder>, <begin_of_image>"):
        open_tokenizer(without, SPEC)
    larger = save_tokenizer(tmp_path / "large", [*SENTENCES, *(f"<{i}>" for i in range(80))])
    with pytest.raises(InputError, match="up to 320 tokens, those of this Janus, found 341"):
        open_tokenizer(larger, SPEC)
    with pytest.raises(InputError, match=r"nowhere: expected tokenizer/tokenizer.json or"):
        open_tokenizer(tmp_path / "nowhere", SPEC)
    (without / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer.json: expected a tokenizer, found"):
        open_tokenizer(without, SPEC)
    (larger / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config.json: expected JSON, found"):
        open_tokenizer(larger, SPEC)


def test_a_missing_package_is_named(monkeypatch):
    real = builtins.__import__

    def without_transformers(name, *arguments, **keywords):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_transformers)
    with pytest.raises(InputError, match=r"pip install 'jaxrecon\[language\]'"):
        janus_prompt.open_tokenizer("random", SPEC)
