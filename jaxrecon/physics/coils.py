"""Receive coils: one image seen through several sensitivity maps, and back."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact


def expand(
    image: Complex[Array, "*batch height width"],
    maps: Complex[Array, "*#batch coils height width"],
) -> Complex[Array, "*batch coils height width"]:
    """Coil images S_c x of an image x.

    Args:
        image: complex images.
        maps: sensitivity maps S_c.

    Returns:
        One image per coil.
    """
    return maps * image[..., None, :, :]


def reduce(
    coil_images: Complex[Array, "*batch coils height width"],
    maps: Complex[Array, "*#batch coils height width"],
) -> Complex[Array, "*batch height width"]:
    """Combined image sum_c conj(S_c) x_c: the adjoint of `expand`.

    Where the maps' root sum of squares is 1 it also undoes `expand`.

    Args:
        coil_images: one complex image per coil.
        maps: sensitivity maps S_c.

    Returns:
        One complex image.
    """
    return jnp.sum(jnp.conj(maps) * coil_images, axis=-3)


def root_sum_of_squares(
    coil_images: Inexact[Array, "*batch coils height width"],
) -> Float[Array, "*batch height width"]:
    """Root of the coils' summed squared magnitudes.

    Args:
        coil_images: one complex or real image per coil.

    Returns:
        Real magnitude image. Where all coils are 0 both it and its gradient are 0.
    """
    power = _summed_power(coil_images)
    # The square root has no gradient at 0: the inner where keeps it from being taken there.
    is_signal = power > 0
    return jnp.where(is_signal, jnp.sqrt(jnp.where(is_signal, power, 1)), 0)


def normalise_maps(
    maps: Complex[Array, "*batch coils height width"],
) -> Complex[Array, "*batch coils height width"]:
    """Maps divided by their root sum of squares over the coils.

    Args:
        maps: raw coil profiles.

    Returns:
        Maps whose root sum of squares is 1, or 0 at pixels where all coils are 0; there the
        gradient is 0 as well.
    """
    power = _summed_power(maps)[..., None, :, :]
    is_signal = power > 0
    magnitude = jnp.sqrt(jnp.where(is_signal, power, 1)).astype(maps.dtype)
    return jnp.where(is_signal, maps / magnitude, 0)


def _summed_power(
    coil_images: Inexact[Array, "*batch coils height width"],
) -> Float[Array, "*batch height width"]:
    # Not abs(x) ** 2: abs of a complex 0 has no gradient.
    return jnp.sum(jnp.square(coil_images.real) + jnp.square(coil_images.imag), axis=-3)
