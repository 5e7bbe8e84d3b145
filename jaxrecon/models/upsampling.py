"""Bilinear doubling of height and width, the corners staying in place.

torch's `interpolate(scale_factor=2, mode="bilinear", align_corners=True)`. Every new line lies
between an old one and its neighbour before (even lines) or after (odd lines), so it is a sum of two
shifted arrays: arithmetic at the speed of memory, where a matrix of weights for each axis costs
products and transposed copies. The gradient is the same sum turned around.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


@jax.custom_vjp
def double_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Interpolate at twice as many points from the first sample to the last, along both axes.

    Args:
        x: images, channels last.
    """
    return _double(_double(x, 1), 2)


def _forward(x: Array) -> tuple[Array, None]:
    return double_bilinear(x), None


def _backward(_: None, cotangent: Array) -> tuple[Array]:
    return (_double_transposed(_double_transposed(cotangent, 2), 1),)


double_bilinear.defvjp(_forward, _backward)


def _double(x: Array, axis: int) -> Array:
    size = x.shape[axis]
    to_before, to_after = _steps(size, x, axis)
    first, last = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, size - 1))
    before = jnp.concatenate([first, lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
    after = jnp.concatenate([lax.slice_in_dim(x, 1, size, axis=axis), last], axis)
    pairs = jnp.stack([x + to_before * (before - x), x + to_after * (after - x)], axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


def _double_transposed(x: Array, axis: int) -> Array:
    size = x.shape[axis] // 2
    to_before, to_after = _steps(size, x, axis)
    even, odd = (lax.slice_in_dim(x, i, 2 * size, 2, axis=axis) for i in (0, 1))
    own = (1 - to_before) * even + (1 - to_after) * odd
    return own + _moved(to_before * even, axis, -1) + _moved(to_after * odd, axis, 1)


def _steps(size: int, like: Array, axis: int) -> tuple[Array, Array]:
    """How far the two new lines of each old one lie towards its neighbours before and after."""
    lines = np.arange(size).reshape([-1 if i == axis else 1 for i in range(like.ndim)])
    distance = 2 * size - 1
    before, after = lines / distance, (size - 1 - lines) / distance
    return jnp.asarray(before, like.dtype), jnp.asarray(after, like.dtype)


def _moved(x: Array, axis: int, lines: int) -> Array:
    """Shifted along an axis, zeros moving in."""
    margins = [(lines, -lines, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), margins)
