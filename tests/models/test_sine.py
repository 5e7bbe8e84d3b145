import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.models.sine import cosine, sine


@pytest.mark.parametrize("reach", [2.0, 100.0, 1e4])
def test_equals_the_sine_in_float64(reach):
    x = np.linspace(-reach, reach, 200_001).astype(np.float32)
    exact = x.astype(np.float64)
    # The remainder carries the rounding of the multiple of pi that was taken off.
    tolerance = 2e-7
    np.testing.assert_allclose(jax.jit(sine)(x), np.sin(exact), rtol=0, atol=tolerance)
    np.testing.assert_allclose(jax.jit(cosine)(x), np.cos(exact), rtol=0, atol=tolerance)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(sine(x))))(jnp.asarray(x))
    np.testing.assert_allclose(slope, np.cos(exact), rtol=0, atol=tolerance)


def test_small_arguments_keep_their_relative_accuracy():
    x = jnp.asarray([0.0, 1e-30, -1e-8, 1e-3], jnp.float32)
    np.testing.assert_allclose(sine(x), np.sin(np.float64(x)), rtol=2e-7)


def test_second_derivatives_are_minus_the_sine():
    x = jnp.linspace(-10, 10, 1001)
    second = jax.vmap(jax.grad(jax.grad(sine)))(x)
    np.testing.assert_allclose(second, -np.sin(np.float64(x)), atol=1e-5)
