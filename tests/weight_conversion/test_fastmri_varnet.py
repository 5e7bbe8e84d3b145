import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from fastmri.models import VarNet as ReferenceVarNet
from flax import traverse_util

from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model
from jaxrecon.weight_store import read_weights
from weight_conversion.fastmri_varnet import convert_varnet


def reference_varnet(cascades, channels, pools, sens_channels, sens_pools):
    torch.manual_seed(0)
    reference = ReferenceVarNet(
        num_cascades=cascades,
        chans=channels,
        pools=pools,
        sens_chans=sens_channels,
        sens_pools=sens_pools,
    )
    with torch.no_grad():
        for cascade in reference.cascades:
            cascade.dc_weight.uniform_(0.5, 1.5)
    return reference


def undersampled_kspace(coils, height, width, acs, scale):
    """k-space with an image's decay away from its centre, and a mask of columns."""
    rng = np.random.default_rng(height * width)
    y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in (height, width)), indexing="ij")
    samples = rng.normal(size=(2, coils, height, width))
    kspace = scale * (samples[0] + 1j * samples[1]) / (1 + 0.1 * np.hypot(y, x))
    mask = rng.random(width) < 0.25
    first = (width - acs + 1) // 2
    mask[first : first + acs] = True
    return (kspace * mask).astype(np.complex64), mask


def state_dict(reference):
    return {key: value.numpy() for key, value in reference.state_dict().items()}


SMALL = (3, 6, 3, 4, 2)
FULL = (12, 18, 4, 8, 4)


@pytest.mark.parametrize(
    ("size", "coils", "height", "width", "scale"),
    [
        pytest.param(FULL, 10, 448, 132, 1e-3, id="12-cascades-cmrxrecon-132"),
        pytest.param(FULL, 2, 640, 372, 1e-5, id="12-cascades-fastmri-knee-372"),
        pytest.param(SMALL, 3, 512, 246, 1e-3, id="cmrxrecon-246"),
        pytest.param(SMALL, 3, 384, 116, 1e-3, id="cmrxrecon-116"),
        pytest.param(SMALL, 2, 640, 320, 1e-5, id="fastmri-brain-320"),
        pytest.param(SMALL, 3, 127, 161, 1.0, id="odd"),
        pytest.param(SMALL, 1, 96, 63, 1e-6, id="one-coil-odd-width"),
    ],
)
def test_converted_weights_give_the_reference_output(size, coils, height, width, scale):
    reference = reference_varnet(*size)
    flat, config = convert_varnet(state_dict(reference))
    kspace, mask = undersampled_kspace(coils, height, width, 24, scale)
    with torch.no_grad():
        expected = reference(
            torch.view_as_real(torch.from_numpy(kspace))[None],
            torch.from_numpy(mask).reshape(1, 1, 1, width, 1),
            24,
        ).numpy()
    variables = {"params": traverse_util.unflatten_dict(flat, sep="/")}
    found = build_model(config).apply(
        variables, jnp.asarray(kspace)[None], jnp.asarray(mask)[None, None], jnp.array([24])
    )
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_architecture_is_read_off_the_shapes():
    _, config = convert_varnet(state_dict(reference_varnet(2, 5, 3, 4, 2)))
    assert config == {
        "name": "varnet",
        "cascades": 2,
        "dtype": "float32",
        "refinement": {"name": "norm_unet", "channels": 5, "pools": 3},
        "sensitivity": {"channels": 4, "pools": 2},
    }


def test_every_cascade_keeps_its_place_beyond_the_tenth():
    source = state_dict(reference_varnet(11, 2, 1, 2, 1))
    flat, _ = convert_varnet(source)
    expected = [source[f"cascades.{i}.dc_weight"].item() for i in range(11)]
    np.testing.assert_array_equal(flat["cascades/step"], np.float32(expected))


def test_a_lightning_checkpoint_gives_the_same_parameters():
    source = state_dict(reference_varnet(2, 3, 2, 2, 1))
    wrapped = {f"varnet.{key}": value for key, value in source.items()}
    wrapped["loss.w"] = np.ones((1, 1, 7, 7), np.float32)
    expected, _ = convert_varnet(source)
    found, _ = convert_varnet(wrapped)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)


def _without(key):
    return lambda source: {k: v for k, v in source.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda source: {**source, "extra.weight": np.zeros(3)}, r"unexpected extra.weight \(3\)"),
        (_without("sens_net.norm_unet.unet.conv.layers.0.weight"), "nothing for sensitivity/"),
        (
            lambda s: {**s, "cascades.0.model.unet.conv.layers.0.weight": np.zeros((1, 1, 3, 3))},
            "entries of different shapes for cascades/refinement/unet/bottom/conv0/kernel",
        ),
        (
            lambda s: {k.replace("cascades.0.", "cascades.7."): v for k, v in s.items()},
            "expected the state dict of a fastmri VarNet",
        ),
        (
            lambda s: {k.replace("cascades.1.", "cascades.7."): v for k, v in s.items()},
            r"positions \[0, 7\] for cascades/step are not 0 to 1",
        ),
        (lambda source: {"a": np.zeros(1)}, "expected the state dict of a fastmri VarNet"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    source = state_dict(reference_varnet(2, 3, 2, 2, 1))
    with pytest.raises(InputError, match=message) as caught:
        convert_varnet(change(source), "model.pt")
    assert str(caught.value).startswith("model.pt:")
    assert "\n" not in str(caught.value)


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "weight_conversion.fastmri_varnet", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_writes_weights_that_read_back(tmp_path):
    reference = reference_varnet(2, 3, 2, 2, 1)
    torch.save(reference.state_dict(), tmp_path / "model.pt")
    finished = _run(f"--source={tmp_path / 'model.pt'}", f"--output={tmp_path / 'weights'}")
    assert finished.returncode == 0, finished.stderr
    count = sum(parameter.numel() for parameter in reference.parameters())
    assert f"{count:,} parameters" in finished.stdout
    assert sorted(p.name for p in (tmp_path / "weights").iterdir()) == [
        "spec.json",
        "weights.safetensors",
    ]
    parameters, spec = read_weights(tmp_path / "weights")
    found = traverse_util.flatten_dict(parameters, sep="/")
    expected, config = convert_varnet(state_dict(reference))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)
    assert spec["model"] == config
    assert len(spec["source_sha256"]) == 64
    assert json.loads((tmp_path / "weights" / "spec.json").read_text()) == spec


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "found none"), (b"", "expected a torch checkpoint"), (b"PK\x03\x04 cut", "expected")],
)
def test_an_unreadable_file_ends_in_one_line(tmp_path, content, message):
    path = tmp_path / "model.pt"
    if content is not None:
        path.write_bytes(content)
    finished = _run(f"--source={path}", f"--output={tmp_path / 'weights'}")
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {path}: ")
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "weights").exists()


def test_a_wrong_flag_exits_with_2(tmp_path):
    finished = _run("--sauce=x")
    assert finished.returncode == 2
    assert "sauce" in finished.stderr
