"""Centre crop and its inverse, for NumPy and JAX arrays alike."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxrecon.errors import InputError

AnyArray = TypeVar("AnyArray", np.ndarray, jax.Array)


def center_crop(array: AnyArray, height: int, width: int) -> AnyArray:
    """Cut out the centre of the last two axes, starting at (size - cropped size) // 2.

    Args:
        array: (..., H, W), any dtype.
        height: rows to keep, at most H.
        width: columns to keep, at most W.

    Returns:
        (..., height, width); a view where `array` is a NumPy array.

    Raises:
        InputError: the crop is empty or larger than the array.
    """
    rows, columns = array.shape[-2:]
    if not (0 < height <= rows and 0 < width <= columns):
        raise InputError(
            f"centre crop: expected a size from 1 x 1 to {rows} x {columns}, "
            f"found {height} x {width}"
        )
    top, left = (rows - height) // 2, (columns - width) // 2
    return array[..., top : top + height, left : left + width]


def center_pad(array: AnyArray, height: int, width: int) -> AnyArray:
    """Put the array in the centre of zeros: `center_crop(center_pad(x, H, W), h, w)` is x.

    Args:
        array: (..., h, w), any dtype.
        height: rows of the result, at least h.
        width: columns of the result, at least w.

    Returns:
        (..., height, width), of the array's kind and dtype.

    Raises:
        InputError: the result would be smaller than the array.
    """
    rows, columns = array.shape[-2:]
    if height < rows or width < columns:
        raise InputError(
            f"centre pad: expected a size of at least {rows} x {columns}, found {height} x {width}"
        )
    top, left = (height - rows) // 2, (width - columns) // 2
    margins = [(0, 0)] * (array.ndim - 2)
    margins += [(top, height - rows - top), (left, width - columns - left)]
    if isinstance(array, np.ndarray):
        return np.pad(array, margins)
    return jnp.pad(array, margins)
