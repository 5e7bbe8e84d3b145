import json
import re
import subprocess
import sys

import numpy as np
import pytest
import reference_encoders as reference
import torch
from flax import traverse_util
from safetensors import safe_open
from safetensors.numpy import load_file

from jaxrecon.encoders.janus_spec import JANUS_PRO_1B, JanusSpec, janus_shapes
from jaxrecon.errors import InputError
from jaxrecon.weight_store import read_weights
from weight_conversion import janus_config, janus_layouts
from weight_conversion.janus import convert_checkpoint
from weight_conversion.rules import Rule, assign
from weight_conversion.sources import find_checkpoint
from weight_conversion.stored_tensors import stored_tensors

transformers = reference.transformers

TOWER = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "patch_size": 8,
    "mlp_ratio": 2.0,
}
LANGUAGE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def random_janus(tie=False, **language):
    """Janus with every part, also those that generate images, randomly initialised."""
    language = LANGUAGE | language
    config = transformers.JanusConfig(
        text_config=transformers.LlamaConfig(**language),
        vision_config=transformers.JanusVisionConfig(
            **TOWER, image_size=32, projection_dim=language["hidden_size"], num_image_tokens=16
        ),
        vq_config=transformers.JanusVQVAEConfig(
            embed_dim=4,
            num_embeddings=16,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=[1, 1],
            num_res_blocks=1,
            projection_dim=32,
            image_token_embed_dim=32,
        ),
        tie_word_embeddings=tie,
    )
    generator = torch.Generator().manual_seed(0)
    with reference.no_init_weights():
        model = transformers.JanusForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    if tie:
        model.tie_weights()
    return model


# Keys of deepseek-ai's layout by those of transformers; the projections of the tower are fused.
VISION, BLOCK = "vision_model.vision_tower.", r"model\.vision_model\.encoder\.layers\.(\d+)\."
DEEPSEEK_KEYS = {
    r"model\.vision_model\.embeddings\.patch_embedding\.(.*)": rf"{VISION}patch_embed.proj.\1",
    r"model\.vision_model\.embeddings\.position_embedding\.weight": f"{VISION}pos_embed",
    r"model\.vision_model\.post_layernorm\.(.*)": rf"{VISION}norm.\1",
    rf"{BLOCK}layer_norm([12])\.(.*)": rf"{VISION}blocks.\1.norm\2.\3",
    rf"{BLOCK}self_attn\.projection_layer\.(.*)": rf"{VISION}blocks.\1.attn.proj.\2",
    rf"{BLOCK}mlp\.(.*)": rf"{VISION}blocks.\1.mlp.\2",
    r"model\.aligner\.fc1\.(.*)": r"aligner.layers.0.\1",
    r"model\.aligner\.hidden_layers\.0\.(.*)": r"aligner.layers.2.\1",
    r"model\.language_model\.(.*)": r"language_model.model.\1",
    r"lm_head\.weight": "language_model.lm_head.weight",
    r"model\.vqmodel\.(.*)": r"gen_vision_model.\1",
    r"model\.generation_aligner\.(.*)": r"gen_aligner.\1",
    r"model\.generation_head\.(.*)": r"gen_head.\1",
    r"model\.generation_embeddings\.weight": "gen_embed.weight",
}


