"""Maps of embeddings as figures: where references and reconstructions lie, and one path."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from jaxrecon.reporting.curves import INK, RULE
from jaxrecon.reporting.embedding_map import EmbeddingMap
from jaxrecon.reporting.series import COLOURS

# Darker towards the end, so that the order is seen in grey and without colour vision, too.
PATH_COLOURS = LinearSegmentedColormap.from_list("path", ["#56b4e9", "#7d5fb5", "#960018"])

_INCHES = 3.2
# Of a title above one column.
_LETTERS = 48
# Of the map's extent: a path that is shorter is not enlarged beyond this.
_SMALLEST_WINDOW = 0.12
_MARGIN = 0.15
# Of the map's extent: a path that is longer is shown with all of the map.
_ENLARGED = 0.6


def embedding_figure(
    maps: Sequence[EmbeddingMap], steps: Int[np.ndarray, " kept"], title: str
) -> Figure:
    """A column for each level: everything above, the surroundings of the path below.

    Args:
        maps: of the levels, low to high.
        steps: at which the path was kept.
        title: of the figure; "" for none.
    """
    figure = Figure(
        figsize=(_INCHES * len(maps) + 0.7, 2 * _INCHES + (1.2 if len(maps) < 3 else 0.9)),
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02),
    )
    grid = figure.subplots(2, len(maps), squeeze=False)
    for (above, below), found in zip(grid.T, maps, strict=True):
        _draw_all(above, found)
        _draw_path(below, found)
    bar = figure.colorbar(
        _scale(steps), ax=list(grid[1]), fraction=0.05, pad=0.02, aspect=30, label="step"
    )
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.label.set_fontsize(9)
    handles = _handles(maps[0])
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols={1: 2, 2: 3}.get(len(maps), len(handles)),
        fontsize=9,
        frameon=False,
    )
    if title:
        width = _LETTERS * len(maps)
        figure.suptitle("\n".join(textwrap.wrap(title, width)), fontsize=9)
    return figure


def describe(found: EmbeddingMap) -> str:
    """A map in words, for readers who do not see it: distances are those of the projection."""
    text = f"{found.projection} of {found.level}"
    if not len(found.positives) or not len(found.negatives):
        return f"{text}: the path of the embedding from the first step to the last."
    starts, ends = (
        [float(np.linalg.norm(point - cluster.mean(axis=0))) for point in found.path[[0, -1]]]
        for cluster in (found.positives, found.negatives)
    )
    first, last = (
        "positives" if positive < negative else "negatives"
        for positive, negative in zip(starts, ends, strict=True)
    )
    return (
        f"{text}: the path begins nearer to the centre of the {first} "
        f"and ends nearer to that of the {last}."
    )


def _draw_all(axes: Axes, found: EmbeddingMap) -> None:
    _draw_references(axes, found)
    axes.plot(*found.finals.T, **_look("finals"), zorder=4)
    axes.plot(*found.path[-1], **_look("end"), zorder=5)
    everything = _everything(found)
    _frame(axes, everything, smallest=0.0)
    low, size = _window(found.path, _SMALLEST_WINDOW * _extent(everything))
    if _is_enlarged(found):
        axes.add_patch(Rectangle(low, size, size, fill=False, edgecolor=INK, linewidth=0.8))
    axes.set_title(f"{found.level} ({found.projection})", fontsize=9, color=INK)


def _draw_path(axes: Axes, found: EmbeddingMap) -> None:
    _draw_references(axes, found)
    colours = PATH_COLOURS(np.linspace(0, 1, len(found.path)))
    for place, colour in enumerate(colours[1:]):
        axes.plot(*found.path[place : place + 2].T, color=colour, linewidth=1.8, zorder=3)
    x, y = found.path.T
    axes.scatter(x, y, s=18, c=colours, edgecolors="white", linewidths=0.4, zorder=4)
    axes.plot(*found.path[0], **_look("start"), zorder=5)
    axes.plot(*found.path[-1], **_look("end"), zorder=5)
    _frame(axes, found.path, smallest=_SMALLEST_WINDOW * _extent(_everything(found)))
    title = "One path, within the box above" if _is_enlarged(found) else "One path"
    axes.set_title(title, fontsize=9, color=INK)


def _draw_references(axes: Axes, found: EmbeddingMap) -> None:
    axes.plot(*found.negatives.T, **_look("negatives"), zorder=1)
    axes.plot(*found.positives.T, **_look("positives"), zorder=2)


def _look(kind: str) -> dict[str, Any]:
    """Marker and colour of what a map shows, each enough to tell it by."""
    looks: dict[str, dict[str, Any]] = {
        "positives": {"marker": "o", "markersize": 4, "color": COLOURS[2][0], "alpha": 0.7},
        "negatives": {"marker": "^", "markersize": 4, "color": COLOURS[1][0], "alpha": 0.7},
        "finals": {"marker": "D", "markersize": 5, "color": INK},
        "start": {"marker": "s", "markersize": 7, "color": PATH_COLOURS(0.0)},
        "end": {"marker": "*", "markersize": 11, "color": PATH_COLOURS(1.0)},
    }
    edge = INK if kind in ("start", "end") else "white"
    width = 0.8 if kind in ("start", "end") else 0.3
    return {"linestyle": "none", "markeredgecolor": edge, "markeredgewidth": width, **looks[kind]}


def _handles(found: EmbeddingMap) -> list[Line2D]:
    parts = {
        "positives": _counted("positives", len(found.positives), found.counts[0]),
        "negatives": _counted("negatives", len(found.negatives), found.counts[1]),
        "finals": _counted("last reconstructions", len(found.finals), len(found.finals)),
        "start": "path's start",
        "end": "path's end",
    }
    absent = [name for name, count in zip(parts, found.counts, strict=False) if not count]
    return [
        Line2D([], [], label=label, **_look(kind))
        for kind, label in parts.items()
        if kind not in absent
    ]


def _counted(what: str, shown: int, count: int) -> str:
    return f"{what} ({shown})" if shown == count else f"{what} ({shown} of {count})"


def _everything(found: EmbeddingMap) -> Float[np.ndarray, "points 2"]:
    return np.concatenate([found.positives, found.negatives, found.finals, found.path])


def _is_enlarged(found: EmbeddingMap) -> bool:
    return _extent(found.path) < _ENLARGED * _extent(_everything(found))


def _extent(points: Float[np.ndarray, "points 2"]) -> float:
    return float(np.ptp(points, axis=0).max()) or 1.0


def _window(
    points: Float[np.ndarray, "points 2"], smallest: float
) -> tuple[tuple[float, float], float]:
    """Lower corner and side of a square around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = max((1 + 2 * _MARGIN) * float((high - low).max()), smallest) or 1.0
    x, y = (low + high - size) / 2
    return (float(x), float(y)), size


def _frame(axes: Axes, points: Float[np.ndarray, "points 2"], *, smallest: float) -> None:
    low, size = _window(points, smallest)
    axes.set(xlim=(low[0], low[0] + size), ylim=(low[1], low[1] + size), aspect="equal")
    # The dimensions have neither unit nor meaning of their own.
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=RULE, linewidth=0.8)


def _scale(steps: Int[np.ndarray, " kept"]) -> ScalarMappable:
    high = max(int(steps[-1]), int(steps[0]) + 1)
    return ScalarMappable(Normalize(int(steps[0]), high), PATH_COLOURS)
