import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from flax import traverse_util
from janus_checkpoints import (
    SMALL_TOWER,
    TOWER,
    change_config,
    deepseek_tensors,
    expected_parameters,
    random_janus,
    save_deepseek,
    save_hugging_face,
)
from safetensors import safe_open
from safetensors.numpy import load_file

from jaxrecon.encoders.janus_spec import JANUS_PRO_1B, JanusSpec, janus_shapes
from jaxrecon.errors import InputError
from jaxrecon.weight_store import read_weights
from weight_conversion import janus_config, janus_layouts
from weight_conversion.janus import convert_checkpoint
from weight_conversion.sources import find_checkpoint


@pytest.fixture(scope="module")
def model():
    return random_janus()


def arrays_in(folder):
    return load_file(folder / "weights.safetensors")


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_memory_beyond_the_output_stays_below_twice_the_largest_tensor(tmp_path):
    large = {"vocab_size": 2**16, "hidden_size": 256, "num_hidden_layers": 1}
    largest = 2**16 * 256 * 4
    model, small = random_janus(**large), random_janus()
    save_hugging_face(model, tmp_path / "transformers")
    save_deepseek(model, tmp_path / "deepseek", shards=2)
    save_hugging_face(small, tmp_path / "small-transformers")
    save_deepseek(small, tmp_path / "small-deepseek")
    code = f"""
import re, sys
from pathlib import Path
from weight_conversion import janus_config
from weight_conversion.janus import convert_checkpoint
janus_config.DEEPSEEK_TOWERS[{SMALL_TOWER!r}] = {TOWER!r}
folder = Path(sys.argv[1])
peaks = []
for name in ("small-transformers", "small-deepseek", "transformers", "deepseek"):
    convert_checkpoint(str(folder / name), folder / "weights" / name)
    status = Path("/proc/self/status").read_text()
    peaks.append(int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1]) * 1024)
print(*(peak - peaks[1] for peak in peaks[2:]))
"""
    run = [sys.executable, "-c", code, str(tmp_path)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    written = [tmp_path / "weights" / name for name in ("transformers", "deepseek")]
    files = [(folder / "weights.safetensors").read_bytes() for folder in written]
    assert files[0] == files[1]
    assert len(files[0]) > 2 * largest
    peaks = [int(peak) for peak in printed.split()]
    # Between what any conversion needs, without which nothing was measured, and the limit. A
    # process's ru_maxrss would not do: it is no less than that of the process that started it.
    assert largest < peaks[0] <= peaks[1] < 2 * largest, peaks


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
    assert re.search(r"without model\.generation_.*, model\.vqmodel\.\*\)", printed.stdout)
    assert len(printed.stdout.splitlines()) == 1


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
