"""Percentiles of images, cheap and differentiable."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_LARGEST = np.iinfo(np.int32).max


def _ranks(count: int, levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rank below each level, and the share of the next rank, by linear interpolation."""
    position = np.asarray(levels) / 100 * (count - 1)
    rank = np.floor(position)
    return rank.astype(np.int32), (position - rank).astype(np.float32)


def _neighbours(
    bits: Int[Array, "batch count"], rank: np.ndarray
) -> tuple[Int[Array, "batch levels"], Int[Array, "batch levels"]]:
    """Bit patterns of the values of each rank and of the next rank.

    Bisection over the 31 bits: sorting 512x256 values takes 25 ms on a CPU and this 2 ms.
    """
    batch, count = bits.shape

    def set_bit(step: Array, found: Array) -> Array:
        trial = found + (1 << (30 - step))
        below = jnp.sum(bits[:, None] < trial[..., None], axis=-1, dtype=jnp.int32)
        return jnp.where(below <= rank, trial, found)

    start = jnp.zeros((batch, len(rank)), jnp.int32)
    lower = jax.lax.fori_loop(0, 31, set_bit, start)
    not_above = jnp.sum(bits[:, None] <= lower[..., None], axis=-1, dtype=jnp.int32)
    above = jnp.min(jnp.where(bits[:, None] > lower[..., None], bits[:, None], _LARGEST), axis=-1)
    return lower, jnp.where(not_above >= np.minimum(rank + 2, count), lower, above)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def percentiles(
    values: Float[Array, "batch count"], levels: tuple[float, ...]
) -> Float[Array, "batch levels"]:
    """Percentiles with linear interpolation between ranks, as `numpy.percentile` has them.

    The gradient goes to the values of the two ranks a percentile lies between, in equal parts to
    all pixels that have such a value.

    Args:
        values: float32, not negative: the order of such numbers is that of their bit patterns.
        levels: percentages, 0 to 100.

    Returns:
        float32, one column for each level.
    """
    rank, share = _ranks(values.shape[1], levels)
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)
    lower, upper = (
        jax.lax.bitcast_convert_type(found, jnp.float32) for found in _neighbours(bits, rank)
    )
    return lower + share * (upper - lower)


@percentiles.defjvp
def _percentiles_jvp(
    levels: tuple[float, ...],
    primals: tuple[Float[Array, "batch count"]],
    tangents: tuple[Float[Array, "batch count"]],
) -> tuple[Float[Array, "batch levels"], Float[Array, "batch levels"]]:
    (values,), (tangent,) = primals, tangents
    rank, share = _ranks(values.shape[1], levels)
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)
    found = _neighbours(bits, rank)
    change = jnp.zeros((), values.dtype)
    for pattern, weight in zip(found, (1 - share, share), strict=True):
        equal = bits[:, None] == pattern[..., None]
        total = jnp.sum(jnp.where(equal, tangent[:, None], 0.0), axis=-1)
        change = change + weight * total / jnp.sum(equal, axis=-1)
    lower, upper = (jax.lax.bitcast_convert_type(pattern, jnp.float32) for pattern in found)
    return lower + share * (upper - lower), change