def deepseek_tensors(model):
    """The weights as deepseek-ai's repositories hold them."""
    source, renamed = model.state_dict(), {}
    for key, tensor in source.items():
        fused = re.fullmatch(rf"{BLOCK}self_attn\.q_proj\.(weight|bias)", key)
        if fused:
            parts = [source[key.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed[f"{VISION}blocks.{fused[1]}.attn.qkv.{fused[2]}"] = torch.cat(parts)
        for pattern, target in DEEPSEEK_KEYS.items():
            if match := re.fullmatch(pattern, key):
                renamed[match.expand(target)] = tensor
    renamed[f"{VISION}pos_embed"] = renamed[f"{VISION}pos_embed"][None]
    renamed[f"{VISION}attn_pool.latent"] = torch.zeros(1, 1, TOWER["hidden_size"])
    return renamed


def save_deepseek(model, folder, shards=1):
    """Save in deepseek-ai's layout, with what its configurations leave out left out."""
    folder.mkdir(parents=True)
    tensors, text = deepseek_tensors(model), model.config.text_config.to_dict()
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        names = [f"pytorch_model-{i:05d}-of-{shards:05d}.bin" for i in range(1, shards + 1)]
        places = {key: names[i % shards] for i, key in enumerate(tensors)}
        for name in names:
            shard = {key: tensor for key, tensor in tensors.items() if places[key] == name}
            torch.save(shard, folder / name)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    config = {
        "model_type": "multi_modality",
        "vision_config": {
            "cls": "CLIPVisionTower",
            "params": {
                "image_size": 32,
                "model_name": "siglip_small",
                "select_feature": "same",
                "select_layer": -1,
            },
        },
        "aligner_config": {
            "cls": "MlpProjector",
            "params": {
                "depth": 2,
                "input_dim": TOWER["hidden_size"],
                "n_embed": text["hidden_size"],
                "projector_type": "mlp_gelu",
            },
        },
        "language_config": {"model_type": "llama"} | {key: text[key] for key in LANGUAGE},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_hugging_face(model, folder, shard="1GB"):
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


@pytest.fixture(autouse=True)
def _small_tower(monkeypatch):
    """deepseek-ai's configurations give the tower's sizes by name: one for the tests."""
    monkeypatch.setitem(janus_config.DEEPSEEK_TOWERS, "siglip_small", TOWER)


@pytest.fixture(scope="module")
def model():
    return random_janus()


def arrays_in(folder):
    return load_file(folder / "weights.safetensors")


def expected_parameters(model):
    """Every parameter, computed from the tensors by the definition of its layer.

    A linear layer of torch is x @ weight.T; a convolution over patches is one over their pixels.
    """
    state = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    vision, language = "model.vision_model.", "model.language_model."
    expected = {
        "vision/patch_embedding/kernel": np.stack(
            [
                state[f"{vision}embeddings.patch_embedding.weight"][:, channel, row, column]
                for row in range(8)
                for column in range(8)
                for channel in range(3)
            ]
        ),
        "vision/patch_embedding/bias": state[f"{vision}embeddings.patch_embedding.bias"],
        "vision/positions": state[f"{vision}embeddings.position_embedding.weight"],
        "language/embedding": state[f"{language}embed_tokens.weight"],
        "language/norm/scale": state[f"{language}norm.weight"],
        "language/head/kernel": state["lm_head.weight"].T,
    }

    def put(path, key):
        """A layer with a bias: linear if its weight is a matrix, else a LayerNorm."""
        weight = state[f"{key}.weight"]
        expected[f"{path}/{'kernel' if weight.ndim == 2 else 'scale'}"] = weight.T
        expected[f"{path}/bias"] = state[f"{key}.bias"]

    put("vision_norm", f"{vision}post_layernorm")
    put("aligner/dense0", "model.aligner.fc1")
    put("aligner/dense1", "model.aligner.hidden_layers.0")
    for block in range(TOWER["num_hidden_layers"]):
        for ours, theirs in {
            "norm1": "layer_norm1",
            "query": "self_attn.q_proj",
            "key": "self_attn.k_proj",
            "value": "self_attn.v_proj",
            "output": "self_attn.projection_layer",
            "norm2": "layer_norm2",
            "mlp_in": "mlp.fc1",
            "mlp_out": "mlp.fc2",
        }.items():
            put(f"vision/block{block}/{ours}", f"{vision}encoder.layers.{block}.{theirs}")
    for ours, theirs in {
        "norm1/scale": "input_layernorm",
        "query/kernel": "self_attn.q_proj",
        "key/kernel": "self_attn.k_proj",
        "value/kernel": "self_attn.v_proj",
        "output/kernel": "self_attn.o_proj",
        "norm2/scale": "post_attention_layernorm",
        "gate/kernel": "mlp.gate_proj",
        "up/kernel": "mlp.up_proj",
        "down/kernel": "mlp.down_proj",
    }.items():
        layers = range(LANGUAGE["num_hidden_layers"])
        weights = [state[f"{language}layers.{layer}.{theirs}.weight"].T for layer in layers]
        expected[f"language/layers/{ours}"] = np.stack(weights)
    return expected


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert found[path].dtype == value.dtype
        np.testing.assert_array_equal(found[path], value, err_msg=path)


@pytest.mark.parametrize("shards", [1, 3])
def test_both_layouts_give_the_parameters_the_tensors_define(tmp_path, model, shards):
    size = "1GB" if shards == 1 else "20KB"
    sources = {
        "transformers": save_hugging_face(model, tmp_path / "transformers", size),
        "deepseek": save_deepseek(model, tmp_path / "deepseek", shards),
    }
    expected = expected_parameters(model)
    for name, source in sources.items():
        assert (len(find_checkpoint(str(source)).files) > 1) == (shards > 1)
        output = tmp_path / f"weights-{name}"
        message = convert_checkpoint(str(source), output)
        assert message.startswith(f"wrote {output}: weights.safetensors (ViT-24/8 with 2 layers")
        assert_same(arrays_in(output), expected)
        parameters, content = read_weights(output)
        assert_same(traverse_util.flatten_dict(parameters, sep="/"), expected)
        spec = JanusSpec.from_json(content["janus"], name)
        assert janus_shapes(spec) == {path: value.shape for path, value in expected.items()}
        assert spec.language.key_value_heads == 2
        assert content["preprocessing"] == {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 32}
        assert content["source"] == str(source)
    weights = [tmp_path / f"weights-{name}" / "weights.safetensors" for name in sources]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_precision_is_converted_as_torch_does(tmp_path, stored, dtype):
    model = random_janus().to(stored)
    for layout, save in (("transformers", save_hugging_face), ("deepseek", save_deepseek)):
        source = save(model, tmp_path / layout)
        convert_checkpoint(str(source), tmp_path / "weights" / layout, dtype)
        found, _ = read_weights(tmp_path / "weights" / layout)
        found = traverse_util.flatten_dict(found, sep="/")
        assert {str(array.dtype) for array in found.values()} == {dtype}
        head = model.lm_head.weight.detach().to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(found["language/head/kernel"].astype(np.float32), head.T)
        with safe_open(tmp_path / "weights" / layout / "weights.safetensors", "torch") as file:
            kernel = file.get_tensor("language/layers/key/kernel")
        layers = model.model.language_model.layers
        expected = torch.stack([layer.self_attn.k_proj.weight.T for layer in layers])
        assert torch.equal(kernel, expected.detach().to(getattr(torch, dtype)))


def test_the_head_left_out_of_a_checkpoint_is_its_embedding(tmp_path):
    source = save_hugging_face(random_janus(tie=True), tmp_path / "source")
    assert "lm_head.weight" not in load_file(source / "model.safetensors")
    convert_checkpoint(str(source), tmp_path / "weights")
    found = arrays_in(tmp_path / "weights")
    np.testing.assert_array_equal(found["language/head/kernel"], found["language/embedding"].T)

    change_config(source, lambda config: config.update(tie_word_embeddings=False))
    with pytest.raises(InputError, match="nothing for language/head/kernel"):
        convert_checkpoint(str(source), tmp_path / "other")


def change_config(source, change):
    config = json.loads((source / "config.json").read_text())
    change(config)
    (source / "config.json").write_text(json.dumps(config))


def test_memory_beyond_the_output_stays_below_twice_the_largest_tensor(tmp_path):
    large = {"vocab_size": 2**16, "hidden_size": 256, "num_hidden_layers": 1}
    largest = 2**16 * 256 * 4
    model, small = random_janus(**large), random_janus()
    save_hugging_face(model, tmp_path / "transformers")
    save_deepseek(model, tmp_path / "deepseek")
    save_hugging_face(small, tmp_path / "small-transformers")
    save_deepseek(small, tmp_path / "small-deepseek")
    code = f"""
import resource, sys
from pathlib import Path
from weight_conversion import janus_config
from weight_conversion.janus import convert_checkpoint
janus_config.DEEPSEEK_TOWERS["siglip_small"] = {TOWER!r}
folder = Path(sys.argv[1])
peaks = []
for name in ("small-transformers", "small-deepseek", "transformers", "deepseek"):
    convert_checkpoint(str(folder / name), folder / "weights" / name)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(*(peak - peaks[1] for peak in peaks[2:]))
"""
    run = [sys.executable, "-c", code, str(tmp_path)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    written = [tmp_path / "weights" / name for name in ("transformers", "deepseek")]
    files = [(folder / "weights.safetensors").read_bytes() for folder in written]
    assert files[0] == files[1]
    assert len(files[0]) > 2 * largest
    peaks = [int(peak) for peak in printed.split()]
    assert max(peaks) < 2 * largest, peaks


def test_tokenizer_and_processor_files_come_along(tmp_path, model):
    source, output = save_hugging_face(model, tmp_path / "source"), tmp_path / "weights"
    (source / "tokenizer.json").write_text('{"version": "1.0"}')
    (source / "chat_template.jinja").write_text("{{ messages }}")
    processor = {"image_processor": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}}
    (source / "processor_config.json").write_text(json.dumps(processor))
    assert "4 files of tokenizer and processor" in convert_checkpoint(str(source), output)
    names = ["chat_template.jinja", "config.json", "processor_config.json", "tokenizer.json"]
    assert sorted(path.name for path in (output / "tokenizer").iterdir()) == names
    for name in names:
        assert (output / "tokenizer" / name).read_bytes() == (source / name).read_bytes()
    found = json.loads((output / "spec.json").read_text())["preprocessing"]
    assert found == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "size": 32}

    assert "up to date" in convert_checkpoint(str(source), output)
    (output / "tokenizer" / "tokenizer.json").write_text("{}")
    assert convert_checkpoint(str(source), output).startswith("wrote")
    (source / "chat_template.jinja").unlink()
    assert convert_checkpoint(str(source), output).startswith("wrote")
    names.remove("chat_template.jinja")
    assert sorted(path.name for path in (output / "tokenizer").iterdir()) == names


def test_only_what_changed_is_converted_again(tmp_path, model):
    source, output = save_deepseek(model, tmp_path / "source"), tmp_path / "weights"
    assert convert_checkpoint(str(source), output).startswith("wrote")
    weights = output / "weights.safetensors"
    before, content = weights.stat().st_mtime_ns, weights.read_bytes()
    assert convert_checkpoint(str(source), output).startswith(f"{output} is up to date")
    assert weights.stat().st_mtime_ns == before

    weights.write_bytes(content[:-100])
    assert convert_checkpoint(str(source), output).startswith("wrote")
    assert weights.read_bytes() == content
    assert convert_checkpoint(str(source), output, "bfloat16").startswith("wrote")
    assert len(weights.read_bytes()) < 0.6 * len(content)
    assert sorted(path.name for path in output.iterdir()) == [
        "spec.json",
        "tokenizer",
        "weights.safetensors",
    ]
    tensors = deepseek_tensors(model)
    tensors["aligner.layers.0.bias"] = tensors["aligner.layers.0.bias"] + 1
    torch.save(tensors, source / "pytorch_model.bin")
    assert convert_checkpoint(str(source), output, "bfloat16").startswith("wrote")


def test_a_failed_conversion_leaves_nothing_that_looks_finished(tmp_path, model, monkeypatch):
    source, output = save_deepseek(model, tmp_path / "source"), tmp_path / "weights"
    tensors = deepseek_tensors(model)
    tensors["aligner.layers.0.bias"] = tensors["aligner.layers.0.bias"].long()
    torch.save(tensors, source / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"floating-point numbers under aligner.layers.0.bias"):
        convert_checkpoint(str(source), output)
    assert not (output / "weights.safetensors").exists()
    assert not (output / "spec.json").exists()
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


def test_the_program_says_what_it_wrote_and_left_out(tmp_path, model):
    source, output = save_hugging_face(model, tmp_path / "source"), tmp_path / "weights"
    command = [sys.executable, "-m", "weight_conversion.janus", f"--source={source}"]
    arguments = [f"--output={output}", "--dtype=bfloat16"]
    printed = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    assert "parameters in bfloat16" in printed.stdout
    assert re.search(r"without model\.vqmodel\.\*, .*model\.generation_head\.\*", printed.stdout)
    assert len(printed.stdout.splitlines()) == 1


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


def test_the_published_configuration_is_janus_pro_1b():
    config = {
        "model_type": "multi_modality",
        "vision_config": {
            "params": {
                "image_size": 384,
                "model_name": "siglip_large_patch16_384",
                "select_layer": -1,
            }
        },
        "aligner_config": {
            "params": {"depth": 2, "n_embed": 2048, "projector_type": "mlp_gelu"},
        },
        "language_config": {
            "vocab_size": 102400,
            "hidden_size": 2048,
            "intermediate_size": 5632,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
        },
    }
    found = janus_config.read_architecture(config, "Janus-Pro-1B")
    assert found.spec == JANUS_PRO_1B
    assert found.layout is janus_layouts.DEEPSEEK
    assert not found.tied_head
    text = {**config["language_config"], "rope_theta": 10000.0}
    same = {"model_type": "janus", "text_config": text, "vision_config": {}}
    assert janus_config.read_architecture(same, "Janus-Pro-1B").spec == found.spec


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
