import json
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_encoders as reference
import torch
from flax import traverse_util
from safetensors.numpy import load_file, save_file

from jaxrecon.encoders.preprocess import encoder_input
from jaxrecon.encoders.spec import PUBLISHED
from jaxrecon.encoders.store import load_encoder, read_encoder_spec
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from weight_conversion.biomedclip import convert_biomedclip
from weight_conversion.clip import convert_clip
from weight_conversion.dinov2 import convert_dinov2
from weight_conversion.encoder_program import convert_checkpoint
from weight_conversion.siglip import convert_siglip
from weight_conversion.sources import find_checkpoint

CONVERTERS = {
    "clip": (reference.clip, convert_clip),
    "dinov2": (reference.dinov2, convert_dinov2),
    "biomedclip": (reference.timm_vit, convert_biomedclip),
    "siglip": (reference.siglip, convert_siglip),
}


def pixels(size=224, batch=1):
    return np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype(np.float32)


def largest_errors(found, expected):
    """Largest error of each hidden state, relative to its largest magnitude."""
    assert len(found) == len(expected)
    return [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, expected, strict=True)]


def encode(encoder, layers, images, dtype=jnp.float32):
    network = VisionTransformer(encoder.spec, layers, images.shape[1], dtype)
    return jax.jit(network.apply)({"frozen": encoder.parameters}, images)


def convert(family, folder, output, **options):
    return convert_checkpoint(CONVERTERS[family][1], f"{family} 1", str(folder), output, **options)


