"""Conjugate gradients of a fixed length, batched and differentiable.

References:
    Hestenes and Stiefel (1952), Methods of conjugate gradients for solving linear systems.
    https://doi.org/10.6028/jres.049.044
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, Inexact, PyTree

OPERATED = "operated"
"""Name of B times a direction, for policies of `jax.checkpoint`."""

# Solution, residual, direction, and each problem's squared norm of the residual.
_Carry = tuple[PyTree, PyTree, PyTree, Array]


def conjugate_gradient(
    operator: Callable[[PyTree], PyTree],
    target: PyTree[Inexact[Array, "..."]],
    *,
    iterations: int,
    initial: PyTree[Inexact[Array, "..."]] | None = None,
    batch_dims: int = 0,
    tolerance: float = 1e-7,
) -> PyTree[Inexact[Array, "..."]]:
    """Solve B x = y for a Hermitian, positive semi-definite operator B.

    Many independent problems are solved at once, each with its own steps. The number of iterations
    is fixed, as one compiled program needs it; a problem that is solved stands still from there on.
    Reverse-mode gradients are those of the iterations made, with respect to `target`, `initial` and
    whatever arrays the operator closes over; they are finite for solved problems too.

    Args:
        operator: x -> B x, of the same tree, shapes and dtypes; it must not mix problems.
        target: y, real or complex arrays.
        iterations: how many.
        initial: where to start; zeros by default.
        batch_dims: leading axes, alike in every array of the tree, that count independent problems.
        tolerance: norm of the residual, relative to that of y or, if larger, of the first
            residual, at which a problem is solved. Beyond rounding there is nothing to gain, and
            gradients would divide by numbers too small for their squares: in float32 a tolerance
            below 1e-8 counts as 1e-8.

    Returns:
        x, of the tree, shapes and dtypes of y.
    """
    if initial is None:
        solution, residual = jax.tree.map(jnp.zeros_like, target), target
    else:
        solution, residual = initial, jax.tree.map(jnp.subtract, target, operator(initial))
    # In units of the problem, so that no square under- or overflows. The result does not depend on
    # the unit, and hence no gradient flows through it.
    energy = jnp.maximum(_squared_norm(target, batch_dims), _squared_norm(residual, batch_dims))
    unit = jax.lax.stop_gradient(jnp.where(energy > 0, jnp.sqrt(energy), 1))
    solution, residual = _scaled(solution, 1 / unit), _scaled(residual, 1 / unit)
    floor = max(tolerance, float(jnp.finfo(unit.dtype).eps) / 12) ** 2

    def step(carry: _Carry, _: None) -> tuple[_Carry, None]:
        solution, residual, direction, energy = carry
        image = jax.tree.map(lambda x: checkpoint_name(x, OPERATED), operator(direction))
        curvature = _real_inner(direction, image, batch_dims)
        # A denominator of 1 where nothing is divided keeps NaN out of the gradient as well.
        is_open = (energy > floor) & (curvature > 0)
        length = jnp.where(is_open, energy / jnp.where(is_open, curvature, 1), 0)
        solution = _add_scaled(solution, length, direction)
        residual = _add_scaled(residual, -length, image)
        new_energy = _squared_norm(residual, batch_dims)
        turn = jnp.where(is_open, new_energy / jnp.where(is_open, energy, 1), 0)
        return (solution, residual, _add_scaled(residual, turn, direction), new_energy), None

    start = (solution, residual, residual, _squared_norm(residual, batch_dims))
    final, _ = jax.lax.scan(step, start, length=iterations)
    return _scaled(final[0], unit)


def _real_inner(left: PyTree, right: PyTree, batch_dims: int) -> Float[Array, "*batch"]:
    """Real part of <left, right>, summed over all arrays, one value per problem."""

    def of_arrays(x: Array, y: Array) -> Array:
        products = x.real * y.real
        if jnp.iscomplexobj(x):
            products += x.imag * y.imag
        return jnp.sum(products, axis=tuple(range(batch_dims, x.ndim)))

    return jax.tree.reduce(jnp.add, jax.tree.map(of_arrays, left, right))


def _squared_norm(tree: PyTree, batch_dims: int) -> Float[Array, "*batch"]:
    return _real_inner(tree, tree, batch_dims)


def _add_scaled(tree: PyTree, factor: Float[Array, "*batch"], other: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, tree, _scaled(other, factor))


def _scaled(tree: PyTree, factor: Float[Array, "*batch"]) -> PyTree:
    def of_array(x: Array) -> Array:
        return factor.reshape(factor.shape + (1,) * (x.ndim - factor.ndim)).astype(x.dtype) * x

    return jax.tree.map(of_array, tree)
