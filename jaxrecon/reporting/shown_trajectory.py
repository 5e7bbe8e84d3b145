"""Trajectories as a report shows them: one slice of each, under a title of its own."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxrecon.errors import InputError
from jaxrecon.priors.trajectory import Trajectory, read_trajectory
from jaxrecon.reporting.embedding_map import EmbeddingMap, embedding_map
from jaxrecon.reporting.prompt_robustness import PromptSpread, prompt_spread, same_scan

TRAJECTORY_FILE = "trajectory.h5"


@dataclasses.dataclass(frozen=True, eq=False)
class ShownTrajectory:
    """A trajectory and the slice that stands for all of its slices.

    Attributes:
        path: of its file.
        trajectory: the whole of it.
        place: of the slice.
        title: method and slice, and where the file lies if another has the same.
        maps: of its embeddings, low levels first; empty without a prior.
    """

    path: Path
    trajectory: Trajectory
    place: int
    title: str
    maps: tuple[EmbeddingMap, ...]


def load_trajectories(paths: Sequence[Path], place: int | None = None) -> list[ShownTrajectory]:
    """Read trajectories and project their embeddings.

    Args:
        paths: of files, or of folders that hold a `trajectory.h5`.
        place: of the slice to show, from 0; None for the middle one.

    Raises:
        InputError: one is missing, damaged or given twice, or has no such slice.
    """
    files: list[Path] = []
    for given in paths:
        path = given / TRAJECTORY_FILE if given.is_dir() else given
        if any(path.resolve() == known.resolve() for known in files):
            raise InputError(f"{path}: expected each trajectory once, found it twice")
        files.append(path)
    trajectories = [read_trajectory(path) for path in files]
    places = [_place(*each, place) for each in zip(files, trajectories, strict=True)]
    titles = [
        f"{trajectory.method}, {trajectory.titles[chosen]}"
        for trajectory, chosen in zip(trajectories, places, strict=True)
    ]
    often = Counter(titles)
    return [
        ShownTrajectory(
            path,
            trajectory,
            chosen,
            f"{title} ({path})" if often[title] > 1 else title,
            tuple(embedding_map(trajectory, level, chosen) for level in trajectory.embeddings),
        )
        for path, trajectory, chosen, title in zip(files, trajectories, places, titles, strict=True)
    ]


def spreads_over_prompts(shown: Sequence[ShownTrajectory]) -> list[PromptSpread]:
    """What a report shows of trajectories that differ in nothing but the prompt.

    Args:
        shown: of `load_trajectories`.
    """
    places = {id(each.trajectory): each.place for each in shown}
    groups = same_scan([each.trajectory for each in shown])
    return [prompt_spread(group, places[id(group[0])]) for group in groups]


def _place(path: Path, trajectory: Trajectory, place: int | None) -> int:
    slices = len(trajectory.titles)
    if place is None:
        return slices // 2
    if place >= slices:
        raise InputError(
            f"--trajectory_slice: expected one of 0 to {slices - 1} of {path}, found {place}"
        )
    return place
