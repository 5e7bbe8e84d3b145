import json

import numpy as np
import pytest
from scan_experiments import call_program, write_experiment

from jaxrecon import warm_start
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.scan_specific.denoiser import read_warm_start
from jaxrecon.scan_specific.warm_up import Pair, make_pair, train_unet

# How ml_collections loads an experiment's file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.fixture(scope="module")
def knees(tmp_path_factory):
    """Two files of 2 slices, 32 x 32."""
    folder = tmp_path_factory.mktemp("knees")
    settings = PhantomSettings("knee", height=32, width=32, oversampling=1, coils=3, slices=2)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(2)}, progress=False)
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("experiments"), "unet")


def run(experiment, knees, output, *extra):
    return call_program(
        warm_start,
        f"--config={experiment}",
        f"--config.auxiliary.root={knees}",
        f"--output={output}",
        *extra,
    )


def test_the_program_writes_weights_that_the_experiment_takes(tmp_path, knees, experiment, capsys):
    run(experiment, knees, tmp_path / "unet")
    weights = read_warm_start(tmp_path / "unet", ScanUNet((4, 8)))
    assert set(weights) == {"unet"}
    about = json.loads((tmp_path / "unet" / "spec.json").read_text())
    assert about["files"] == ["file1000001.h5", "file1000002.h5"]
    assert about["origin"].startswith("simulated")
    assert about["effective_acceleration"] == pytest.approx(2)
    assert np.isfinite(about["mean_absolute_error"])
    assert "wrote" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"expected a new folder, found .*unet; --overwrite"):
        run(experiment, knees, tmp_path / "unet")
    run(experiment, knees, tmp_path / "unet", "--overwrite", "--config.seed=1")
    other = read_warm_start(tmp_path / "unet", ScanUNet((4, 8)))
    kernels = [w["unet"]["head"]["kernel"] for w in (weights, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0


def test_bad_input_ends_in_one_line(tmp_path, knees, experiment):
    with pytest.raises(InputError, match=r"^auxiliary.root: expected a folder"):
        call_program(warm_start, f"--config={experiment}", f"--output={tmp_path}/a")
    inr = write_experiment(tmp_path, "inr")
    with pytest.raises(InputError, match="expected a backbone with a U-Net, found 'inr'"):
        run(inr, knees, tmp_path / "a")
    with pytest.raises(InputError, match=r"expected at least 6 calibration columns .* found 4"):
        run(experiment, knees, tmp_path / "a", "--config.auxiliary.mask.acs=4")
    assert not (tmp_path / "a").exists()


def test_a_pair_is_the_zero_filled_and_the_full_image():
    generator = np.random.default_rng(0)
    shape = (4, 32, 24)
    smooth = np.exp(-np.square(np.linspace(-4, 4, 32))[:, None] - np.square(np.linspace(-4, 4, 24)))
    kspace = (generator.normal(size=shape) + 1j * generator.normal(size=shape)) * smooth
    kspace = kspace.astype(np.complex64)
    full_mask = np.ones((1, 24), bool)
    zero_filled, full = make_pair(kspace, full_mask, (24, 24))
    # With all samples both are the same image, of peak 1.
    np.testing.assert_allclose(zero_filled, full, rtol=1e-5, atol=1e-6)
    assert float(np.abs(zero_filled).max()) == pytest.approx(1, rel=1e-5)
    # One coil needs no maps: the magnitude is that of the coil's image.
    mask = np.arange(24)[None] % 2 == 0
    zero_filled, full = make_pair(kspace[:1], mask, (24, 24))
    images = [
        np.fft.ifft2(np.fft.ifftshift(k), norm="ortho") for k in (kspace[0], kspace[0] * mask)
    ]
    expected = np.fft.fftshift(np.abs(images[0])) / np.abs(images[1]).max()
    np.testing.assert_allclose(np.abs(full), expected, rtol=1e-5, atol=1e-6)
    assert float(np.abs(zero_filled).max()) == pytest.approx(1, rel=1e-5)


def test_training_lowers_the_error_of_images_it_has_seen():
    generator = np.random.default_rng(0)
    shape = (16, 16)
    pairs = []
    for _ in range(4):
        full = generator.normal(size=shape) + 1j * generator.normal(size=shape)
        # An error that one convolution can undo.
        pairs.append(Pair((0.5 * full).astype(np.complex64), full.astype(np.complex64)))
    warm_up = {"steps": 60, "batch_size": 2, "learning_rate": 1e-2}
    reports = list(train_unet(ScanUNet((4, 8)), pairs, warm_up, seed=0))
    assert reports[-1].step == 60
    assert reports[-1].loss < 0.6 * reports[-1].zero_filled
