"""Pixelwise distances between an image and its target, over the valid region of each image."""

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from jaxrecon.metrics.region import rectangle, region_bounds


def squared_error(
    image: Float32[Array, "batch height width"],
    target: Float32[Array, "batch height width"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Summed squared difference of each image and its target.

    Args:
        image: images to judge.
        target: what they should be.
        crop: rows and columns of each image's valid region; None for the whole image.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One sum per image, in the images' unit squared.
    """
    # Emptied before the difference: the padding may hold anything, infinities included.
    inside = _inside(image, crop, start)
    difference = jnp.where(inside, image, 0) - jnp.where(inside, target, 0)
    return jnp.sum(jnp.square(difference), axis=(-2, -1))


def energy(
    target: Float32[Array, "batch height width"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Summed square of each target.

    Args:
        target: images.
        crop: rows and columns of each image's valid region; None for the whole image.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One sum per image, in the images' unit squared.
    """
    kept = jnp.where(_inside(target, crop, start), target, 0)
    return jnp.sum(jnp.square(kept), axis=(-2, -1))


def pixels(
    target: Float32[Array, "batch height width"], crop: Int32[Array, "batch 2"] | None = None
) -> Float32[Array, " batch"]:
    """Number of pixels that count in each image.

    Args:
        target: images.
        crop: rows and columns of each image's valid region; None for the whole image.

    Returns:
        One count per image, as a float.
    """
    batch, height, width = target.shape
    _, size = region_bounds(batch, height, width, crop)
    return jnp.prod(size, axis=-1).astype(target.dtype)


def nmse(
    image: Float32[Array, "batch height width"],
    target: Float32[Array, "batch height width"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Normalised mean squared error |x - y|^2 / |y|^2 of each image x to its target y.

    Args:
        image: images to judge.
        target: what they should be.
        crop: rows and columns of each image's valid region; None for the whole image.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One error per image, 0 for equal images; infinite only for a target that is all zero.
    """
    error = squared_error(image, target, crop, start)
    reference = energy(target, crop, start)
    relative = error / jnp.where(reference > 0, reference, 1)
    return jnp.where(reference > 0, relative, jnp.where(error > 0, jnp.inf, 0))


def psnr(
    image: Float32[Array, "batch height width"],
    target: Float32[Array, "batch height width"],
    data_range: Float32[Array, " batch"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Peak signal-to-noise ratio 10 log10(L^2 / mean squared error) of each image, in dB.

    Args:
        image: images to judge.
        target: what they should be.
        data_range: the peak L, commonly the maximum of the target volume; 1 stands in where it is
            not positive.
        crop: rows and columns of each image's valid region; None for the whole image.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One ratio per image, infinite for equal images.
    """
    error = squared_error(image, target, crop, start) / pixels(target, crop)
    peak = jnp.where(data_range > 0, data_range, 1)
    return -10 * jnp.log10(error / peak / peak)


def _inside(image: Array, crop: Array | None, start: Array | None) -> Array:
    batch, height, width = image.shape
    return rectangle(height, width, *region_bounds(batch, height, width, crop, start))
