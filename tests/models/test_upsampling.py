import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxrecon.models.upsampling import double_bilinear


def _interpolated(x):
    channels_first = torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)
    doubled = torch.nn.functional.interpolate(
        channels_first, scale_factor=2, mode="bilinear", align_corners=True
    )
    return doubled.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (2, 5, 12, 1), (1, 1, 7, 2), (1, 2, 1, 4)])
def test_values_are_those_of_torch(shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    np.testing.assert_allclose(double_bilinear(x), _interpolated(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (2, 5, 12, 1), (1, 1, 7, 2), (1, 2, 1, 4)])
def test_the_gradient_is_the_adjoint(shape):
    generator = np.random.default_rng(1)
    x = jnp.asarray(generator.normal(size=shape), jnp.float32)
    doubled, pull = jax.vjp(double_bilinear, x)
    y = jnp.asarray(generator.normal(size=doubled.shape), jnp.float32)
    (gradient,) = pull(y)
    left, right = np.vdot(np.float64(doubled), y), np.vdot(x, np.float64(gradient))
    size = np.linalg.norm(doubled) * np.linalg.norm(y)
    assert abs(left - right) < 1e-6 * size
