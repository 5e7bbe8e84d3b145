"""Figures of one slice: target, reconstructions, zoomed boxes and error maps, method by method.

All images of a figure share one grey scale and all error maps one error scale; both are printed.
"""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from jaxrecon.reporting.examples import Example, Image

ERROR_MAP = "inferno"
BOX_COLOUR = "#ffb000"

_INCHES = 1.5
# Characters of a method's name that fit above its image.
_TITLE_WIDTH = 20


def example_figure(example: Example) -> Figure:
    """A column for the target and each method; rows: image, zoomed box, error.

    Args:
        example: the slice; without a target there are no error maps.
    """
    shown: dict[str, Image] = dict(example.images)
    if example.target is not None:
        shown = {"Target": example.target, **shown}
    errors = example.errors
    height, width = next(iter(shown.values())).shape
    rows = 3 if errors else 2
    ratios = [height / width, 1.0, height / width][:rows]
    figure = Figure(
        figsize=(_INCHES * len(shown) + (0.6 if errors else 0), _INCHES * sum(ratios) + 0.9),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
    )
    grid = figure.subplots(rows, len(shown), squeeze=False, height_ratios=ratios)
    for column, (label, image) in zip(grid.T, shown.items(), strict=True):
        _draw_column(list(column), label, image, example)
    if errors:
        scale = _error_scale(example)
        bar = figure.colorbar(scale, ax=list(grid[2]), extend="max", fraction=0.04, pad=0.01)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("|error| / target's maximum", fontsize=7)
    figure.suptitle(example.title, fontsize=8)
    figure.supxlabel(scale_text(example), fontsize=7)
    return figure


def scale_text(example: Example) -> str:
    """The scales of an example's images and error maps, in one sentence."""
    if example.target is None:
        return f"Images: 0 to {example.white:.3g}, the largest 99.9 % quantile of all images."
    return (
        f"Images: 0 to {example.white:.3g}, the target's maximum. "
        f"Errors: 0 to {example.error_limit:g} of the target's maximum."
    )


def _draw_column(column: Sequence[Axes], label: str, image: Image, example: Example) -> None:
    box = example.box
    for axes in column:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
    grey = ScalarMappable(Normalize(0, example.white), "gray")
    _show(column[0], image, grey)
    column[0].set_title(textwrap.fill(label, _TITLE_WIDTH), fontsize=8)
    column[0].add_patch(
        Rectangle(
            (box.column - 0.5, box.row - 0.5),
            box.size,
            box.size,
            fill=False,
            edgecolor=BOX_COLOUR,
            linewidth=0.8,
        )
    )
    part = image[box.row : box.row + box.size, box.column : box.column + box.size]
    _show(column[1], part, grey)
    for spine in column[1].spines.values():
        spine.set(visible=True, color=BOX_COLOUR, linewidth=0.8)
    column[1].set_xlabel("\n".join(example.score_texts(label)), fontsize=6.5)
    if len(column) < 3:
        return
    if label in example.errors:
        _show(column[2], example.errors[label], _error_scale(example))
    else:
        column[2].set_axis_off()


def _error_scale(example: Example) -> ScalarMappable:
    return ScalarMappable(Normalize(0, example.error_limit), ERROR_MAP)


def _show(axes: Axes, image: Image, scale: ScalarMappable) -> None:
    low, high = scale.get_clim()
    axes.imshow(image, cmap=scale.cmap, vmin=low, vmax=high, interpolation="nearest")
