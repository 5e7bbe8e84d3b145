import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxrecon.errors import InputError
from jaxrecon.weight_store import file_sha256, read_spec, read_weights, write_weights

PARAMETERS = {
    "encoder/block0/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "encoder/scale": np.float32(-0.0).reshape(()),
    "head": np.array([1, -2], np.int32),
}
SPEC = {"model": {"name": "varnet"}, "source": "model.pt", "source_sha256": "0" * 64}


def test_weights_and_specification_come_back(tmp_path):
    write_weights(tmp_path / "a" / "b", PARAMETERS, SPEC)
    tree, spec = read_weights(tmp_path / "a" / "b")
    assert spec == SPEC
    assert tree.keys() == {"encoder", "head"}
    found = {
        "encoder/block0/kernel": tree["encoder"]["block0"]["kernel"],
        "encoder/scale": tree["encoder"]["scale"],
        "head": tree["head"],
    }
    for path, expected in PARAMETERS.items():
        assert (found[path].dtype, found[path].shape) == (expected.dtype, expected.shape)
        assert found[path].tobytes() == expected.tobytes()


def test_the_files_are_what_their_names_say_and_nothing_else_is_left(tmp_path):
    write_weights(tmp_path, PARAMETERS, SPEC)
    assert {path.name for path in tmp_path.iterdir()} == {"weights.safetensors", "spec.json"}
    assert load_file(tmp_path / "weights.safetensors").keys() == PARAMETERS.keys()
    assert json.loads((tmp_path / "spec.json").read_text()) == SPEC


def test_writing_again_replaces_both(tmp_path):
    write_weights(tmp_path, PARAMETERS, SPEC)
    write_weights(tmp_path, {"head": np.zeros(3, np.float32)}, {"model": 2})
    tree, spec = read_weights(tmp_path)
    assert spec == {"model": 2}
    assert list(tree) == ["head"]


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"spec\.json: expected the specification of converted weights, found .*No such"),
        ("{", r"spec\.json: expected the specification of converted weights"),
        ("[1]", r"spec\.json: expected a JSON object, found list"),
    ],
)
def test_a_bad_specification_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_spec(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [None, 0, 4, 60, -1])
def test_missing_and_truncated_weights_are_named(tmp_path, kept):
    write_weights(tmp_path, PARAMETERS, SPEC)
    path = tmp_path / "weights.safetensors"
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    with pytest.raises(InputError, match=r"weights\.safetensors: expected a safetensors file"):
        read_weights(tmp_path)
