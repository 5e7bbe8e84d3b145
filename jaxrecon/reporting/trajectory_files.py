"""The files of a report that show reconstructions on their way."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from jaxrecon.reporting.embedding_figure import embedding_figure
from jaxrecon.reporting.figure_files import pdf_of, png_of
from jaxrecon.reporting.notation import slugs
from jaxrecon.reporting.prompt_robustness import PromptSpread, robustness_figure
from jaxrecon.reporting.shown_trajectory import ShownTrajectory
from jaxrecon.reporting.trajectory_figures import loss_figure, strip_figure


def trajectory_files(
    trajectories: Sequence[ShownTrajectory], spreads: Sequence[PromptSpread], *, pdf: bool
) -> dict[str, bytes]:
    """Figures as files in `trajectories/`.

    Args:
        trajectories: of `load_trajectories`.
        spreads: of `spreads_over_prompts`.
        pdf: whether to make each as PDF, too.

    Returns:
        For each trajectory `NAME_pictures`, with a prior `NAME_embeddings`, with losses
        `NAME_losses`, and for each spread `NAME_prompts`.
    """
    figures: dict[str, Figure] = {}
    names = slugs(shown.title for shown in trajectories)
    for shown in trajectories:
        name, trajectory = names[shown.title], shown.trajectory
        figures[f"{name}_pictures"] = strip_figure(trajectory, shown.place, shown.title)
        if shown.maps:
            figures[f"{name}_embeddings"] = embedding_figure(
                shown.maps, trajectory.steps, shown.title
            )
        if trajectory.losses:
            figures[f"{name}_losses"] = loss_figure(trajectory)
    for number, spread in enumerate(spreads):
        name = slugs([spread.title])[spread.title] + (f"-{number + 1}" if number else "")
        figures[f"{name}_prompts"] = robustness_figure(spread)
    files = {}
    for name, figure in figures.items():
        files[f"trajectories/{name}.png"] = png_of(figure)
        if pdf:
            files[f"trajectories/{name}.pdf"] = pdf_of(figure)
    return files
