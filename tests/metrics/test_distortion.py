import fastmri.evaluate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrecon.metrics import distortion
from jaxrecon.physics.cropping import center_crop, center_pad

squared_error, energy, nmse, psnr = map(
    jax.jit, (distortion.squared_error, distortion.energy, distortion.nmse, distortion.psnr)
)


def batch(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.random((3, height, width)) + 0.1
    image = target + 0.05 * generator.standard_normal(target.shape)
    return image.astype(np.float32), target.astype(np.float32)


CROPS = np.array([[20, 31], [33, 8], [40, 40]], np.int32)


def test_equal_fastmri_over_each_images_region():
    image, target = batch(40, 40)
    data_range = np.float32([1.1, 2, 0.7])
    arguments = [jnp.asarray(array) for array in (image, target)]
    crop = jnp.asarray(CROPS)
    found_nmse = nmse(*arguments, crop)
    found_psnr = psnr(*arguments, jnp.asarray(data_range), crop)
    found_error, found_energy = squared_error(*arguments, crop), energy(arguments[1], crop)
    for i, size in enumerate(CROPS.tolist()):
        x, y = (center_crop(array[i].astype(np.float64), *size) for array in (image, target))
        assert float(found_nmse[i]) == pytest.approx(fastmri.evaluate.nmse(y, x), rel=1e-5)
        expected = fastmri.evaluate.psnr(y, x, float(data_range[i]))
        assert float(found_psnr[i]) == pytest.approx(expected, rel=1e-5)
        assert float(found_error[i]) == pytest.approx(((x - y) ** 2).sum(), rel=1e-5)
        assert float(found_energy[i]) == pytest.approx((y**2).sum(), rel=1e-5)
    np.testing.assert_array_equal(distortion.pixels(arguments[1], crop), CROPS.prod(axis=1))


def test_without_a_crop_the_whole_image_counts():
    image, target = (jnp.asarray(array) for array in batch(9, 12))
    whole = jnp.asarray([[9, 12]] * 3, jnp.int32)
    np.testing.assert_array_equal(nmse(image, target), nmse(image, target, whole))
    np.testing.assert_array_equal(distortion.pixels(target), [108] * 3)


def test_large_images_keep_float32_accuracy():
    generator = np.random.default_rng(0)
    target = np.full((1, 640, 372), 0.9, np.float32)
    image = target + generator.normal(0, 0.01, target.shape).astype(np.float32)
    expected = ((image.astype(np.float64) - target) ** 2).sum()
    assert float(squared_error(jnp.asarray(image), jnp.asarray(target))[0]) == pytest.approx(
        expected, rel=1e-5
    )
    expected = (target.astype(np.float64) ** 2).sum()
    assert float(energy(jnp.asarray(target))[0]) == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    exponent=st.integers(-9, 6),
    fill=st.sampled_from([0, 1e30, np.nan, np.inf]),
)
def test_padding_and_scale_change_nothing(height, width, exponent, fill):
    image, target = batch(height, width)
    image, target = (array * np.float32(10.0**exponent) for array in (image, target))
    data_range = np.float32(1.1 * 10.0**exponent)
    crop = jnp.asarray([[height, width]] * 3, jnp.int32)
    inside = center_pad(np.ones((height, width), bool), 31, 34)
    padded = [
        jnp.asarray(np.where(inside, center_pad(array, 31, 34), np.float32(fill)))
        for array in (image, target)
    ]
    x, y = image.astype(np.float64), target.astype(np.float64)
    error = ((x - y) ** 2).sum((1, 2))
    np.testing.assert_allclose(nmse(*padded, crop), error / (y**2).sum((1, 2)), rtol=1e-5)
    expected = 10 * np.log10(height * width * np.float64(data_range) ** 2 / error)
    found = psnr(*padded, jnp.full(3, data_range), crop)
    # Absolute: 1e-5 relative of what the logarithm is taken of is 4e-5 dB.
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)


def test_limits():
    zero = jnp.zeros((1, 8, 8), jnp.float32)
    one = zero + 1
    assert float(nmse(one, one)[0]) == 0
    assert float(nmse(zero, one)[0]) == 1
    assert float(nmse(zero, zero)[0]) == 0
    assert float(nmse(one, zero)[0]) == np.inf
    assert float(psnr(one, one, jnp.float32([1]))[0]) == np.inf
    assert float(psnr(zero, zero, jnp.float32([0]))[0]) == np.inf
    assert float(psnr(zero, one, jnp.float32([1]))[0]) == 0
