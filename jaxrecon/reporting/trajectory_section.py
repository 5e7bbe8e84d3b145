"""The section of a page that shows reconstructions on their way."""

import json
from collections.abc import Sequence
from typing import Any

from jaxrecon.reporting.embedded_images import (
    error_gradient,
    error_image,
    figure_image,
    grey_image,
)
from jaxrecon.reporting.embedding_figure import describe, embedding_figure
from jaxrecon.reporting.inline_svg import inline_svg
from jaxrecon.reporting.page import Section
from jaxrecon.reporting.prompt_robustness import PromptSpread, deviation_limit, prompt_of
from jaxrecon.reporting.shown_trajectory import ShownTrajectory
from jaxrecon.reporting.trajectory_figures import (
    LOSSES,
    loss_figure,
    loss_kinds,
    pictures,
    scale_words,
    white_of,
)


def trajectories_section(
    shown: Sequence[ShownTrajectory], spreads: Sequence[PromptSpread]
) -> Section:
    """Pictures, maps of embeddings and losses of each trajectory, then spreads over prompts.

    Args:
        shown: the trajectories.
        spreads: of groups that differ in their prompts; may be empty.
    """
    return Section(
        "trajectories",
        "Trajectories",
        "trajectories.html.j2",
        {
            "shown": [_trajectory(each, number) for number, each in enumerate(shown, start=1)],
            "spreads": [_spread(each) for each in spreads],
            "gradient": error_gradient(),
        },
    )


def _trajectory(shown: ShownTrajectory, number: int) -> dict[str, Any]:
    trajectory, place = shown.trajectory, shown.place
    white = white_of(trajectory, place)
    height, width = trajectory.images.shape[2:]
    return {
        "title": shown.title,
        "path": str(shown.path),
        "prompt": prompt_of(trajectory),
        "answered": bool(trajectory.answers),
        "images": [
            {"label": label, "address": grey_image(image, white), "answer": answer}
            for label, image, answer in pictures(trajectory, place)
        ],
        "scale": scale_words(trajectory, place),
        "ratio": f"{width} / {height}",
        "maps": [
            {
                "address": figure_image(embedding_figure([found], trajectory.steps, "")),
                "alt": describe(found),
            }
            for found in shown.maps
        ],
        "losses": [
            inline_svg(
                loss_figure(trajectory, [kind]),
                f"losses-{number}-{kind}",
                f"{LOSSES.get(kind, kind)} loss over the steps of {shown.title}: from "
                f"{first:.3g} to {last:.3g}",
            )
            for kind, curves in loss_kinds(trajectory).items()
            for first, last in [next(iter(curves.values()))[[0, -1]].mean(axis=1)]
        ],
        "provenance": json.dumps(trajectory.provenance, indent=2),
    }


def _spread(spread: PromptSpread) -> dict[str, Any]:
    rows, columns = spread.deviation.shape
    limit = deviation_limit(spread)
    return {
        "title": spread.title,
        "summary": spread.summary,
        "ratio": f"{columns} / {rows}",
        "images": [
            {
                "label": f"Prompt {place + 1}",
                "address": grey_image(spread.images[place], 1.0),
                "prompt": spread.prompts[place],
            }
            for place in spread.representatives
        ],
        "deviation": {
            "label": "Standard deviation",
            "address": error_image(spread.deviation, limit),
        },
        "limit": limit,
        "prompts": spread.prompts,
    }
