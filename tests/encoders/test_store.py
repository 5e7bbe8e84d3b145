import dataclasses
import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import load_file, save_file

from jaxrecon.encoders.spec import (
    CLIP_PIXELS,
    IMAGENET,
    PUBLISHED,
    PublishedEncoder,
    ViTSpec,
    published_encoder,
)
from jaxrecon.encoders.store import (
    encoder_spec_json,
    load_encoder,
    open_encoder,
    place_encoder,
    random_encoder,
)
from jaxrecon.errors import InputError
from jaxrecon.weight_store import write_weights

SPEC = ViTSpec(
    width=24,
    depth=4,
    heads=2,
    mlp_width=48,
    patch=4,
    image_size=20,
    class_token=True,
    embedding_norm=True,
    layer_scale=False,
    patch_bias=False,
    activation="quick_gelu",
    epsilon=1e-5,
)
PUBLISHED_SMALL = PublishedEncoder(SPEC, CLIP_PIXELS, "clip", "someone/small-clip")


@pytest.fixture
def folder(tmp_path):
    """Converted weights of a complete encoder."""
    parameters = random_encoder(SPEC, CLIP_PIXELS, (4,), 20, seed=7).parameters
    flat = traverse_util.flatten_dict(parameters, sep="/")
    origin = {"source": "someone/small-clip", "converter": "clip 1"}
    write_weights(tmp_path / "clip", flat, encoder_spec_json(SPEC, CLIP_PIXELS) | origin)
    return tmp_path / "clip"


def test_what_was_written_is_read_up_to_the_last_layer_asked_for(folder):
    encoder = open_encoder(str(folder), PUBLISHED_SMALL, (1, 2), 20)
    written = load_file(folder / "weights.safetensors")
    found = traverse_util.flatten_dict(encoder.parameters, sep="/")
    assert found.keys() == {k for k in written if not k.startswith(("block2", "block3"))}
    for path, value in found.items():
        np.testing.assert_array_equal(value, written[path])
    assert (encoder.spec, encoder.statistics) == (SPEC, CLIP_PIXELS)
    assert encoder.description == f"{folder} (someone/small-clip)"
    content = (folder / "weights.safetensors").read_bytes()
    assert encoder.sha256 == hashlib.sha256(content).hexdigest()


def test_layers_that_are_not_needed_are_not_touched(folder):
    written = load_file(folder / "weights.safetensors")
    kept = {k: v for k, v in written.items() if not k.startswith("block3")}
    save_file(kept, folder / "weights.safetensors")
    load_encoder(folder, (1, 2, 3), 20)
    with pytest.raises(InputError, match="arrays for ViT-24/4, found none for block3/key/bias"):
        load_encoder(folder, (4,), 20)


def test_positions_come_in_the_grid_of_the_images(folder):
    encoder = load_encoder(folder, (1,), 12)
    assert encoder.parameters["positions"].shape == (1 + 3 * 3, 24)


def test_missing_weights_end_in_the_command_that_makes_them(tmp_path):
    with pytest.raises(InputError) as caught:
        open_encoder(f"{tmp_path}/clip", PUBLISHED["clip_vit_b16"], (1,))
    assert (
        "python -m weight_conversion.clip --source openai/clip-vit-base-patch16 "
        f"--output {tmp_path}/clip" in str(caught.value)
    )
    assert "\n" not in str(caught.value)


def test_another_architecture_is_named(folder):
    other = dataclasses.replace(SPEC, heads=3, activation="gelu")
    published = dataclasses.replace(PUBLISHED_SMALL, spec=other)
    with pytest.raises(
        InputError, match="found heads 2 instead of 3, activation quick_gelu instead of gelu"
    ):
        open_encoder(str(folder), published, (1,), 20)


def _truncate(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _reshape(folder):
    written = load_file(folder / "weights.safetensors")
    save_file({**written, "class_token": np.zeros(7, np.float32)}, folder / "weights.safetensors")


def _change(**fields):
    def change(folder):
        content = json.loads((folder / "spec.json").read_text())
        content["architecture"] |= fields
        (folder / "spec.json").write_text(json.dumps(content))

    return change


def _replace(field, value):
    def change(folder):
        content = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**content, field: value}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "weights.safetensors: expected a safetensors file"),
        (lambda f: (f / "weights.safetensors").unlink(), "expected a safetensors file"),
        (lambda f: (f / "spec.json").unlink(), "expected the specification"),
        (_reshape, r"expected class_token of shape \(24,\), found \(7,\)"),
        (_change(width="wide"), "expected width as <class 'int'>, found 'wide'"),
        (_change(heads=5), "expected sizes of a vision transformer, found .* 5 heads"),
        (_change(activation="relu"), "expected activation as one of gelu, .* found 'relu'"),
        (_change(colour=1), "found other ones or none for colour"),
        (_replace("architecture", None), "expected the architecture of an encoder, found none"),
        (_replace("preprocessing", {"mean": [0, 1]}), "with mean and std of three channels"),
    ],
)
def test_damaged_weights_are_named(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_encoder(folder, (1,), 20)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


def test_random_weights_follow_the_seed_and_say_what_they_are():
    first, again, other = (
        open_encoder("random", PUBLISHED_SMALL, (1, 2), 12, seed=seed) for seed in (3, 3, 4)
    )
    assert first.description == "random encoder (seed 3)"
    assert first.sha256 is None
    kernels = [e.parameters["block1"]["query"]["kernel"] for e in (first, again, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.allclose(kernels[0], kernels[2])
    assert abs(np.std(kernels[0]) - 0.02) < 0.002
    assert first.parameters["positions"].shape == (10, 24)


def test_an_encoder_of_another_shape_does_not_take_a_network_s_place():
    encoder = random_encoder(SPEC, IMAGENET, (1, 2), 12)
    variables = {"params": {}, "frozen": {"cascades": {"encoder": encoder.parameters}}}
    placed = place_encoder(variables, encoder)
    np.testing.assert_array_equal(
        placed["frozen"]["cascades"]["encoder"]["positions"], encoder.parameters["positions"]
    )
    for other, differing in (
        (random_encoder(SPEC, IMAGENET, (1, 2), 16), "1 that differ .* cascades/encoder/positions"),
        (random_encoder(SPEC, IMAGENET, (1,), 12), "such as cascades/encoder/block1/"),
        (random_encoder(SPEC, IMAGENET, (1, 2), 12, jnp.bfloat16), "or dtype, such as"),
    ):
        with pytest.raises(InputError, match=differing):
            place_encoder(variables, other)
    with pytest.raises(InputError, match="expected the weights of the network's encoder"):
        place_encoder({"params": {}}, encoder)


def test_an_unknown_encoder_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"expected one of clip_vit_b16, .* found 'vgg'"):
        published_encoder("vgg")
    for name, encoder in PUBLISHED.items():
        assert published_encoder(name) is encoder