@pytest.fixture
def folder(tmp_path):
    """A folder that does not outlive the test: full encoders take 350 MB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("family", CONVERTERS)
@pytest.mark.parametrize("size", [reference.SMALL, reference.FULL], ids=["small", "full"])
def test_every_hidden_state_is_the_reference_s(folder, family, size):
    model = CONVERTERS[family][0](*size)  # DINOv2 has a 37x37 grid, here brought to 16x16
    reference.save(model, folder / "source")
    convert(family, folder / "source", folder / "weights")
    layers = tuple(range(size[1] + 1))
    encoder = load_encoder(folder / "weights", layers)
    errors = largest_errors(
        encode(encoder, layers, pixels()), reference.hidden_states(model, pixels())
    )
    assert max(errors) <= 1e-5
    if size == reference.FULL:
        published = next(p for p in PUBLISHED.values() if p.converter == family)
        if family == "dinov2":
            published = PUBLISHED["dinov2_vit_b14"]
        assert encoder.spec == published.spec
        assert encoder.statistics == published.statistics


@pytest.mark.parametrize("seen", [64, 224], ids=["resampled", "own-size"])
def test_other_sizes_patches_and_activations_are_read_off_the_checkpoint(folder, seen):
    model = reference.clip(96, 2, 2, patch=32, image_size=224, activation="gelu")
    reference.save(model, folder / "source")
    convert("clip", folder / "source", folder / "weights")
    encoder = load_encoder(folder / "weights", (0, 1, 2), seen)
    assert (encoder.spec.patch, encoder.spec.activation) == (32, "gelu")
    images = pixels(seen, batch=2)
    with torch.no_grad():
        expected = model.vision_model(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            output_hidden_states=True,
            interpolate_pos_encoding=True,
        ).hidden_states
    errors = largest_errors(encode(encoder, (0, 1, 2), images), [e.numpy() for e in expected])
    assert max(errors) <= 1e-5


def test_a_real_encoder_converts_and_sees_real_images_as_the_reference_does(real_data, folder):
    source = real_data / "weights" / "dinov2-small-derived"
    arguments = [
        *(sys.executable, "-m", "weight_conversion.dinov2"),
        *(f"--source={source}", f"--output={folder / 'weights'}"),
    ]
    first = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "ViT-S/14, 12 layers, 22,055,424 parameters" in first.stdout
    written = (folder / "weights" / "weights.safetensors").stat().st_mtime_ns
    second = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "up to date" in second.stdout
    assert (folder / "weights" / "weights.safetensors").stat().st_mtime_ns == written

    encoder = load_encoder(folder / "weights", tuple(range(13)))
    assert encoder.spec == PUBLISHED["dinov2_vit_s14"].spec
    real = np.load(real_data / "data" / "cardiac_sax.npz")["images"][[3, 47]]
    images = encoder_input(jnp.asarray(real), encoder.statistics)
    model = reference.transformers.Dinov2Model.from_pretrained(source, dtype=torch.float32)
    expected = reference.hidden_states(model.eval(), images)
    assert max(largest_errors(encode(encoder, tuple(range(13)), images), expected)) <= 1e-5


def test_a_checkpoint_gives_the_same_encoder_however_it_is_stored(tmp_path):
    model = reference.dinov2(*reference.SMALL, image_size=56)
    reference.save(model, tmp_path / "whole")
    expected = find_checkpoint(str(tmp_path / "whole")).read()
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    parameters = convert_dinov2(expected, config, "whole").parameters

    model.save_pretrained(tmp_path / "shards", max_shard_size="1MB")
    shards = find_checkpoint(str(tmp_path / "shards"))
    assert len(shards.files) > 1
    (tmp_path / "pickle").mkdir()
    tensors = {key: torch.from_numpy(value) for key, value in expected.items()}
    torch.save(tensors, tmp_path / "pickle" / "pytorch_model.bin")
    wrapped = {f"dinov2.{key}": value for key, value in expected.items()}
    save_file({**wrapped, "classifier.weight": np.zeros((2, 2))}, tmp_path / "file.safetensors")
    for source in ("shards", "pickle", "file.safetensors"):
        checkpoint = find_checkpoint(str(tmp_path / source))
        found = convert_dinov2(checkpoint.read(), config, source).parameters
        assert found.keys() == parameters.keys()
        for path, value in parameters.items():
            np.testing.assert_array_equal(found[path], value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path, dtype):
    model = reference.dinov2(*reference.SMALL, image_size=56).to(dtype)
    reference.save(model, tmp_path)
    found = find_checkpoint(str(tmp_path)).read()
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    weight = model.embeddings.patch_embeddings.projection.weight
    np.testing.assert_array_equal(
        found["embeddings.patch_embeddings.projection.weight"], weight.detach().float().numpy()
    )


def clip_source(tmp_path, change=dict, size=(192, 2, 3)):
    """A checkpoint of CLIP whose arrays went through `change`."""
    folder = reference.save(reference.clip(*size, image_size=32), tmp_path / "source")
    arrays = load_file(folder / "model.safetensors")
    save_file(change(arrays), folder / "model.safetensors")
    return folder


def _without(*keys):
    return lambda arrays: {key: value for key, value in arrays.items() if key not in keys}


V = "vision_model."
PATCH_WEIGHT = f"{V}embeddings.patch_embedding.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arrays: {**arrays, "extra": np.zeros(3), "b": np.zeros((2, 2))},
            r"2 entries do not fit: .*unexpected b \(2, 2\).*unexpected extra \(3\)",
        ),
        (
            _without(f"{V}encoder.layers.1.mlp.fc1.bias", f"{V}pre_layrnorm.weight"),
            "2 entries do not fit: nothing for block1/mlp_in/bias; .*embedding_norm/scale",
        ),
        (
            lambda arrays: {**arrays, f"{V}encoder.layers.0.mlp.fc2.bias": np.zeros(7)},
            r"block0/mlp_out/bias is \(7\), not \(192,\)",
        ),
        (
            lambda arrays: {k: v for k, v in arrays.items() if not k.startswith(V)},
            "expected the vision encoder of a CLIP checkpoint, .* such as logit_scale",
        ),
        (
            lambda arrays: {k.replace("layers.1.", "layers.3."): v for k, v in arrays.items()},
            "no parameter block3/",
        ),
        (
            lambda arrays: {**arrays, PATCH_WEIGHT: np.zeros((192, 1, 16, 16), np.float32)},
            "expected square patches of 3 channels",
        ),
        (
            lambda arrays: {**arrays, PATCH_WEIGHT: np.zeros(4, np.float32)},
            r"4 dimensions, found shape \(4,\)",
        ),
        (
            lambda arrays: {
                **arrays,
                f"{V}embeddings.position_embedding.weight": np.zeros((7, 192), np.float32),
            },
            r"position embeddings of a square grid .* found shape \(7, 192\)",
        ),
        (_without(f"{V}encoder.layers.0.mlp.fc1.weight"), "mlp.fc1.weight .*, found none"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    source = clip_source(tmp_path, change)
    with pytest.raises(InputError, match=message) as caught:
        convert("clip", source, tmp_path / "weights")
    assert str(caught.value).startswith(f"{source}:")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_size", 384, "the width of its configuration, 384, found 192"),
        ("num_attention_heads", 5, "num_attention_heads that divide the width 192, found 5"),
        ("hidden_act", "relu", "expected hidden_act as one of .*, found 'relu'"),
        ("layer_norm_eps", "small", "expected layer_norm_eps as a number, found 'small'"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(tmp_path, field, value, message):
    source = clip_source(tmp_path)
    config = json.loads((source / "config.json").read_text())
    config["vision_config"][field] = value
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        convert("clip", source, tmp_path / "weights")


def test_a_lone_file_of_unknown_width_needs_its_configuration(tmp_path):
    source = reference.save(reference.dinov2(96, 1, 2, image_size=28), tmp_path / "source")
    (source / "config.json").unlink()
    with pytest.raises(InputError, match=r"expected a config.json beside it"):
        convert("dinov2", source / "model.safetensors", tmp_path / "weights")


def test_an_encoder_larger_than_a_vit_b_is_refused_unless_asked_for(tmp_path):
    source = clip_source(tmp_path, size=(1024, 1, 16))
    with pytest.raises(InputError, match=r"at most a ViT-B, .* found ViT-L/16, 1024 wide"):
        convert("clip", source, tmp_path / "weights")
    message = convert("clip", source, tmp_path / "weights", allow_larger=True)
    assert message.startswith(f"wrote {tmp_path / 'weights'}: weights.safetensors (ViT-L/16")


@pytest.mark.parametrize("family", CONVERTERS)
def test_each_converter_names_what_it_is_not_given(tmp_path, family):
    other = "clip" if family != "clip" else "dinov2"
    source = reference.save(CONVERTERS[other][0](192, 1, 3, image_size=56), tmp_path / "source")
    with pytest.raises(InputError) as caught:
        convert(family, source, tmp_path / "weights")
    assert str(caught.value).startswith(f"{source}: ")
    assert not (tmp_path / "weights").exists()


def test_only_a_changed_source_or_damaged_output_is_converted_again(tmp_path):
    source, output = clip_source(tmp_path), tmp_path / "weights"
    assert convert("clip", source, output).startswith("wrote")
    assert convert("clip", source, output).startswith(f"{output} is up to date")

    weights = output / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert convert("clip", source, output).startswith("wrote")
    assert weights.read_bytes() == whole

    config = json.loads((source / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "gelu"
    (source / "config.json").write_text(json.dumps(config))
    assert convert("clip", source, output).startswith("wrote")
    assert read_encoder_spec(output)[0].activation == "gelu"

    clip_source(tmp_path, lambda a: {**a, PATCH_WEIGHT: a[PATCH_WEIGHT] * 2})
    assert convert("clip", source, output).startswith("wrote")
    assert weights.read_bytes() != whole
    assert sorted(path.name for path in output.iterdir()) == ["spec.json", "weights.safetensors"]


def test_weights_of_another_kind_are_not_overwritten(tmp_path):
    source, output = clip_source(tmp_path), tmp_path / "weights"
    output.mkdir()
    (output / "spec.json").write_text('{"converter": "fastmri_varnet 1"}')
    with pytest.raises(InputError, match="found weights written by 'fastmri_varnet 1'"):
        convert("clip", source, output)
    with pytest.raises(InputError, match="expected a folder to write to, found a file"):
        convert("clip", source, output / "spec.json")


def test_the_program_finds_a_hugging_face_id_in_the_hub_s_cache(tmp_path):
    repository = tmp_path / "hub" / "models--someone--small-clip"
    model = reference.clip(192, 1, 3, image_size=32)
    reference.save(model, repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def run(source):
        return subprocess.run(
            [
                *(sys.executable, "-m", "weight_conversion.clip"),
                *(f"--source={source}", f"--output={tmp_path / 'weights'}"),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    absent = run("someone/else")
    assert absent.returncode == 1
    assert absent.stderr.startswith("error: someone/else: expected a file, a folder or a Hugging")
    assert len(absent.stderr.strip().splitlines()) == 1
    found = run("someone/small-clip")
    assert found.returncode == 0, found.stderr
    assert "without logit_scale, text_model" in found.stdout
    spec = json.loads((tmp_path / "weights" / "spec.json").read_text())
    assert spec["source"] == "someone/small-clip"
    encoder = load_encoder(tmp_path / "weights", (1,), 32)
    kernel = model.vision_model.encoder.layers[0].mlp.fc1.weight.detach().numpy()
    flat = traverse_util.flatten_dict(encoder.parameters, sep="/")
    np.testing.assert_array_equal(flat["block0/mlp_in/kernel"], kernel.T)
