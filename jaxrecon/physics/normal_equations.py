"""The least-squares problem A x = k as an iterative solver wants it: A^H A and A^H k, scaled.

A is the forward operator of `jaxrecon.physics.sense`. All solvers work on k-space divided by the
peak of its zero-filled image: a regularisation is then relative to the data, and a solver's result
scales with its input.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.physics import coils
from jaxrecon.physics.fourier import native_order_mask
from jaxrecon.physics.sense import adjoint_operator


class NormalEquations(NamedTuple):
    """A^H A x = A^H k, scaled.

    Attributes:
        operator: x -> A^H A x of complex images (*batch, height, width).
        target: A^H k / peak, complex (*batch, height, width).
        peak: largest magnitude of each slice's zero-filled image A^H k, or 1 where that is all
            zero; real (*batch, 1, 1), in the scale of the k-space.
        bound: no eigenvalue of A^H A is larger: the largest pixel of the maps' summed squared
            magnitudes, 1 for normalised maps; real (*#batch, 1, 1).
    """

    operator: Callable[
        [Complex[Array, "*batch height width"]], Complex[Array, "*batch height width"]
    ]
    target: Complex[Array, "*batch height width"]
    peak: Float[Array, "*batch 1 1"]
    bound: Float[Array, "*#batch 1 1"]


def normal_equations(
    kspace: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
    maps: Complex[Array, "*#batch coils height width"],
) -> NormalEquations:
    """Prepare what does not change from one iteration to the next.

    Args:
        kspace: centred k-space; what lies outside the mask is ignored.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.
        maps: sensitivity maps.

    Returns:
        The scaled problem.
    """
    zero_filled = adjoint_operator(kspace, maps, mask)
    peak = jnp.sqrt(_positive_or_one(_largest(_power(zero_filled))))
    bound = _positive_or_one(_largest(jnp.sum(_power(maps), axis=-3)))
    return NormalEquations(
        _normal_operator(maps, mask), zero_filled / peak.astype(zero_filled.dtype), peak, bound
    )


def _normal_operator(
    maps: Complex[Array, "*#batch coils height width"], mask: Bool[Array, "*#batch #height width"]
) -> Callable[[Array], Array]:
    # The shifts of the centred transforms cancel between A and A^H, and so does the transform down
    # the columns where a mask keeps or leaves them whole.
    axes = (-1,) if mask.shape[-2] == 1 else (-2, -1)
    sampled = native_order_mask(mask)[..., None, :, :]

    def operator(image: Array) -> Array:
        kspace = jnp.fft.fftn(coils.expand(image, maps), axes=axes)
        return coils.reduce(jnp.fft.ifftn(jnp.where(sampled, kspace, 0), axes=axes), maps)

    return operator


def _power(values: Array) -> Array:
    return jnp.square(values.real) + jnp.square(values.imag)


def _largest(images: Array) -> Array:
    return jnp.max(images, axis=(-2, -1), keepdims=True)


def _positive_or_one(values: Array) -> Array:
    return jnp.where(values > 0, values, 1)
