"""One undersampled slice as the fitting of a network wants it: scaled, and in the FFT's order."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.physics.normal_equations import normal_equations


class Problem(NamedTuple):
    """Undersampled k-space of a slice; all leaves of several slices may be stacked for `jax.vmap`.

    K-space is divided by the peak of its coil-combined zero-filled image, so that images are of
    about unit scale and a fit does not depend on the scale of the scan.

    Attributes:
        kspace: centred, orthonormal, scaled; 0 where not sampled.
        mask: centred, true where sampled; one row for masks of whole columns.
        loss_mask: the samples that the loss is taken at, rows as `mask` or all of them.
        consistency_mask: the samples that a network may use inside.
        maps: sensitivity maps, centred.
        zero_filled: coil-combined image of all samples, scaled.
        peak: what k-space was divided by.
    """

    kspace: Complex[Array, "*slices coils height width"]
    mask: Bool[Array, "*slices rows width"]
    loss_mask: Bool[Array, "*slices loss_rows width"]
    consistency_mask: Bool[Array, "*slices loss_rows width"]
    maps: Complex[Array, "*slices coils height width"]
    zero_filled: Complex[Array, "*slices height width"]
    peak: Float[Array, "*slices"]


def make_problem(
    kspace: Complex[Array, "slices coils height width"],
    mask: Bool[Array, "slices rows width"],
    maps: Complex[Array, "slices coils height width"],
    holdout: Bool[Array, "slices height width"] | None = None,
) -> Problem:
    """Scale slices and divide their samples.

    Args:
        kspace: centred k-space; what lies outside the mask is ignored.
        mask: centred, true where sampled; one row for masks of whole columns.
        maps: sensitivity maps.
        holdout: samples kept for the loss, see `draw_holdout`; the others are for the network. None
            for all samples on both sides.

    Returns:
        The slices' problems, stacked.
    """
    equations = normal_equations(kspace, mask, maps)
    scaled = jnp.where(mask[:, None], kspace, 0) / equations.peak[:, None].astype(kspace.dtype)
    loss_mask = consistency_mask = mask
    if holdout is not None:
        loss_mask = holdout & mask
        consistency_mask = mask & ~loss_mask
    return Problem(
        scaled, mask, loss_mask, consistency_mask, maps, equations.target, equations.peak[:, 0, 0]
    )


def draw_holdout(
    key: Array,
    mask: Bool[Array, "rows width"],
    height: int,
    fraction: float,
    sigma: float,
) -> Bool[Array, "height width"]:
    """Samples to keep for the loss, drawn without replacement with a Gaussian density.

    Self-supervision by data division (Yaman et al. 2020, https://doi.org/10.1002/mrm.28378): single
    samples, more of them near the centre of k-space.

    Args:
        key: random key.
        mask: centred, true where sampled.
        height: rows of k-space.
        fraction: of the samples.
        sigma: standard deviation of the density, in units of half the height and half the width.

    Returns:
        True at the samples drawn, rounded down to a whole number.
    """
    width = mask.shape[-1]
    rows, columns = jnp.linspace(-1, 1, height)[:, None], jnp.linspace(-1, 1, width)
    logarithm = -(jnp.square(rows) + jnp.square(columns)) / (2 * sigma**2)
    # The largest sums of log density and Gumbel noise are a draw without replacement.
    noisy = logarithm + jax.random.gumbel(key, (height, width))
    order = jnp.argsort(jnp.where(mask, noisy, -jnp.inf).ravel(), descending=True)
    count = jnp.floor(jnp.sum(jnp.broadcast_to(mask, (height, width))) * fraction)
    ranks = jnp.zeros(height * width, jnp.int32).at[order].set(jnp.arange(height * width))
    return (ranks < count).reshape(height, width)
