"""Tenengrad: how sharp an image is, without a target."""

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from jaxrecon.errors import InputError
from jaxrecon.metrics.region import rectangle, region_bounds

WINDOW = 3


def tenengrad(
    image: Float32[Array, "batch height width"],
    data_range: Float32[Array, " batch"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Mean squared gradient magnitude Gx^2 + Gy^2 of each image, higher where it is sharper.

    Gx and Gy are the image's correlations with the two 3 x 3 Sobel kernels (1, 2, 1) x (-1, 0, 1),
    averaged over the windows that lie wholly inside the image's valid region. There is no
    threshold below which gradients are left out. Noise counts as sharpness.

    Args:
        image: images to judge.
        data_range: what each image is divided by first, commonly the maximum of the target; 1
            stands in where it is not positive.
        crop: rows and columns of each image's valid region; None for the whole image. What lies
            outside changes neither the value nor the gradient.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One mean per image, relative to the data range squared; 0 where the region holds no window.

    Raises:
        InputError: the images are smaller than a window.

    References:
        Krotkov (1988), Focusing. https://doi.org/10.1007/BF00127822
    """
    batch, height, width = image.shape
    if min(height, width) < WINDOW:
        raise InputError(
            f"Tenengrad: expected images of at least {WINDOW} x {WINDOW} pixels, "
            f"found {height} x {width}"
        )
    first, size = region_bounds(batch, height, width, crop, start)
    scale = jnp.where(data_range > 0, data_range, 1)[:, None, None]
    # Emptied first: the padding may hold anything, infinities included.
    x = jnp.where(rectangle(height, width, first, size), image, 0) / scale
    by_column = _difference(_smoothed(x, -2), -1)
    by_row = _difference(_smoothed(x, -1), -2)
    windows = jnp.maximum(size - (WINDOW - 1), 0)
    inside = rectangle(height - WINDOW + 1, width - WINDOW + 1, first, windows)
    squares = jnp.where(inside, by_column**2 + by_row**2, 0)
    count = jnp.prod(windows, axis=-1).astype(image.dtype)
    return jnp.sum(squares, axis=(-2, -1)) / jnp.maximum(count, 1)


def _smoothed(x: Array, axis: int) -> Array:
    """Correlation with (1, 2, 1) along an axis, where it lies inside."""
    before, here, after = _neighbours(x, axis)
    return before + 2 * here + after


def _difference(x: Array, axis: int) -> Array:
    """Correlation with (-1, 0, 1) along an axis, where it lies inside."""
    before, _, after = _neighbours(x, axis)
    return after - before


def _neighbours(x: Array, axis: int) -> tuple[Array, Array, Array]:
    x = jnp.moveaxis(x, axis, 0)
    before, here, after = x[:-2], x[1:-1], x[2:]
    return jnp.moveaxis(before, 0, axis), jnp.moveaxis(here, 0, axis), jnp.moveaxis(after, 0, axis)
