import json
import re
import sys

import pytest
import reference_encoders as reference
import torch
from janus_checkpoints import (
    change_config,
    deepseek_tensors,
    random_janus,
    save_deepseek,
    save_hugging_face,
)

from jaxrecon.errors import InputError
from weight_conversion.janus import convert_checkpoint
from weight_conversion.rules import Rule, assign
from weight_conversion.sources import find_checkpoint
from weight_conversion.stored_tensors import stored_tensors


@pytest.fixture(scope="module")
def model():
    return random_janus()


def failure(source, output):
    """The one line a conversion ends with."""
    with pytest.raises(InputError) as caught:
        convert_checkpoint(str(source), output)
    assert not output.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("layout", ["transformers", "deepseek"])
def test_a_missing_or_truncated_shard_is_named(tmp_path, model, layout):
    if layout == "transformers":
        source = save_hugging_face(model, tmp_path / "source", "20KB")
    else:
        source = save_deepseek(model, tmp_path / "source", shards=2)
    shard = sorted(source.glob("*-00002-of-*"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    assert failure(source, tmp_path / "weights").startswith(f"{shard}: expected a ")
    shard.unlink()
    index = next(source.glob("*.index.json"))
    assert re.fullmatch(
        rf"{index}: expected \d+ shards, found none named {shard.name}",
        failure(source, tmp_path / "weights"),
    )


def test_a_janus_of_another_shape_than_its_configuration_is_named(tmp_path, model):
    source = save_hugging_face(model, tmp_path / "source")

    def change(config):
        config["text_config"].update(num_hidden_layers=4, vocab_size=100)
        config["vision_config"].update(num_hidden_layers=3)

    change_config(source, change)
    message = failure(source, tmp_path / "weights")
    assert message.startswith(f"{source}: 27 entries do not fit: ")
    assert "language/embedding is (96, 32), not (100, 32)" in message
    assert message.endswith("; and 19 more")


def test_unexpected_and_missing_tensors_are_named(tmp_path, model):
    source = save_deepseek(model, tmp_path / "source")
    tensors = deepseek_tensors(model)
    tensors["language_model.model.layers.0.mlp.gate_proj.bias"] = torch.zeros(48)
    del tensors["aligner.layers.2.bias"]
    del tensors["language_model.model.layers.1.mlp.up_proj.weight"]
    torch.save(tensors, source / "pytorch_model.bin")
    assert failure(source, tmp_path / "weights") == (
        f"{source}: 3 entries do not fit: "
        "unexpected language_model.model.layers.0.mlp.gate_proj.bias (48); "
        "positions [0, 2] for language/layers/up/kernel are not 0 to 1; "
        "nothing for aligner/dense1/bias"
    )


def test_a_clip_checkpoint_is_refused(tmp_path, model):
    source = reference.save(reference.clip(192, 1, 3, image_size=32), tmp_path / "source")
    assert failure(source, tmp_path / "weights") == (
        f"{source}: expected a config.json of Janus, with model_type 'janus' or 'multi_modality', "
        "found model_type 'clip'"
    )
    (source / "config.json").unlink()
    assert failure(source, tmp_path / "weights").endswith("found none")
    model.config.save_pretrained(source)
    assert "unexpected logit_scale ()" in failure(source, tmp_path / "weights")


def test_pickles_need_torch(tmp_path, model, monkeypatch):
    source = save_deepseek(model, tmp_path / "source")
    monkeypatch.setitem(sys.modules, "torch", None)
    message = failure(source, tmp_path / "weights")
    assert message.startswith(f"{source / 'pytorch_model.bin'}: expected torch to be installed")


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("vision_config", "hidden_act", "relu", "expected hidden_act 'gelu', found 'relu'"),
        ("vision_config", "use_qk_norm", True, "expected use_qk_norm False, found True"),
        ("vision_config", "num_attention_heads", 5, "sizes of a vision transformer, .* 5 heads"),
        ("vision_config", "projection_dim", 48, "the language model's width, 32, found one to 48"),
        ("text_config", "mlp_bias", True, "expected mlp_bias False, found True"),
        ("text_config", "num_hidden_layers", "three", "'three'"),
        (
            "text_config",
            "rope_parameters",
            {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
            "rotary embeddings of type 'default', found 'linear'",
        ),
    ],
)
def test_a_janus_unlike_those_published_is_named(tmp_path, model, part, field, value, message):
    source = save_hugging_face(model, tmp_path / "source")
    change_config(source, lambda config: config[part].update({field: value}))
    assert re.search(message, failure(source, tmp_path / "weights"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("aligner_config"), "expected aligner_config as a JSON object"),
        (
            lambda config: config["vision_config"]["params"].update(model_name="sam_b"),
            "expected model_name as one of siglip_large_patch16_384, .* found 'sam_b'",
        ),
        (
            lambda config: config["vision_config"]["params"].update(select_layer=-2),
            "expected select_layer -1, found -2",
        ),
        (
            lambda config: config["aligner_config"]["params"].update(projector_type="linear"),
            "expected projector_type 'mlp_gelu', found 'linear'",
        ),
    ],
)
def test_a_deepseek_configuration_unlike_those_published_is_named(tmp_path, model, change, message):
    source = save_deepseek(model, tmp_path / "source")
    change_config(source, change)
    assert re.search(message, failure(source, tmp_path / "weights"))


def test_preprocessing_that_does_not_fit_is_named(tmp_path, model):
    source = save_hugging_face(model, tmp_path / "source")
    for content, message in (
        ({"image_mean": [0.5]}, "expected image_mean as three numbers"),
        ({"size": {"height": 384, "width": 384}}, "the image size of the vision tower, 32"),
    ):
        (source / "preprocessor_config.json").write_text(json.dumps(content))
        assert message in failure(source, tmp_path / "weights")


def test_a_table_in_which_two_rules_match_a_key_is_wrong():
    rules = [Rule(r"a\.(.*)", r"\1"), Rule(r"a\.weight", "kernel")]
    with pytest.raises(ValueError, match=r"a\.weight matches"):
        assign({"a.weight": (2,)}, rules, {"kernel": (2,)}, name="source")


def test_a_key_in_two_shards_is_an_error(tmp_path, model):
    source = save_deepseek(model, tmp_path / "source", shards=2)
    torch.save(deepseek_tensors(model), sorted(source.glob("*-00002-of-*"))[0])
    with pytest.raises(InputError, match="each key in one shard"):
        stored_tensors(find_checkpoint(str(source)))
