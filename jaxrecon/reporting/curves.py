"""Curves of a measure against the effective acceleration.

The effective acceleration, not the nominal one, says how much was measured: a mask of nominal
acceleration 4 with a fully sampled centre may keep every third column.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from jaxrecon.metrics.measures import Measure
from jaxrecon.reporting.series import Style
from jaxrecon.reporting.tables import Table

INK = "#1b1f24"
RULE = "#d5d9df"

_PANEL_INCHES = (3.4, 2.7)


@dataclasses.dataclass(frozen=True)
class Point:
    """A measure at one acceleration.

    Attributes:
        acceleration: nominal.
        effective: the effective acceleration.
        mean: of the measure.
        low: lower end of the mean's 95 % confidence interval.
        high: its upper end.
    """

    acceleration: float
    effective: float
    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Panel:
    """The curves of one measure on one data set with one kind of centre.

    Attributes:
        data_set: name of the data set.
        group: what fills the centre of k-space.
        measure: on the vertical axis.
        curves: points by rising effective acceleration, by the curve's label.
        limits: of the vertical axis, shared by the panels of a measure on a data set.
    """

    data_set: str
    group: str
    measure: Measure
    curves: Mapping[str, tuple[Point, ...]]
    limits: tuple[float, float]


def panels_of(table: Table, measure: Measure) -> list[Panel]:
    """One panel for every group of columns of a table.

    Args:
        table: the results; where it mixes, a line's way of being judged is part of its label.
        measure: to be drawn.

    Returns:
        The panels that have points; infinite values are left out.
    """
    curves: dict[str, dict[str, list[Point]]] = {group: {} for group in table.groups}
    for found, way in zip(table.measurements, table.judged, strict=True):
        summary = found.measures.get(measure.name)
        if summary is None or not math.isfinite(summary["mean"]):
            continue
        label = f"{found.label}, {way}" if way else found.label
        curves[found.calibration].setdefault(label, []).append(
            Point(
                found.acceleration, found.effective_acceleration, summary["mean"], *summary["ci95"]
            )
        )
    points = [point for group in curves.values() for curve in group.values() for point in curve]
    if not points:
        return []
    low, high = min(point.low for point in points), max(point.high for point in points)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return [
        Panel(
            table.data_set,
            group,
            measure,
            {
                label: tuple(sorted(curve, key=lambda point: point.effective))
                for label, curve in found.items()
            },
            (low - margin, high + margin),
        )
        for group, found in curves.items()
        if found
    ]


def curve_figure(panels: Sequence[Panel], styles: Mapping[str, Style], *, legend: bool) -> Figure:
    """Panels side by side.

    Args:
        panels: of one measure on one data set.
        styles: of the curves by label.
        legend: whether to draw one below the panels.
    """
    labels = list(dict.fromkeys(label for panel in panels for label in panel.curves))
    columns = 1 if max(map(len, labels)) > 40 else min(len(labels), 3)
    below = 0.24 * math.ceil(len(labels) / columns) if legend else 0.0
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(panels), height + below), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, styles)
    if legend:
        handles = [_handle(styles[label], label) for label in labels]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
        )
    return figure


def legend_swatch(style: Style) -> Figure:
    """A short piece of a curve, for legends outside of figures."""
    figure = Figure(figsize=(0.5, 0.18))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(-1, 1))
    handle = _handle(style, "")
    handle.set_data([0.02, 0.5, 0.98], [0, 0, 0])
    handle.set_markevery([1])
    axes.add_line(handle)
    return figure


def _draw(axes: Axes, panel: Panel, styles: Mapping[str, Style]) -> None:
    for label, points in panel.curves.items():
        style = styles[label]
        x = [point.effective for point in points]
        low, high = [point.low for point in points], [point.high for point in points]
        axes.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        if len(points) == 1:  # An area has no width there.
            axes.vlines(x, low, high, colors=style.colour, linewidth=0.8)
        line = _handle(style, label)
        line.set_data(x, [point.mean for point in points])
        axes.add_line(line)
    everywhere = [point for curve in panel.curves.values() for point in curve]
    effective = [point.effective for point in everywhere]
    margin = 0.08 * (max(effective) - min(effective)) or 0.5
    axes.set_xlim(min(effective) - margin, max(effective) + margin)
    axes.set_ylim(panel.limits)
    axes.set_xlabel("effective acceleration", fontsize=9, color=INK)
    unit = f" [{panel.measure.unit}]" if panel.measure.unit else ""
    better = "higher" if panel.measure.higher_is_better else "lower"
    axes.set_ylabel(f"{panel.measure.label}{unit}, {better} is better", fontsize=9, color=INK)
    axes.set_title(f"{panel.data_set}, {panel.group}", fontsize=9, color=INK, loc="left")
    _mark_accelerations(axes, everywhere)
    axes.tick_params(labelsize=8, colors=INK, length=3, width=0.6)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=INK, linewidth=0.6)


def _mark_accelerations(axes: Axes, points: Sequence[Point]) -> None:
    """Ticks where measurements are, with the nominal acceleration, if there is room for them."""
    nominal = {round(point.effective, 2): point.acceleration for point in points}
    places = sorted(nominal)
    width = places[-1] - places[0]
    if all(b - a > 0.15 * width for a, b in itertools.pairwise(places)):
        axes.set_xticks(places, [f"{place:.2f}\n(R = {nominal[place]:g})" for place in places])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _handle(style: Style, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=(0, style.dashes) if style.dashes else "-",
        linewidth=1.4,
        marker=style.marker,
        markersize=4.5,
        markeredgewidth=0,
        label=label,
    )
