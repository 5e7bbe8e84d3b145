import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parallel_imaging import columns_mask, phantom, relative_error, scan
from volumes import make_volume

from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec, sampling_mask
from jaxrecon.priors import auxiliary
from jaxrecon.priors.auxiliary import (
    choose_files,
    middle_slices,
    plan_batches,
    require_usable,
    smallest_calibration,
)


def rss(kspace):
    """Root sum of squares of the coil images, by NumPy."""
    axes = (-2, -1)
    images = np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho", axes=axes)
    return np.sqrt(np.sum(np.abs(np.fft.fftshift(images, axes)) ** 2, axis=-3))


def test_files_are_spread_evenly():
    volumes = [make_volume(name=f"{i}.h5") for i in range(11)]
    assert [volume.name for volume in choose_files(volumes, 3)] == ["0.h5", "5.h5", "10.h5"]
    for count in (0, 11, 40):
        assert choose_files(volumes, count) == tuple(volumes)
    assert choose_files(volumes, 1) == (volumes[0],)


def test_slices_are_the_middle_ones_of_the_middle_frame():
    assert middle_slices(make_volume(slices=7), 3) == (2, 3, 4)
    assert middle_slices(make_volume(slices=7), 0) == tuple(range(7))
    assert middle_slices(make_volume(slices=7, bad_slices=(3,)), 2) == (2, 4)
    # 3 frames of 4 positions: frame 1 holds the indices 4 to 7.
    cine = make_volume(slices=12, frames=3)
    assert middle_slices(cine, 2) == (5, 6)
    assert middle_slices(cine, 4) == (4, 5, 6, 7)
    assert set(middle_slices(cine, 6)) == {2, 4, 5, 6, 7, 10}


def test_images_of_a_batch_have_one_size():
    masks = MaskSpec("gaussian", (2,), acs=4, seed=0)
    volumes = [
        make_volume(name="a.h5", target_height=40),
        make_volume(name="b.h5", target_height=32),
        make_volume(name="c.h5", target_height=40),
    ]
    pipelines = plan_batches(volumes, {"a.h5": (0, 2), "b.h5": (1,), "c.h5": (4,)}, masks, 2)
    chosen = [[(s.volume.name, s.index) for s in pipeline.slices] for pipeline in pipelines]
    assert chosen == [[("b.h5", 1)], [("a.h5", 0), ("a.h5", 2), ("c.h5", 4)]]


def test_targets_and_zero_filled_images_are_those_of_numpy():
    kspace, _ = scan(24, 20, 3, slices=2)
    mask = columns_mask(20, 6)
    target = rss(np.asarray(kspace, np.complex128))
    positives, negatives = auxiliary.target_and_zero_filled(
        kspace * mask, jnp.asarray(target, jnp.float32), (16, 18)
    )
    for found, expected in (
        (positives, target),
        (negatives, rss(np.asarray(kspace * mask, np.complex128))),
    ):
        assert found.dtype == jnp.complex64
        assert relative_error(found, expected[:, 4:20, 1:19]) < 1e-5


def test_total_variation_lies_between_the_zero_filled_and_the_true_image():
    kspace, _ = scan(32, 32, 4, slices=1)
    mask = columns_mask(32, 12)
    make = functools.partial(auxiliary.total_variation_and_zero_filled, acs=12, crop=(30, 28))
    positives, negatives = jax.jit(make)(kspace * mask, mask[None])
    truth = rss(np.asarray(kspace))[:, 1:31, 2:30]
    assert relative_error(negatives, rss(np.asarray(kspace * mask))[:, 1:31, 2:30]) < 1e-5
    inside = phantom(32, 32)[1:31, 2:30] > 0
    errors = [
        relative_error(np.abs(images)[:, inside], truth[:, inside])
        for images in (positives, negatives)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_files_that_cannot_serve_are_named():
    with pytest.raises(InputError, match="expected one of target, tv, found 'blur'"):
        require_usable([make_volume()], "blur")
    with pytest.raises(InputError, match=r"/data/file1.h5: expected fully sampled k-space"):
        require_usable([make_volume(sampled=True)], "target")
    single = make_volume(coils=1)
    require_usable([single], "target")
    with pytest.raises(InputError, match=r"/data/file1.h5: expected at least 2 coils .* found 1"):
        require_usable([single], "tv")


def test_the_smallest_calibration_counts():
    masks = {
        name: sampling_mask("gaussian", 60, 2, acs=acs, seed=0)
        for name, acs in (("one", 12), ("other", 8))
    }
    assert smallest_calibration(masks) == 8
    few = {**masks, "few, slice 3": sampling_mask("gaussian", 60, 2, acs=4, seed=0)}
    with pytest.raises(InputError, match=r"few, slice 3: expected at least 6 .* found 4"):
        smallest_calibration(few)
