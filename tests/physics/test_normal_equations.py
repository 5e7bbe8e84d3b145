import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operator_checks import assert_adjoint, random_complex
from parallel_imaging import relative_error

from jaxrecon.physics import sense
from jaxrecon.physics.normal_equations import normal_equations

COILS = 3


@pytest.mark.parametrize("batch", [(), (2,), (2, 1)])
@pytest.mark.parametrize("whole_columns", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (9, 11), (8, 9)])
def test_equal_the_operators_they_are_made_of(size, whole_columns, batch):
    shape = (*batch, COILS, *size)
    kspace, maps = random_complex(shape, 0), random_complex(shape, 1)
    rows = 1 if whole_columns else size[0]
    mask = jnp.asarray(np.random.default_rng(2).random((*batch, rows, size[1])) < 0.4)
    equations = normal_equations(kspace, mask, maps)
    image = random_complex((*batch, *size), 3)
    expected = sense.normal_operator(image, maps, mask)
    assert relative_error(equations.operator(image), expected) < 1e-6
    assert_adjoint(equations.operator, equations.operator, image.shape, image.shape)

    zero_filled = sense.adjoint_operator(kspace, maps, mask)
    peak = jnp.max(jnp.abs(zero_filled), axis=(-2, -1), keepdims=True)
    np.testing.assert_allclose(equations.peak, peak, rtol=1e-6)
    assert relative_error(equations.target, zero_filled / peak) < 1e-6


def test_bound_bounds_the_operator():
    maps = random_complex((COILS, 6, 8), 1)
    mask = jnp.ones((1, 8), bool)
    equations = normal_equations(random_complex((COILS, 6, 8), 0), mask, maps)
    matrix = jax.vmap(equations.operator)(jnp.eye(48, dtype=jnp.complex64).reshape(48, 6, 8))
    largest = np.linalg.eigvalsh(np.asarray(matrix).reshape(48, 48).T)[-1]
    # Every sample is there: the bound is reached.
    assert float(equations.bound.squeeze()) == pytest.approx(largest, rel=1e-5)


def test_empty_slices_stay_finite():
    empty = jnp.zeros((2, COILS, 6, 8), jnp.complex64)
    equations = normal_equations(empty, jnp.ones((1, 8), bool), empty)
    np.testing.assert_array_equal(equations.target, 0)
    np.testing.assert_array_equal(equations.peak, 1)
    np.testing.assert_array_equal(equations.bound, 1)
