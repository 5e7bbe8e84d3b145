import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.models.complex_normalisation import (
    channels_to_complex,
    complex_to_channels,
    normalise_parts,
    restore_parts,
)


def complex_images(batch=2, height=5, width=7):
    rng = np.random.default_rng(height)
    real, imaginary = rng.normal(size=(2, batch, height, width))
    return (0.3 + 2 * real + 1j * (imaginary - 1)).astype(np.complex64)


def test_channels_and_complex_are_inverse():
    image = jnp.asarray(complex_images())
    channels = complex_to_channels(image)
    np.testing.assert_array_equal(channels[..., 0], image.real)
    np.testing.assert_array_equal(channels[..., 1], image.imag)
    np.testing.assert_array_equal(channels_to_complex(channels), image)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_each_part_gets_mean_0_and_unbiased_deviation_1_at_any_scale(factor):
    image = (complex_images().astype(np.complex128) * factor).astype(np.complex64)
    channels, normalisation = normalise_parts(jnp.asarray(image))
    for part, found in ((image.real, channels[..., 0]), (image.imag, channels[..., 1])):
        wide = part.astype(np.float64)
        mean = wide.mean((1, 2), keepdims=True)
        expected = (wide - mean) / wide.std((1, 2), ddof=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    back = restore_parts(channels, normalisation)
    np.testing.assert_allclose(back, image, rtol=0, atol=1e-6 * np.abs(image).max())


def test_the_gradient_is_that_of_the_plain_formula():
    image = complex_to_channels(jnp.asarray(complex_images()))
    weight = jnp.sin(jnp.arange(image.size, dtype=jnp.float32)).reshape(image.shape)

    def ours(image):
        return jnp.sum(weight * normalise_parts(channels_to_complex(image))[0])

    def plain(image):
        centred = image - image.mean((1, 2), keepdims=True)
        return jnp.sum(weight * centred / image.std((1, 2), ddof=1, keepdims=True))

    found, expected = (jax.jit(jax.grad(f))(image) for f in (ours, plain))
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("value", [0, 2 - 3j])
def test_a_constant_image_comes_back_whatever_is_done_to_its_channels(value):
    image = jnp.full((1, 4, 4), value, jnp.complex64)
    channels, normalisation = normalise_parts(image)
    assert np.isfinite(channels).all()
    np.testing.assert_array_equal(restore_parts(channels + 5, normalisation), image)
