"""How much a reconstruction depends on the wording of its prompt.

As Supporting Figure S2 of arXiv:2511.19641: four of the images, and the pixel-wise standard
deviation over all of them.
"""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from jaxrecon.metrics.example_images import QUANTILE
from jaxrecon.priors.trajectory import Trajectory
from jaxrecon.reporting.figures import ERROR_MAP

REPRESENTATIVES = 4

_INCHES = 1.9
_LETTERS = 30
_LINES = 5


@dataclasses.dataclass(frozen=True, eq=False)
class PromptSpread:
    """The last reconstructions of one slice under several prompts.

    Attributes:
        title: method and slice.
        prompts: one for each image.
        images: over `white`.
        white: the target's maximum, or without a target that of the images' mean.
        deviation: pixel-wise standard deviation of `images`, the root of the mean squared
            difference from their mean.
    """

    title: str
    prompts: tuple[str, ...]
    images: Float32[np.ndarray, "prompts rows columns"]
    white: float
    deviation: Float32[np.ndarray, "rows columns"]

    @property
    def representatives(self) -> list[int]:
        """Places of the images that are shown, evenly spread over the prompts."""
        number = min(REPRESENTATIVES, len(self.prompts))
        return np.linspace(0, len(self.prompts) - 1, number).round().astype(int).tolist()

    @property
    def summary(self) -> str:
        """The deviation in one sentence."""
        return (
            f"Pixel-wise standard deviation over {len(self.prompts)} prompts: mean "
            f"{self.deviation.mean():.2g}, largest {self.deviation.max():.2g}, where the brightest "
            f"pixel is 1."
        )


def prompt_of(trajectory: Trajectory) -> str:
    """The prompt of a trajectory's language prior; "" without one."""
    prior = trajectory.provenance.get("prior")
    return str(prior.get("prompt") or "") if isinstance(prior, Mapping) else ""


def same_scan(trajectories: Sequence[Trajectory]) -> list[list[Trajectory]]:
    """Groups of trajectories by one method from the same samples with different prompts.

    Args:
        trajectories: any; those without a prompt are left out.

    Returns:
        Groups of at least two; of several with one prompt the first.
    """
    groups: list[dict[str, Trajectory]] = []
    for found in trajectories:
        prompt = prompt_of(found)
        if not prompt:
            continue
        for group in groups:
            if _is_alike(next(iter(group.values())), found):
                group.setdefault(prompt, found)
                break
        else:
            groups.append({prompt: found})
    return [list(group.values()) for group in groups if len(group) > 1]


def prompt_spread(trajectories: Sequence[Trajectory], place: int) -> PromptSpread:
    """Compare one slice of a group of `same_scan`.

    Args:
        trajectories: of the group.
        place: of the slice.
    """
    first = trajectories[0]
    images = np.stack([found.images[-1, place] for found in trajectories])
    brightest = images.mean(axis=0) if first.target is None else first.target[place]
    white = float(brightest.max()) or 1.0
    images = images / np.float32(white)
    return PromptSpread(
        f"{first.method}, {first.titles[place]}",
        tuple(map(prompt_of, trajectories)),
        images,
        white,
        images.std(axis=0, dtype=np.float64).astype(np.float32),
    )


def deviation_limit(spread: PromptSpread) -> float:
    """The upper end of the scale on which the deviation is drawn."""
    return float(np.quantile(spread.deviation, QUANTILE)) or 1e-3


def robustness_figure(spread: PromptSpread) -> Figure:
    """Representative images with their prompts, and the deviation over all.

    Args:
        spread: of one slice.
    """
    shown = spread.representatives
    rows, columns = spread.deviation.shape
    texts = [_wrapped(spread.prompts[place]) for place in shown]
    lines = max(text.count("\n") + 1 for text in texts)
    figure = Figure(
        figsize=(
            _INCHES * (len(shown) + 1) + 0.5,
            _INCHES * rows / columns + 0.14 * lines + 0.65,
        ),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
    )
    grid = figure.subplots(1, len(shown) + 1, squeeze=False)[0]
    for axes in grid:
        axes.set(xticks=[], yticks=[])
        axes.set_frame_on(False)
    for axes, place, text in zip(grid, shown, texts, strict=False):
        axes.imshow(spread.images[place], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"Prompt {place + 1}", fontsize=8)
        axes.set_xlabel(text, fontsize=7)
    limit = deviation_limit(spread)
    drawn = grid[-1].imshow(
        spread.deviation, cmap=ERROR_MAP, vmin=0, vmax=limit, interpolation="nearest"
    )
    grid[-1].set_title(f"Deviation over {len(spread.prompts)}", fontsize=8)
    bar = figure.colorbar(drawn, ax=grid[-1], extend="max", fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    figure.suptitle(spread.title, fontsize=8)
    figure.supxlabel(spread.summary, fontsize=7)
    return figure


def _is_alike(first: Trajectory, second: Trajectory) -> bool:
    return (
        first.method == second.method
        and first.titles == second.titles
        and first.zero_filled.shape == second.zero_filled.shape
        and np.allclose(first.zero_filled, second.zero_filled, rtol=1e-3)
    )


def _wrapped(prompt: str) -> str:
    return "\n".join(textwrap.wrap(prompt, _LETTERS, max_lines=_LINES, placeholder=" …"))
