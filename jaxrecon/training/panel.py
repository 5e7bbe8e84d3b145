"""The panel of target, reconstruction, error and zero-filled image of a few slices."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Image = Float32[np.ndarray, "_ _"]

_INCHES = 2.2


def draw_panel(
    targets: Sequence[Image],
    reconstructions: Sequence[Image],
    zero_filled: Sequence[Image],
    titles: Sequence[str],
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw one row per slice.

    Args:
        targets: target images; each row's grey scale runs from 0 to its target's maximum.
        reconstructions: of the same sizes.
        zero_filled: of the same sizes.
        titles: one line per slice.

    Returns:
        An RGB image. All error maps share one scale, printed above them.
    """
    errors = [np.abs(a - b) for a, b in zip(reconstructions, targets, strict=True)]
    relative = [e / max(t.max(), 1e-30) for e, t in zip(errors, targets, strict=True)]
    limit = max(float(np.quantile(e, 0.999)) for e in relative) or 1.0
    rows = len(targets)
    figure = Figure(figsize=(4 * _INCHES, rows * _INCHES + 0.5), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 4, squeeze=False)
    headings = ("target", "reconstruction", f"|error|, 0 to {limit:.2g} of maximum", "zero-filled")
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading, fontsize=9)
    for row, axis_row in enumerate(axes):
        peak = max(float(targets[row].max()), 1e-30)
        shown = (targets[row], reconstructions[row], None, zero_filled[row])
        for axis, image in zip(axis_row, shown, strict=True):
            if image is None:
                axis.imshow(relative[row], cmap="inferno", vmin=0, vmax=limit)
            else:
                axis.imshow(image, cmap="gray", vmin=0, vmax=peak)
            axis.set_xticks([])
            axis.set_yticks([])
        axis_row[0].set_ylabel(titles[row], fontsize=7)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
