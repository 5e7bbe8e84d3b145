import datetime as dt
import json
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrecon
from jaxrecon.training.provenance import parameters_sha256, provenance, source_commit

TREE = {"a": {"kernel": jnp.arange(6.0).reshape(2, 3)}, "b": jnp.float32(-0.0)}


def test_equal_trees_have_equal_hashes_wherever_they_lie():
    expected = parameters_sha256(TREE)
    assert len(expected) == 64
    assert parameters_sha256(jax.tree.map(np.array, TREE)) == expected
    assert parameters_sha256(jax.device_put(TREE, jax.devices()[-1])) == expected


@pytest.mark.parametrize(
    "other",
    [
        {**TREE, "b": jnp.float32(0.0)},
        {**TREE, "b": jnp.int32(0)},
        {"a": TREE["a"], "c": TREE["b"]},
        {**TREE, "a": {"kernel": TREE["a"]["kernel"].reshape(3, 2)}},
        {**TREE, "a": {"kernel": TREE["a"]["kernel"].at[0, 0].set(1e-45)}},
    ],
    ids=["sign-of-zero", "dtype", "path", "shape", "smallest-change"],
)
def test_any_difference_changes_the_hash(other):
    assert parameters_sha256(other) != parameters_sha256(TREE)


def test_provenance_is_json_and_tells_software_machine_command_and_time():
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["jax"] == jax.__version__
    assert {"jaxrecon", "flax", "optax", "numpy", "python"} < found["versions"].keys()
    assert found["devices"].startswith(f"{jax.device_count()} x ")
    assert found["command"]
    written = dt.datetime.fromisoformat(found["date"])
    assert abs(dt.datetime.now(dt.UTC) - written) < dt.timedelta(minutes=5)


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_the_package_s_own(tmp_path, monkeypatch):
    package = tmp_path / "jaxrecon"
    package.mkdir()
    source = package / "__init__.py"
    source.write_text("")
    monkeypatch.setattr(jaxrecon, "__file__", str(source))
    assert source_commit() is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "theirs").touch()
    git(tmp_path, "add", "theirs")
    git(tmp_path, "commit", "--quiet", "-m", "theirs")
    # In a repository, but no part of it: installed into somebody's checkout.
    assert source_commit() is None
    git(tmp_path, "add", "jaxrecon")
    git(tmp_path, "commit", "--quiet", "-m", "ours")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert source_commit() == commit
    source.write_text("changed = True\n")
    assert source_commit() == f"{commit}-dirty"
