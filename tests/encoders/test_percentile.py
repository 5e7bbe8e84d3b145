import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxrecon.encoders.percentile import percentiles

LEVELS = (0.0, 1.0, 37.5, 99.0, 100.0)


@settings(deadline=None, max_examples=40)
@given(
    arrays(
        np.float32,
        st.sampled_from([(1, 1), (2, 7), (1, 101), (3, 400)]),
        # Few distinct values among them, so that ties are common; none so small that a part of the
        # interpolation is subnormal, which XLA takes for 0.
        elements=st.one_of(st.sampled_from([0.0, 1.0, 2.5]), st.floats(2**-100, 1e6, width=32)),
    )
)
def test_they_are_numpy_s(values):
    found = percentiles(jnp.asarray(values), LEVELS)
    expected = np.percentile(values.astype(np.float64), LEVELS, axis=1).T
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1.0, 1e12])
def test_a_magnitude_image_of_any_scale(scale):
    rng = np.random.default_rng(0)
    values = scale * np.abs(rng.normal(size=(2, 4000)) + 1j * rng.normal(size=(2, 4000)))
    values = values.astype(np.float32)
    expected = np.percentile(values.astype(np.float64), (1, 99), axis=1).T
    np.testing.assert_allclose(percentiles(jnp.asarray(values), (1.0, 99.0)), expected, rtol=1e-6)


def test_the_gradient_is_that_of_sorting():
    values = jnp.asarray(np.random.default_rng(0).random((2, 333)), jnp.float32)
    weights = jnp.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    levels = (1.0, 50.0, 99.0)

    def ours(values):
        return jnp.sum(weights * percentiles(values, levels))

    def by_sorting(values):
        return jnp.sum(weights * jnp.percentile(values, jnp.array(levels), axis=1).T)

    expected = jax.grad(by_sorting)(values)
    assert np.count_nonzero(expected) == 10  # two ranks each, and one for the median
    np.testing.assert_allclose(jax.grad(ours)(values), expected, rtol=1e-4, atol=1e-6)


def test_equal_values_share_the_gradient():
    gradient = jax.grad(lambda x: percentiles(x, (50.0,))[0, 0])(jnp.array([[1.0, 2.0, 2.0, 9.0]]))
    np.testing.assert_allclose(gradient, [[0.0, 0.5, 0.5, 0.0]])
