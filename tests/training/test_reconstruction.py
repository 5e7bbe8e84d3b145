import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_networks import write_small_run, write_small_weights

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.scan_files import read_scan
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.data.target import rss_target
from jaxrecon.data.undersampling import undersample
from jaxrecon.errors import InputError
from jaxrecon.metrics.scan_scores import score_scan
from jaxrecon.physics.espirit import espirit_maps
from jaxrecon.physics.sampling import MaskSpec
from jaxrecon.training import reconstruction
from jaxrecon.training.reconstruction import (
    METHODS,
    Method,
    Options,
    example_of,
    method_named,
    reconstruct_scan,
)
from jaxrecon.training.trained_network import network_of_run

MASK = MaskSpec("equispaced", (3,), (0.2,))
SOLVERS = ("cg_sense", "tv", "wavelet")
DEFAULTS = Options()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Two slices of a phantom knee, 4 coils, 48 x 40."""
    folder = tmp_path_factory.mktemp("knee")
    settings = PhantomSettings("knee", height=48, width=40, coils=4, slices=2)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(1)}, progress=False)
    return read_scan(next(folder.rglob("*.h5")))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_small_run(tmp_path_factory.mktemp("runs") / "a")


# One method of each kind for all tests, so that each is compiled once a shape.
cached_method = functools.cache(method_named)


def reconstruct(scan, *names, options=DEFAULTS, batch_size=1, image_shape=None, **sampling):
    measured = undersample(scan, **sampling)
    methods = [cached_method(str(name), options) for name in names]
    found = reconstruct_scan(
        methods, measured, image_shape or scan.image_shape, batch_size=batch_size
    )
    return [each.images for each in found]


def relative_error(images, target):
    return np.linalg.norm(np.abs(images) - target) / np.linalg.norm(target)


def test_zero_filled_is_the_root_sum_of_squares(scan):
    [images] = reconstruct(scan, "zero_filled", drawn=MASK)
    expected = rss_target(undersample(scan, drawn=MASK).kspace)
    np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-6 * expected.max())
    assert images.dtype == np.float32


@pytest.mark.parametrize("method", SOLVERS)
def test_solvers_come_closer_than_the_zero_filled_image(scan, method):
    zeros, images = reconstruct(scan, "zero_filled", method, drawn=MASK)
    assert images.dtype == np.complex64
    assert images.shape == (2, 48, 40)
    assert relative_error(images, scan.target) < 0.7 * relative_error(zeros, scan.target)


def test_batches_change_nothing_and_all_slices_come_out(scan, run):
    kspace = np.concatenate([scan.kspace, scan.kspace[:1, :, ::-1]])
    three = dataclasses.replace(scan, kspace=kspace, indices=(0, 1, 2), target=None)
    for name in ("cg_sense", run):
        one, two = (reconstruct(three, name, drawn=MASK, batch_size=size)[0] for size in (1, 2))
        np.testing.assert_allclose(two, one, atol=1e-5 * np.abs(one).max(), rtol=1e-5)
        assert len({image.tobytes() for image in one}) == 3


def test_masks_of_single_samples(scan):
    pattern = np.random.default_rng(0).random((48, 40)) < 0.4
    pattern[18:30, 14:26] = True
    zeros, images = reconstruct(scan, "zero_filled", "cg_sense", pattern=pattern)
    assert relative_error(images, scan.target) < 0.7 * relative_error(zeros, scan.target)


def test_options_reach_the_solvers_and_their_record(scan):
    few, many = (
        reconstruct(scan, "cg_sense", options=Options(iterations=count), drawn=MASK)[0]
        for count in (1, 8)
    )
    assert relative_error(many, scan.target) < relative_error(few, scan.target)
    method = METHODS["tv"](Options(regularisation=0.25))
    assert method.settings["regularisation"] == 0.25
    assert method.settings["iterations"] > 0


def test_a_single_coil_needs_no_maps(scan, tmp_path):
    np.save(tmp_path / "one.npy", scan.kspace[:, :1])
    single = read_scan(tmp_path / "one.npy")
    zeros, images = reconstruct(single, "zero_filled", "tv", drawn=MASK)
    target = undersample(single, drawn=MASK).target
    assert relative_error(images, target) < relative_error(zeros, target)


@pytest.mark.parametrize("method", ["zero_filled", "cg_sense"])
def test_odd_sizes(tmp_path, method):
    shape = (33, 27)
    generator = np.random.default_rng(0)
    kspace = generator.normal(size=(1, 3, *shape)) + 1j * generator.normal(size=(1, 3, *shape))
    np.save(tmp_path / "odd.npy", kspace.astype(np.complex64))
    pattern = np.ones((1, shape[1]), bool)
    pattern[0, 0] = False
    [images] = reconstruct(read_scan(tmp_path / "odd.npy"), method, pattern=pattern)
    assert images.shape == (1, *shape)


def test_the_images_centre_is_kept(scan):
    whole, centre = (
        reconstruct(scan, "zero_filled", drawn=MASK, image_shape=shape)[0]
        for shape in ((48, 40), (20, 17))
    )
    np.testing.assert_array_equal(centre, whole[:, 14:34, 11:28])


def test_a_run_reconstructs_as_its_network_does(scan, run):
    measured = undersample(scan, drawn=MASK)
    [images] = reconstruct(scan, run, drawn=MASK)
    network = network_of_run(run)
    apply = jax.jit(network.model.apply)
    for kspace, mask, image in zip(measured.kspace, measured.masks, images, strict=True):
        expected = apply(
            network.variables,
            jnp.asarray(kspace[None]),
            jnp.asarray(mask.pattern[None]),
            jnp.array([mask.acs], jnp.int32),
        )
        np.testing.assert_allclose(image, expected[0], rtol=1e-5, atol=1e-6 * image.max())


def test_a_network_takes_masks_of_single_samples(scan, run):
    pattern = np.random.default_rng(0).random((48, 40)) < 0.4
    pattern[18:30, 14:26] = True
    [images] = reconstruct(scan, run, pattern=pattern)
    assert images.shape == (2, 48, 40)
    # Samples outside of the mask do not matter, those inside do.
    other = dataclasses.replace(scan, kspace=np.where(pattern, scan.kspace, 1e3))
    [found] = reconstruct(other, run, pattern=pattern)
    np.testing.assert_array_equal(found, images)
    fewer = pattern.copy()
    fewer[:18] = False
    [found] = reconstruct(scan, run, pattern=fewer)
    assert not np.allclose(found, images, rtol=0.01)


def test_a_network_does_not_depend_on_the_unit(scan, run, tmp_path):
    scaled = scan.kspace * np.float32(1e-6)
    np.save(tmp_path / "scaled.npy", scaled)
    pattern = MASK.draw(40, "x", 0).pattern
    [images] = reconstruct(scan, run, pattern=pattern)
    [found] = reconstruct(read_scan(tmp_path / "scaled.npy"), run, pattern=pattern)
    np.testing.assert_allclose(found, images * 1e-6, rtol=0, atol=1e-11 * images.max())


def test_methods_are_named_or_folders(run, tmp_path):
    method = method_named(str(run), Options())
    assert (method.name, method.run) == ("small", str(run))
    assert method.settings["config"]["model"]["cascades"] == 2
    weights = write_small_weights(tmp_path / "converted")
    assert method_named(str(weights), Options()).name == "converted"
    with pytest.raises(
        InputError, match=r"expected one of zero_filled, cg_sense, tv, wavelet, or the folder"
    ):
        method_named(str(tmp_path), Options())


def test_a_weight_can_stand_in_the_name():
    method = method_named("tv:0.25", DEFAULTS)
    assert (method.name, method.settings["regularisation"]) == ("tv:0.25", 0.25)
    with pytest.raises(InputError, match="method: expected a number after ':', found 'tv:x'"):
        method_named("tv:x", DEFAULTS)


def test_maps_come_from_the_calibration_columns(scan):
    """And from at least 24 rows, by a kernel that fits: as in evaluation."""
    measured = undersample(scan, drawn=MASK)
    batch_maps = reconstruction._batch(measured, 0, 1).maps
    expected = espirit_maps(jnp.asarray(measured.kspace[:1]), (24, 8), kernel=4)
    np.testing.assert_allclose(batch_maps, expected, atol=1e-5)


def test_too_few_coils_or_too_small_a_centre_for_espirit(scan, tmp_path):
    np.save(tmp_path / "one.npy", scan.kspace[:, :1])
    with pytest.raises(InputError, match="ESPIRiT: expected at least 2 coils, found 1"):
        reconstruct(read_scan(tmp_path / "one.npy"), "cg_sense", drawn=MASK)
    for centre, found in ((0, "24 x 0"), (5, "24 x 5")):
        pattern = np.zeros((1, 40), bool)
        pattern[0, 1::5] = True
        first = (40 - centre + 1) // 2
        pattern[0, first : first + centre] = True
        with pytest.raises(InputError, match=re.escape(f"6 x 6 samples, found {found}")):
            reconstruct(scan, "tv", pattern=pattern)


def test_a_network_needs_something_missing_and_something_central(scan, run):
    with pytest.raises(InputError, match="small: expected undersampled k-space or a mask"):
        reconstruct(scan, run)
    pattern = np.zeros((1, 40), bool)
    pattern[0, 1::4] = True
    assert not pattern[0, 20]
    with pytest.raises(InputError, match="small: expected fully sampled central columns"):
        reconstruct(scan, run, pattern=pattern)


def test_images_that_are_not_finite_are_refused(scan):
    broken = Method("broken", lambda batch: jnp.full((1, 48, 40), jnp.nan))
    with pytest.raises(InputError, match="broken: expected finite images, found NaN"):
        reconstruct_scan([broken], undersample(scan), (48, 40))


def test_maps_are_computed_once_for_all_methods(scan, monkeypatch):
    calls = []
    original = reconstruction._espirit

    def counted(kspace, *, calibration, kernel):
        calls.append(calibration)
        return original(kspace, calibration=calibration, kernel=kernel)

    monkeypatch.setattr(reconstruction, "_espirit", counted)
    reconstruct(scan, *SOLVERS, drawn=MASK)
    assert calls == [undersample(scan, drawn=MASK).calibration] * 2  # Once a slice.


def test_examples_show_one_slice_by_all_methods(scan):
    measured = undersample(scan, drawn=MASK)
    zeros = METHODS["zero_filled"](Options())
    [found] = reconstruct_scan([zeros], measured, scan.image_shape)
    scores = {"zero_filled": score_scan(scan, found.images, measured.target, measured.data_range)}
    example = example_of(scan, measured, {"zero_filled": found.images}, scores, 1)
    assert (example.file, example.index, example.mask) == (scan.name, 1, "equispaced")
    np.testing.assert_array_equal(example.target, measured.target[1])
    np.testing.assert_array_equal(example.images["zero_filled"], found.images[1])
    assert example.scores["zero_filled"] == scores["zero_filled"].slices[1]
    assert (example.acceleration, example.acs) == (3.0, 8)
