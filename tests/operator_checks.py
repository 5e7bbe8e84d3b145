"""Checks that every linear operator on JAX arrays should pass."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Operator = Callable[[jax.Array], jax.Array]


def random_complex(shape: tuple[int, ...], seed: int) -> jax.Array:
    """Complex64 array of standard normal real and imaginary parts."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((*shape, 2))
    return jnp.asarray(values[..., 0] + 1j * values[..., 1], jnp.complex64)


def inner(left: jax.Array, right: jax.Array) -> complex:
    """<left, right>, antilinear in the left, in double precision."""
    return complex(np.vdot(np.asarray(left, np.complex128), np.asarray(right, np.complex128)))


def norm(array: jax.Array) -> float:
    return float(np.linalg.norm(np.asarray(array, np.complex128)))


def assert_adjoint(
    operator: Operator,
    adjoint: Operator,
    domain: tuple[int, ...],
    codomain: tuple[int, ...],
    tolerance: float = 1e-5,
) -> None:
    """<A x, y> = <x, A^H y>, and A^H is what JAX transposes A to."""
    operator, adjoint = jax.jit(operator), jax.jit(adjoint)
    x = random_complex(domain, 0)
    y = random_complex(codomain, 1)
    forward, backward = operator(x), adjoint(y)
    assert forward.shape == codomain
    assert backward.shape == domain
    assert forward.dtype == backward.dtype == jnp.complex64
    scale = norm(forward) * norm(y)
    assert scale > 0
    assert abs(inner(forward, y) - inner(x, backward)) < tolerance * scale

    # JAX transposes without conjugating: A^H y is the conjugate of A^T conj(y).
    (transposed,) = jax.linear_transpose(operator, x)(jnp.conj(y))
    np.testing.assert_allclose(
        np.conj(transposed), backward, rtol=0, atol=tolerance * norm(backward)
    )


def assert_linear(operator: Operator, domain: tuple[int, ...], tolerance: float = 1e-5) -> None:
    """A (a x + y) = a A x + A y."""
    operator = jax.jit(operator)
    x, y = random_complex(domain, 2), random_complex(domain, 3)
    factor = jnp.complex64(0.3 - 1.7j)
    expected = factor * operator(x) + operator(y)
    assert norm(operator(factor * x + y) - expected) < tolerance * norm(expected)


def assert_unitary(
    operator: Operator, inverse: Operator, domain: tuple[int, ...], tolerance: float = 1e-6
) -> None:
    """A keeps norms and the given inverse undoes it on both sides."""
    operator, inverse = jax.jit(operator), jax.jit(inverse)
    x = random_complex(domain, 4)
    assert abs(norm(operator(x)) / norm(x) - 1) < tolerance
    assert norm(inverse(operator(x)) - x) < tolerance * norm(x)
    assert norm(operator(inverse(x)) - x) < tolerance * norm(x)
