import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxrecon.encoders.preprocess import encoder_input
from jaxrecon.encoders.spec import IMAGENET
from jaxrecon.errors import InputError
from jaxrecon.priors import preprocessing as module
from jaxrecon.priors.preprocessing import Preprocessing

pixels = jax.jit(module.pixels, static_argnames="preprocessing")


def images(height, width, batch=2):
    parts = np.random.default_rng(0).normal(size=(2, batch, height, width))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def with_torch(image, size):
    """Divide by the maximum, map to -1..1, crop or zero-pad, repeat, as the paper says."""
    x = torch.from_numpy(image).abs()
    x = (x / x.amax(dim=(-1, -2), keepdim=True) - 0.5) / 0.5
    for axis in (1, 2):
        missing = size - x.shape[axis]
        before = abs(missing) // 2
        if missing < 0:
            x = x.narrow(axis, before, size)
        else:
            margins = [0, 0, 0, 0]
            margins[4 - 2 * axis : 6 - 2 * axis] = [before, missing - before]
            x = torch.nn.functional.pad(x, margins)
    return x[..., None].repeat(1, 1, 1, 3).numpy()


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 50), (24, 24), (24, 64), (33, 31)])
def test_the_peak_way_is_the_paper_s(height, width):
    image = images(height, width)
    found = pixels(jnp.asarray(image), Preprocessing(size=40))
    assert found.shape == (2, 40, 40, 3)
    np.testing.assert_allclose(found, with_torch(image, 40), atol=1e-6)


def test_the_percentile_way_is_paper_a_s():
    image = jnp.asarray(images(30, 26))
    found = pixels(image, Preprocessing("percentiles", 20, IMAGENET, (2.0, 98.0)))
    np.testing.assert_allclose(found, encoder_input(image, IMAGENET, 20, (2.0, 98.0)), atol=1e-6)


@pytest.mark.parametrize("name", module.PREPROCESSINGS)
def test_scale_does_not_matter_and_gradients_are_finite(name):
    how = Preprocessing(name, 28)
    image = jnp.asarray(images(32, 24)).at[:, :4].set(0)
    expected = pixels(image, how)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=expected.shape), jnp.float32)
    for scale in (1e-6, 1e6, 0.0):
        found = pixels(image * scale, how)
        assert np.isfinite(found).all()
        if scale:
            np.testing.assert_allclose(found, expected, atol=1e-5)
        slope = jax.grad(lambda x: jnp.sum(module.pixels(x, how) * weight))(image * scale)
        assert np.isfinite(slope).all()


def test_statistics_standardise_each_channel_and_pad_with_their_mean():
    ramp = jnp.linspace(0, 2, 20).reshape(1, 4, 5)
    found = np.asarray(pixels(ramp, Preprocessing(size=6, statistics=IMAGENET)))
    assert (found[0, 0] == 0).all()
    restored = found[0, 1:5, 0:5] * np.float32(IMAGENET.std) + np.float32(IMAGENET.mean)
    for channel in range(3):
        np.testing.assert_allclose(restored[..., channel], ramp[0] / 2, atol=1e-6)


def test_an_unknown_way_is_named():
    with pytest.raises(InputError, match="expected one of peak, percentiles, found 'crop'"):
        Preprocessing("crop")
    assert Preprocessing().to_json() == {
        "name": "peak",
        "size": 384,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    assert Preprocessing("percentiles").to_json()["percentiles"] == [1.0, 99.0]
