import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
from operator_checks import random_complex
from parallel_imaging import relative_error

from jaxrecon.physics.conjugate_gradient import conjugate_gradient

SIZE = 12


def definite(problems: int, seed: int = 0) -> np.ndarray:
    """Hermitian positive definite matrices whose eigenvalues lie between 1 and 10."""
    factors = np.asarray(random_complex((problems, SIZE, SIZE), seed), np.complex128)
    basis, _ = np.linalg.qr(factors)
    eigenvalues = np.linspace(1, 10, SIZE)
    return (basis * eigenvalues) @ np.conj(np.swapaxes(basis, -1, -2))


def solve(matrices, target, **settings):
    matrices = jnp.asarray(matrices, jnp.complex64)

    def operator(x):
        return jnp.einsum("...ij,...j->...i", matrices, x)

    return conjugate_gradient(operator, target, batch_dims=target.ndim - 1, **settings)


def test_equals_a_dense_solve():
    matrices, target = definite(1)[0], random_complex((SIZE,), 1)
    found = solve(matrices, target, iterations=2 * SIZE)
    assert found.dtype == jnp.complex64
    assert relative_error(found, np.linalg.solve(matrices, np.asarray(target))) < 1e-5


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("with_start", [False, True])
def test_every_iterate_equals_scipy(iterations, with_start):
    matrix, target = definite(1)[0], random_complex((SIZE,), 1)
    start = random_complex((SIZE,), 2) if with_start else None
    expected, _ = scipy.sparse.linalg.cg(
        matrix, np.asarray(target), x0=start, rtol=0, maxiter=iterations
    )
    found = solve(matrix, target, iterations=iterations, initial=start)
    assert relative_error(found, expected) < 1e-5


def test_problems_of_a_batch_do_not_touch_each_other():
    matrices = definite(3) * np.array([1, 1e-3, 40])[:, None, None]
    targets = random_complex((3, SIZE), 1) * jnp.asarray([[1e-4], [1e4], [0]])
    together = solve(matrices, targets, iterations=6)
    for index in range(3):
        alone = solve(matrices[index], targets[index], iterations=6)
        np.testing.assert_allclose(
            together[index], alone, rtol=0, atol=1e-6 * float(jnp.max(jnp.abs(alone)))
        )
    np.testing.assert_array_equal(together[2], 0)


def test_solves_for_a_tree_of_arrays():
    # x real and y complex are coupled: a x + re(c) y and c x + b y, on the real inner product.
    def operator(tree):
        x, y = tree["x"], tree["y"]
        return {"x": 5 * x + 2 * y.real, "y": 2 * x + 4 * y}

    target = {"x": random_complex((3, 4), 0).real, "y": random_complex((3, 4), 1)}
    found = conjugate_gradient(operator, target, iterations=8, batch_dims=1)
    real = np.linalg.solve([[5, 2], [2, 4]], [target["x"].ravel(), target["y"].real.ravel()])
    np.testing.assert_allclose(found["x"].ravel(), real[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["y"].real.ravel(), real[1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["y"].imag, target["y"].imag / 4, rtol=0, atol=1e-5)
    assert found["x"].dtype == jnp.float32


def loss_and_gradients(matrix, weight, iterations):
    """Gradients of Re <weight, (B + shift)^-1 target> in target and shift."""

    def loss(target, shift):
        shifted = jnp.asarray(matrix, jnp.complex64) + shift * jnp.eye(SIZE)
        return jnp.vdot(weight, solve(shifted, target, iterations=iterations)).real

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))


@pytest.mark.parametrize("iterations", [2 * SIZE, 100])
def test_gradients_equal_the_dense_implicit_ones(iterations):
    """Also long after the problem is solved."""
    matrix, target, weight = definite(1)[0], random_complex((SIZE,), 1), random_complex((SIZE,), 2)
    _, (by_target, by_shift) = loss_and_gradients(matrix, weight, iterations)(target, 0.5)
    shifted = matrix + 0.5 * np.eye(SIZE)
    # With x = B^-1 y: dx = B^-1 dy, and dx = -B^-1 x ds. JAX gives the conjugate of the gradient.
    adjoint = np.linalg.solve(shifted, np.asarray(weight))
    assert relative_error(np.conj(by_target), adjoint) < 1e-5
    expected = -np.vdot(adjoint, np.linalg.solve(shifted, np.asarray(target))).real
    assert float(by_shift) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_gradients_do_not_overflow(factor):
    """With no tolerance and values whose fourth powers float32 cannot hold."""
    matrix, target, weight = definite(1)[0], random_complex((SIZE,), 1), random_complex((SIZE,), 2)

    def loss(target):
        return jnp.vdot(weight, solve(matrix, target, iterations=100, tolerance=0.0)).real

    by_target = jax.jit(jax.grad(loss))(factor * target)
    expected = np.linalg.solve(matrix, np.asarray(weight))
    assert relative_error(np.conj(by_target), expected) < 1e-5


def test_gradients_are_finite_where_the_residual_is_exactly_zero():
    weight = random_complex((SIZE,), 2)
    gradients = loss_and_gradients(3 * np.eye(SIZE), weight, 20)
    value, (by_target, by_shift) = gradients(random_complex((SIZE,), 1), 0.0)
    assert np.isfinite(value)
    assert np.isfinite(by_shift)
    np.testing.assert_allclose(np.conj(by_target), weight / 3, rtol=0, atol=1e-6)
    value, (by_target, by_shift) = gradients(jnp.zeros(SIZE, jnp.complex64), 0.0)
    assert value == 0
    assert np.all(np.isfinite(by_target))
    assert by_shift == 0


def test_a_solution_given_as_start_stays():
    matrix, solution = definite(1)[0], random_complex((SIZE,), 1)
    target = jnp.asarray(matrix @ np.asarray(solution), jnp.complex64)
    found = solve(matrix, target, iterations=30, initial=solution)
    assert relative_error(found, solution) < 1e-6


def test_a_singular_operator_gives_the_shortest_solution():
    matrix = np.diag(np.r_[np.linspace(1, 4, SIZE - 3), 0, 0, 0])
    target = random_complex((SIZE,), 1).at[-3:].set(0)
    found = solve(matrix, target, iterations=30)
    assert relative_error(found, np.linalg.pinv(matrix) @ np.asarray(target)) < 1e-5
