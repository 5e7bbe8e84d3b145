"""The part of an image that a figure shows enlarged."""

import dataclasses

import numpy as np
from jaxtyping import Float32

from jaxrecon.errors import InputError

# Of the shorter side, for a box that nobody chose.
_FRACTION = 0.25


@dataclasses.dataclass(frozen=True)
class ZoomBox:
    """A square of an image.

    Attributes:
        row: of its first row.
        column: of its first column.
        size: rows and columns, in pixels.
    """

    row: int
    column: int
    size: int


def parse_zoom(text: str) -> ZoomBox:
    """A box given as "row,column,size".

    Raises:
        InputError: these are not three whole numbers, or no box.
    """
    try:
        row, column, size = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--zoom: expected row,column,size in pixels, found {text!r}") from None
    if min(row, column) < 0 or size < 2:
        raise InputError(f"--zoom: expected a box of at least 2 pixels, found {text!r}")
    return ZoomBox(row, column, size)


def check_fits(box: ZoomBox, shape: tuple[int, int], name: str) -> ZoomBox:
    """The box itself, if it lies in an image.

    Raises:
        InputError: it does not.
    """
    height, width = shape
    if box.row + box.size > height or box.column + box.size > width:
        raise InputError(
            f"--zoom: expected a box within {height} x {width} pixels of {name}, found rows "
            f"{box.row}-{box.row + box.size - 1} and columns {box.column}-"
            f"{box.column + box.size - 1}"
        )
    return box


def busiest_box(image: Float32[np.ndarray, "height width"]) -> ZoomBox:
    """The box with the largest energy of the image's gradient, a quarter of the shorter side wide.

    Args:
        image: magnitude image.
    """
    rows, columns = np.gradient(image.astype(np.float64))
    energy = rows**2 + columns**2
    size = max(2, round(_FRACTION * min(image.shape)))
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return ZoomBox(int(row), int(column), size)
