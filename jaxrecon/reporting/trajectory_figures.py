"""One slice on its way: a strip of its reconstructions, and the losses over the steps."""

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from jaxrecon.metrics.example_images import QUANTILE, Image
from jaxrecon.priors.trajectory import Trajectory
from jaxrecon.reporting.curves import INK, RULE
from jaxrecon.reporting.series import COLOURS, DASHES, MARKERS

PICTURES = 8
LOSSES = {"data": "Data", "tv": "Total-variation", "semantic": "Contrastive"}

Losses = dict[str, Float32[np.ndarray, "kept slices"]]

_INCHES = 1.45
_LETTERS = 20
# Stands for an answer without words.
_SILENT = "(no words)"
_LINES = 4
_PANEL_INCHES = (3.4, 2.5)
# A loss that falls by more than this is drawn on a logarithmic axis.
_DECADES = 30.0
_MARKERS_ON_A_CURVE = 8


def chosen_moments(trajectory: Trajectory, limit: int = PICTURES) -> list[int]:
    """Places in a trajectory, evenly spread over its steps, the first and the last among them.

    Args:
        trajectory: of any length.
        limit: how many at most, at least 2.
    """
    steps = trajectory.steps
    wanted = np.linspace(steps[0], steps[-1], min(limit, len(steps)))
    return sorted({int(np.abs(steps - step).argmin()) for step in wanted})


def pictures(trajectory: Trajectory, place: int) -> list[tuple[str, Image, str]]:
    """A slice's pictures in the order of the strip.

    Args:
        trajectory: of the slice.
        place: of the slice.

    Returns:
        Of each what it is, its image and the language model's answer; "" where there is none.
    """
    shown = [("Zero-filled", trajectory.zero_filled[place], "")]
    shown += [
        (
            f"Step {trajectory.steps[moment]}",
            trajectory.images[moment, place],
            (trajectory.answers[moment][place].strip() or _SILENT) if trajectory.answers else "",
        )
        for moment in chosen_moments(trajectory)
    ]
    if trajectory.target is not None:
        shown.append(("Target", trajectory.target[place], ""))
    return shown


def white_of(trajectory: Trajectory, place: int) -> float:
    """The value that is drawn white in a slice's pictures: its target's maximum.

    Without a target it is the 99.9 % quantile of the last reconstruction.
    """
    if trajectory.target is not None:
        return float(trajectory.target[place].max()) or 1.0
    return float(np.quantile(trajectory.images[-1, place], QUANTILE)) or 1.0


def scale_words(trajectory: Trajectory, place: int) -> str:
    """The grey scale of a slice's pictures, in one sentence."""
    what = (
        "the 99.9 % quantile of the last reconstruction"
        if trajectory.target is None
        else "the target's maximum"
    )
    return f"Images: 0 to {white_of(trajectory, place):.3g}, {what}."


def strip_figure(trajectory: Trajectory, place: int, title: str) -> Figure:
    """The zero-filled image, reconstructions from the first step to the last, and the target.

    Args:
        trajectory: of the slice.
        place: of the slice.
        title: of the figure.
    """
    shown = pictures(trajectory, place)
    height, width = shown[0][1].shape
    rows = 1 if len(shown) <= 6 else 2
    columns = -(-len(shown) // rows)
    lines = max(_wrapped(answer).count("\n") + bool(answer) for _, _, answer in shown)
    figure = Figure(
        figsize=(
            max(_INCHES * columns, 4.0),
            rows * (_INCHES * height / width + 0.22 + 0.13 * lines) + 0.4,
        ),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    white = white_of(trajectory, place)
    for axes in grid:
        axes.set_axis_off()
    for axes, (label, image, answer) in zip(grid, shown, strict=False):
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.imshow(image, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
        axes.set_frame_on(False)
        axes.set_title(label, fontsize=8)
        axes.set_xlabel(_wrapped(answer), fontsize=7)
    figure.suptitle(title, fontsize=8)
    figure.supxlabel(scale_words(trajectory, place), fontsize=7)
    return figure


def loss_kinds(trajectory: Trajectory) -> dict[str, Losses]:
    """The losses by what they belong to: "semantic/layer7" belongs to "semantic".

    Args:
        trajectory: with losses or without.
    """
    kinds: dict[str, Losses] = {}
    for name, values in trajectory.losses.items():
        kinds.setdefault(name.partition("/")[0], {})[name] = values
    return kinds


def loss_figure(trajectory: Trajectory, kinds: Sequence[str] | None = None) -> Figure:
    """A panel for each kind of loss: the mean over slices, and from the lowest to the highest.

    Args:
        trajectory: with losses.
        kinds: some of `loss_kinds`; None for all.
    """
    panels = loss_kinds(trajectory)
    shown = list(panels) if kinds is None else kinds
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(shown), height), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        _draw_losses(axes, trajectory, panels[kind])
        axes.set_title(f"{LOSSES.get(kind, kind)} loss", fontsize=9, color=INK, loc="left")
    return figure


def _draw_losses(axes: Axes, trajectory: Trajectory, curves: Losses) -> None:
    for place, (name, values) in enumerate(curves.items()):
        colour = COLOURS[(place + 1) % len(COLOURS)][0]
        dashes = DASHES[place % len(DASHES)]
        axes.fill_between(
            trajectory.steps, values.min(1), values.max(1), color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(
            trajectory.steps,
            values.mean(axis=1),
            color=colour,
            linestyle=(0, dashes) if dashes else "-",
            linewidth=1.4,
            marker=MARKERS[place % len(MARKERS)],
            markersize=4,
            markevery=max(1, len(values) // _MARKERS_ON_A_CURVE),
            markeredgewidth=0,
            label=name,
        )
    everything = np.concatenate([values.ravel() for values in curves.values()])
    if everything.min() > 0 and everything.max() > _DECADES * everything.min():
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("step", fontsize=9, color=INK)
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False, labelcolor=INK)
    axes.tick_params(which="both", labelsize=8, colors=INK, width=0.6)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=INK, linewidth=0.6)


def _wrapped(answer: str) -> str:
    return "\n".join(textwrap.wrap(answer, _LETTERS, max_lines=_LINES, placeholder=" …"))
