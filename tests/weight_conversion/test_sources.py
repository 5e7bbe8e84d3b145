import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from jaxrecon.errors import InputError
from weight_conversion.sources import find_checkpoint


@pytest.mark.parametrize("source", ["missing.safetensors", "./a/b", "a/b/c", "/nowhere/at/all"])
def test_what_is_neither_a_path_nor_an_id_is_named(source):
    with pytest.raises(InputError, match="expected a file, a folder or a Hugging Face id"):
        find_checkpoint(source)


def test_a_folder_without_a_checkpoint_says_what_was_looked_for(tmp_path):
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(InputError, match=r"expected one of model.safetensors, .* found none"):
        find_checkpoint(str(tmp_path))


def test_safetensors_are_preferred_to_pickles(tmp_path):
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).touch()
    assert find_checkpoint(str(tmp_path)).files == (tmp_path / "model.safetensors",)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "none named two"),
        ({"weight_map": ["one.safetensors"]}, "expected a weight_map"),
        ([], "expected a JSON object, found list"),
    ],
)
def test_a_broken_set_of_shards_is_named(tmp_path, index, message):
    save_file({"a": np.zeros(1)}, tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=message) as caught:
        find_checkpoint(str(tmp_path))
    assert str(caught.value).startswith(str(tmp_path / "model.safetensors.index.json"))


def test_a_key_in_two_shards_is_an_error(tmp_path):
    for name in ("one", "two"):
        save_file({"a": np.zeros(1)}, tmp_path / f"{name}.safetensors")
    places = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(places))
    with pytest.raises(InputError, match="each key in one shard, found a again"):
        find_checkpoint(str(tmp_path)).read()


def test_the_hash_of_shards_follows_their_content(tmp_path):
    def hash_of(value):
        save_file({"a": np.zeros(1)}, tmp_path / "one.safetensors")
        save_file({"b": np.full(1, value)}, tmp_path / "two.safetensors")
        places = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(places))
        return find_checkpoint(str(tmp_path)).sha256()

    assert hash_of(1.0) == hash_of(1.0) != hash_of(2.0)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file_is_named(tmp_path, name):
    path = tmp_path / name
    if name.endswith("bin"):
        torch.save({"a": torch.zeros(1000)}, path)
    else:
        save_file({"a": np.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"expected a .*, found") as caught:
        find_checkpoint(str(tmp_path)).read()
    assert str(caught.value).startswith(f"{path}:")
    assert "\n" not in str(caught.value)


class _RunsCode:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_cannot_run_code(tmp_path, capsys):
    torch.save({"a": _RunsCode()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="expected a torch checkpoint of plain tensors"):
        find_checkpoint(str(tmp_path)).read()
    assert "must not run" not in capsys.readouterr().out


def test_a_configuration_that_is_not_json_is_named(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json: expected a JSON file"):
        find_checkpoint(str(tmp_path))
