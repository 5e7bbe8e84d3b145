import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference
from flax import traverse_util

from jaxrecon.encoders.janus import Janus
from jaxrecon.encoders.janus_spec import JANUS_PRO_1B, JanusSpec, janus_shapes
from jaxrecon.encoders.janus_store import open_janus, random_janus, read_janus_spec
from jaxrecon.encoders.spec import PixelStatistics
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.weight_store import file_sha256, write_weights

SPEC = reference.SMALL
STATISTICS = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.6, 0.7]}


def save(folder, dtype=np.float32, without=(), **changes):
    """Converted weights, as the converter lays them out, and the arrays themselves."""
    rng = np.random.default_rng(0)
    arrays = {
        path: rng.normal(size=shape).astype(dtype) for path, shape in janus_shapes(SPEC).items()
    }
    content = {"janus": SPEC.to_json(), "preprocessing": {**STATISTICS, "size": 32}}
    content |= {"source": "somebody/janus"} | changes
    write_weights(folder, {k: v for k, v in arrays.items() if k not in without}, content)
    return arrays


@pytest.mark.parametrize("stored", [np.float32, jnp.bfloat16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_weights_are_read_in_the_precision_asked_for(tmp_path, stored, dtype):
    arrays = save(tmp_path, stored)
    weights = open_janus(str(tmp_path), dtype)
    flat = traverse_util.flatten_dict(weights.parameters, sep="/")
    assert flat.keys() == arrays.keys()
    for path, expected in arrays.items():
        large = path.endswith("/kernel") or path == "language/embedding"
        assert flat[path].dtype == (dtype if large else jnp.float32)
        np.testing.assert_array_equal(flat[path], expected.astype(flat[path].dtype))
    assert weights.spec == SPEC
    assert weights.statistics == PixelStatistics((0.5, 0.4, 0.3), (0.5, 0.6, 0.7))
    assert weights.description == f"{tmp_path} (somebody/janus)"
    assert weights.sha256 == file_sha256(tmp_path / "weights.safetensors")
    assert weights.folder == tmp_path


def test_the_tower_is_an_encoder_of_its_own(tmp_path):
    save(tmp_path)
    weights = open_janus(str(tmp_path))
    tower = weights.tower()
    assert tower.spec == SPEC.vision
    assert tower.sha256 == weights.sha256
    images = jnp.asarray(np.random.default_rng(1).normal(size=(1, 32, 32, 3)), jnp.float32)
    (last,) = VisionTransformer(tower.spec, (2,), 32).apply({"frozen": tower.parameters}, images)
    found = Janus(SPEC, (3,)).apply({"frozen": weights.parameters}, images, method="image_features")
    norm = weights.parameters["vision_norm"]
    expected = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(found, expected * norm["scale"] + norm["bias"], atol=1e-5)


def test_random_weights_come_from_their_seed():
    flat = [
        traverse_util.flatten_dict(random_janus(SPEC, seed=seed).parameters, sep="/")
        for seed in (3, 3, 4)
    ]
    assert {path: leaf.shape for path, leaf in flat[0].items()} == janus_shapes(SPEC)
    for path, leaf in flat[0].items():
        np.testing.assert_array_equal(leaf, flat[1][path])
        kind = path.rsplit("/", 1)[-1]
        if kind in ("scale", "bias"):
            assert (leaf == (kind == "scale")).all()
        else:
            assert abs(leaf.std() / 0.02 - 1) < 0.2
            assert not np.array_equal(leaf, flat[2][path])
    weights = open_janus("random", jnp.bfloat16, seed=3, spec=SPEC)
    assert weights.description == "random Janus (seed 3)"
    assert (weights.sha256, weights.folder) == (None, None)
    assert jax.tree.leaves(weights.parameters["language"]["head"])[0].dtype == jnp.bfloat16


def test_missing_weights_come_with_the_command_that_makes_them(tmp_path):
    command = (
        "python -m weight_conversion.janus --source deepseek-community/Janus-Pro-1B "
        f"--output {tmp_path}"
    )
    with pytest.raises(InputError, match=f"found none; make them with: {command}"):
        open_janus(str(tmp_path))


def test_damaged_weights_are_named(tmp_path):
    save(tmp_path / "less", without=("language/norm/scale",))
    with pytest.raises(InputError, match="found none for language/norm/scale"):
        open_janus(str(tmp_path / "less"))
    deeper = SPEC.to_json() | {"language": SPEC.language.to_json() | {"depth": 4}}
    save(tmp_path / "deeper", janus=deeper)
    with pytest.raises(InputError, match=r"of shape \(4, 32\), found \(3, 32\)"):
        open_janus(str(tmp_path / "deeper"))
    save(tmp_path / "broken")
    (tmp_path / "broken" / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="expected a safetensors file, found"):
        open_janus(str(tmp_path / "broken"))
    save(tmp_path / "other", janus=None)
    with pytest.raises(InputError, match="expected the architecture of a Janus, found none"):
        open_janus(str(tmp_path / "other"))
    save(tmp_path / "pixels", preprocessing={"mean": [0.5]})
    with pytest.raises(InputError, match="expected preprocessing with mean and std"):
        read_janus_spec(tmp_path / "pixels")


def test_a_specification_survives_json():
    fields = json.loads(json.dumps(JANUS_PRO_1B.to_json()))
    assert JanusSpec.from_json(fields, "here") == JANUS_PRO_1B
    assert (JANUS_PRO_1B.image_tokens, JANUS_PRO_1B.aligner_width) == (576, 2048)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (None, {"head": 1}, "expected the fields of Janus, found other ones or none for head"),
        (None, {"language": 3}, "expected language as an object, found 3"),
        (None, {"aligner_depth": 0}, "expected aligner_depth as a count above 0, found 0"),
        ("vision", {"class_token": True}, "vision tower without class token"),
        ("vision", {"width": -1}, "here: vision: expected sizes of a vision transformer"),
        ("language", {"more": 1}, "expected the fields of a language model, found other ones"),
        ("language", {"width": "wide"}, "here: language: expected width as .*, found 'wide'"),
        ("language", {"depth": 0}, "expected depth above 0, found 0"),
        ("language", {"key_value_heads": 3}, "a divisor of heads, 16, found 3"),
        ("language", {"head_width": 5}, "an even head_width for rotary embeddings, found 5"),
    ],
)
def test_impossible_specifications_are_named(part, change, message):
    fields = JANUS_PRO_1B.to_json()
    fields = fields | change if part is None else fields | {part: fields[part] | change}
    with pytest.raises(InputError, match=message):
        JanusSpec.from_json(fields, "here")
