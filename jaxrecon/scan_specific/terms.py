"""Terms of the loss of a fit: agreement with k-space, and total variation.

Their scales are those of the authors' released code of arXiv:2511.19641, so that its weights hold.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.physics import coils


def data_term(
    images: Complex[Array, "*images height width"],
    kspace: Complex[Array, "coils height width"],
    mask: Bool[Array, "rows width"],
    maps: Complex[Array, "coils height width"],
    *,
    over: str = "sampled",
) -> Float[Array, "*images"]:
    """Mean absolute difference between an image's k-space and the samples (L1).

    Real and imaginary parts count one by one, in the unit of a Fourier transform without
    normalisation: sqrt(height * width) times that of an orthonormal one.

    Args:
        images: of about unit scale.
        kspace: centred and orthonormal, in the scale of the images.
        mask: centred, true at the samples that count; one row for whole columns.
        maps: sensitivity maps.
        over: what the sum is divided by: the number of "sampled" values, or "all" of k-space's, as
            the code has it for the networks other than the INR.

    Returns:
        One value for each image.
    """
    height, width = kspace.shape[-2:]
    axes = (-2, -1)
    # The order of samples does not matter: the centre of k-space and of the images is moved to the
    # corner, of the maps and the samples once and for all.
    native_maps = jnp.fft.ifftshift(maps, axes)
    native_kspace = jnp.fft.ifftshift(kspace, axes) * (height * width) ** 0.5
    native_mask = jnp.broadcast_to(
        jnp.fft.ifftshift(mask, axes if mask.shape[0] > 1 else -1), (height, width)
    )
    found = jnp.fft.fft2(coils.expand(jnp.fft.ifftshift(images, axes), native_maps))
    difference = jnp.where(native_mask, found - native_kspace, 0)
    total = jnp.sum(jnp.abs(difference.real) + jnp.abs(difference.imag), axis=(-3, -2, -1))
    count = height * width if over == "all" else jnp.maximum(jnp.sum(native_mask), 1)
    return total / (2 * kspace.shape[0] * count)


def total_variation(images: Complex[Array, "*images height width"]) -> Float[Array, "*images"]:
    """Absolute differences of neighbouring pixels, of real and imaginary parts, vertical and
    horizontal, summed over the image and divided by (height - 1) (width - 1).

    Args:
        images: of about unit scale.

    Returns:
        One value for each image.
    """  # noqa: D205
    height, width = images.shape[-2:]
    total = jnp.zeros(images.shape[:-2], jnp.float32)
    for axis in (-2, -1):
        difference = jnp.diff(images, axis=axis)
        total += jnp.sum(jnp.abs(difference.real) + jnp.abs(difference.imag), axis=(-2, -1))
    return total / ((height - 1) * (width - 1))
