"""One slice as several methods show it, side by side."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxrecon.metrics.example_images import QUANTILE, ExampleImages
from jaxrecon.metrics.measures import MEASURES

_INCHES = 2.4
_LETTERS_PER_INCH = 13
_LETTERS_OF_TITLE = 30


def draw_gallery(
    examples: Sequence[ExampleImages], heading: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a row of images for each slice and, where it has a target, a row of error maps below.

    Args:
        examples: the slices, all with the same methods.
        heading: one line on what they are.

    Returns:
        An RGB image. The images of a slice share one grey scale, from 0 to its target's maximum, or
        to the largest 99.9th percentile of its reconstructions; the error maps of all slices share
        one scale, relative to the target's maximum, which is printed.
    """
    with_target = [example.target is not None for example in examples]
    methods = list(examples[0].images)
    columns = len(methods) + any(with_target)
    heights = []
    for example, has_target in zip(examples, with_target, strict=True):
        rows, width = next(iter(example.images.values())).shape
        heights += [rows / width] * (1 + has_target)
    widest = max(image.shape[1] for example in examples for image in example.images.values())
    lines = textwrap.wrap(heading, int(_LETTERS_PER_INCH * columns * _INCHES))
    figure = Figure(
        figsize=(
            columns * _INCHES,
            sum(heights) * _INCHES + 0.35 * len(heights) + 0.17 * len(lines) + 0.2,
        ),
        # At least a dot for each pixel.
        dpi=max(110.0, widest / _INCHES),
        layout="constrained",
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    error_limit = _error_limit(examples)
    row = 0
    for example, has_target in zip(examples, with_target, strict=True):
        _draw_images(list(axes[row]), example, offset=int(any(with_target)), is_first=row == 0)
        row += 1
        if has_target:
            _draw_errors(list(axes[row]), example, error_limit)
            row += 1
    figure.suptitle("\n".join(lines), fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_images(
    axes: Sequence[Axes], example: ExampleImages, *, offset: int, is_first: bool
) -> None:
    limit = example.white
    if example.target is not None:
        axes[0].imshow(example.target, cmap="gray", vmin=0, vmax=limit)
        axes[0].set_xlabel(f"scale 0 to {limit:.3g}", fontsize=7)
    if offset and is_first:
        axes[0].set_title("target", fontsize=9)
    axes[0].set_ylabel(f"slice {example.index}", fontsize=8)
    for axis, (method, image) in zip(axes[offset:], example.images.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=limit)
        if is_first:
            axis.set_title("\n".join(textwrap.wrap(method, _LETTERS_OF_TITLE)), fontsize=9)
        if method in example.scores:
            axis.set_xlabel(_caption(example.scores[method]), fontsize=7)
    if example.target is None:
        axes[-1].set_xlabel(f"scale 0 to {limit:.3g}", fontsize=7)


def _draw_errors(axes: Sequence[Axes], example: ExampleImages, limit: float) -> None:
    axes[0].text(
        0.98,
        0.5,
        f"|error|\n0 to {limit:.2g}\nof maximum",
        ha="right",
        va="center",
        fontsize=8,
        transform=axes[0].transAxes,
    )
    for axis, error in zip(axes[1:], example.errors.values(), strict=True):
        axis.imshow(error, cmap="inferno", vmin=0, vmax=limit)


def _error_limit(examples: Sequence[ExampleImages]) -> float:
    errors = [error for example in examples for error in example.errors.values()]
    return max((float(np.quantile(error, QUANTILE)) for error in errors), default=0.0) or 1.0


def _caption(scores: Mapping[str, float]) -> str:
    shown = [(MEASURES[name], value) for name, value in scores.items() if name in MEASURES]
    return "  ".join(
        f"{measure.label} {value:.{measure.digits}f} {measure.unit}".rstrip()
        for measure, value in shown
    )
