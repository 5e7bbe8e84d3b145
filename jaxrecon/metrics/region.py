"""The part of a padded image that counts: a rectangle, of its own size for each of a batch."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32


def region_bounds(
    batch: int,
    height: int,
    width: int,
    crop: Int32[Array, "batch 2"] | None,
    start: Int32[Array, "batch 2"] | None = None,
) -> tuple[Int32[Array, "batch 2"], Int32[Array, "batch 2"]]:
    """First row and column of each image's region, and its size.

    Args:
        batch: number of images.
        height: rows of the images.
        width: columns of the images.
        crop: rows and columns of each region; None for the whole image.
        start: first row and column of each region; None for the centre, (size - crop) // 2.

    Returns:
        Starts and sizes, rows first.
    """
    size = jnp.broadcast_to(jnp.array([height, width], jnp.int32), (batch, 2))
    if crop is None:
        return jnp.zeros_like(size), size
    return (size - crop) // 2 if start is None else start, crop


def rectangle(
    height: int, width: int, start: Int32[Array, "batch 2"], size: Int32[Array, "batch 2"]
) -> Bool[Array, "batch height width"]:
    """True inside each image's rectangle.

    Args:
        height: rows of the images.
        width: columns of the images.
        start: first row and column of each rectangle.
        size: rows and columns of each rectangle.

    Returns:
        One mask per image.
    """
    rows = jnp.arange(height, dtype=jnp.int32) - start[:, :1]
    columns = jnp.arange(width, dtype=jnp.int32) - start[:, 1:]
    in_rows = (rows >= 0) & (rows < size[:, :1])
    in_columns = (columns >= 0) & (columns < size[:, 1:])
    return in_rows[:, :, None] & in_columns[:, None, :]
