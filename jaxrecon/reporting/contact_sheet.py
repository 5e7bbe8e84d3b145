"""All slices of a reconstruction in one picture."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_INCHES = 2.2
_NARROWEST = 4.0
_LETTERS_PER_INCH = 13
_MOST_COLUMNS = 6


def draw_contact_sheet(
    images: Float32[np.ndarray, "slices rows columns"], titles: Sequence[str], heading: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw slices side by side, row by row, on one grey scale.

    Args:
        images: magnitudes. The scale runs from 0 to their 99.9th percentile.
        titles: one for each slice.
        heading: of the sheet; the scale is added to it.

    Returns:
        An RGB image.
    """
    count = len(images)
    columns = min(_MOST_COLUMNS, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    limit = float(np.quantile(images, 0.999)) or float(images.max()) or 1.0
    aspect = images.shape[1] / images.shape[2]
    width = max(columns * _INCHES, _NARROWEST)
    lines = [*textwrap.wrap(heading, int(_LETTERS_PER_INCH * width)), f"scale 0 to {limit:.3g}"]
    figure = Figure(
        figsize=(width, rows * (width / columns * aspect + 0.25) + 0.17 * len(lines) + 0.2),
        # At least a dot for each pixel.
        dpi=max(110.0, images.shape[2] * columns / width),
        layout="constrained",
    )
    canvas = FigureCanvasAgg(figure)
    figure.suptitle("\n".join(lines), fontsize=9)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, title in zip(axes, images, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=limit)
        axis.set_title(title, fontsize=7)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
