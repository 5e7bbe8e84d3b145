import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxrecon.encoders.preprocess import encoder_input, scale_to_percentiles
from jaxrecon.encoders.spec import CLIP_PIXELS, IMAGENET
from jaxrecon.errors import InputError


def image(batch, height, width, scale=1e-3):
    rng = np.random.default_rng(height)
    parts = rng.normal(size=(2, batch, height, width))
    envelope = np.exp(-4 * np.linspace(-1, 1, width) ** 2)
    return (scale * (parts[0] + 1j * parts[1]) * envelope).astype(np.complex64)


def reference_input(image, statistics, size, levels):
    """The same with NumPy's percentiles and torch's resizing, in float64."""
    magnitude = np.abs(image.astype(np.complex128))
    low, high = np.percentile(magnitude, levels, axis=(1, 2))[:, :, None, None]
    scaled = np.clip((magnitude - low) / (high - low), 0, 1)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(scaled)[:, None].repeat(1, 3, 1, 1),
        (size, size),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    resized = resized.permute(0, 2, 3, 1).numpy()
    return (resized - np.array(statistics.mean)) / np.array(statistics.std)


@pytest.mark.parametrize(
    ("height", "width", "statistics", "size", "levels"),
    [
        (512, 246, IMAGENET, 224, (1.0, 99.0)),
        (640, 372, CLIP_PIXELS, 224, (1.0, 99.0)),
        (116, 384, IMAGENET, 224, (0.0, 100.0)),
        (127, 161, IMAGENET, 98, (5.0, 90.0)),
    ],
)
def test_it_is_what_numpy_and_torch_make(height, width, statistics, size, levels):
    images = image(2, height, width)
    found = encoder_input(jnp.asarray(images), statistics, size, levels)
    expected = reference_input(images, statistics, size, levels)
    assert found.dtype == jnp.float32
    assert found.shape == (2, size, size, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_the_scale_of_the_image_does_not_matter(factor):
    images = image(1, 200, 150)
    expected = encoder_input(jnp.asarray(images))
    found = encoder_input(jnp.asarray(np.complex64(factor) * images))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1e-30, 0.3])
def test_an_image_without_contrast_becomes_zero_with_a_finite_gradient(value):
    flat = jnp.full((1, 30, 20), value, jnp.complex64)
    np.testing.assert_array_equal(scale_to_percentiles(jnp.abs(flat)), 0.0)
    gradient = jax.grad(lambda x: jnp.sum(encoder_input(x, size=28) ** 2))(flat)
    assert np.isfinite(gradient).all()


def test_the_gradient_is_finite_where_the_image_is_zero():
    images = image(1, 60, 50)
    images[:, 10:30] = 0
    gradient = jax.grad(lambda x: jnp.sum(encoder_input(x, size=28) ** 3))(jnp.asarray(images))
    assert np.isfinite(gradient).all()
    assert np.count_nonzero(gradient) > 500


def test_the_gradient_matches_finite_differences_and_ignores_the_scale():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        real, imaginary = rng.normal(size=(2, 2, 1, 40, 30))
        x, step = real + 1j * imaginary
        weights = jnp.asarray(rng.normal(size=(1, 28, 28, 3)))

        def score(x):
            return jnp.sum(weights * encoder_input(jnp.asarray(x), size=28))

        # jax's gradient of a real function is the conjugate of the direction of steepest ascent.
        gradient = np.conj(jax.grad(score)(x))
        numeric = (score(x + 1e-6 * step) - score(x - 1e-6 * step)) / 2e-6
        analytic = np.sum(np.real(np.conj(gradient) * step))
        assert abs(analytic - numeric) < 1e-6 * np.linalg.norm(gradient) * np.linalg.norm(step)
        assert abs(analytic) > 1e-3 * np.linalg.norm(gradient)
        along = np.sum(np.real(np.conj(gradient) * x))
        assert abs(along) < 1e-9 * np.linalg.norm(gradient) * np.linalg.norm(x)


@pytest.mark.parametrize("levels", [(99.0, 1.0), (1.0, 1.0), (-1.0, 99.0), (1.0, 101.0)])
def test_unusable_percentiles_are_named(levels):
    with pytest.raises(InputError, match="expected 0 <= lower < upper <= 100, found"):
        encoder_input(jnp.zeros((1, 8, 8), jnp.complex64), percentiles=levels)
