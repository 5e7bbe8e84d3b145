"""The trained networks of an evaluation, by the names and accelerations they are judged under."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from jaxrecon.errors import InputError
from jaxrecon.training.evaluation import JudgedMethod, network_reconstruction
from jaxrecon.training.evaluation_folder import slug
from jaxrecon.training.trained_network import TrainedNetwork, method_name


@dataclasses.dataclass(frozen=True)
class RunSource:
    """A trained network as the command line names it.

    Attributes:
        name: stands in results; empty for the network's own.
        folder: of the run or of converted weights.
        accelerations: the only ones it is judged at; empty for all.
    """

    name: str
    folder: Path
    accelerations: tuple[float, ...]


def parse_run(text: str) -> RunSource:
    """Read [NAME=]FOLDER[@R[+R...]].

    Runs that were trained for one acceleration each can share a name: `net=runs/x4@4` and
    `net=runs/x8@8`.

    Raises:
        InputError: no folder is named, or what follows "@" are no numbers.
    """
    name, folder, accelerations = "", text, ""
    if not Path(text).exists():
        name, separator, folder = text.partition("=")
        if not separator:
            name, folder = "", text
    if not Path(folder).exists() and re.search(r"@[\d.+]+$", folder):
        folder, _, accelerations = folder.rpartition("@")
    try:
        numbers = tuple(map(float, accelerations.split("+"))) if accelerations else ()
    except ValueError:
        raise InputError(f"--run: expected numbers after '@', found {accelerations!r}") from None
    if not folder:
        raise InputError(f"--run: expected [NAME=]FOLDER[@R], found {text!r}")
    return RunSource(name, Path(folder), numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class JudgedRun:
    """A trained network that is judged.

    Attributes:
        method: the network as a method.
        accelerations: the only ones it is judged at; empty for all.
        provenance: where its weights come from, as JSON values.
    """

    method: JudgedMethod
    accelerations: tuple[float, ...]
    provenance: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name and accelerations, unique among the runs of an evaluation."""
        at = "+".join(f"{acceleration:g}" for acceleration in self.accelerations)
        return f"{self.method.name} @{at}" if at else self.method.name

    def placed(self, place: Callable[[PyTree], PyTree]) -> "JudgedRun":
        """The run with its variables put where the devices want them."""
        method = dataclasses.replace(self.method, variables=place(self.method.variables))
        return dataclasses.replace(self, method=method)

    def is_judged_at(self, acceleration: float) -> bool:
        """Whether the run is judged at a nominal acceleration."""
        return not self.accelerations or acceleration in self.accelerations


def load_run(text: str, load: Callable[[Path], TrainedNetwork]) -> JudgedRun:
    """A network as the command line names it.

    Args:
        text: see `parse_run`.
        load: reads a folder.

    Raises:
        InputError: the folder cannot be used.
    """
    source = parse_run(text)
    network = load(source.folder)
    architecture = network.source.get("config") or network.source.get("weights") or {}
    method = JudgedMethod(
        method_name(source.name, network.source) if source.name else network.name,
        network_reconstruction(network.model),
        network.variables,
        kind=json.dumps(architecture.get("model"), sort_keys=True),
        run=str(source.folder),
    )
    return JudgedRun(method, source.accelerations, network.source)


def require_distinct(runs: Sequence[JudgedRun], taken: Sequence[str]) -> None:
    """See that no two methods of a table have one name.

    Args:
        runs: the networks.
        taken: names of other methods.

    Raises:
        InputError: two have, or names that differ would be written to one folder.
    """
    for run in runs:
        if slug(run.method.name) in map(slug, taken):
            raise InputError(
                f"--run: expected names that no other method has, found {run.method.name!r}: "
                "give NAME=FOLDER"
            )
    for first, second in itertools.combinations(runs, 2):
        if slug(first.method.name) != slug(second.method.name):
            continue
        meet = not first.accelerations or not second.accelerations
        if meet or set(first.accelerations) & set(second.accelerations):
            raise InputError(
                f"--run: expected names that differ, found {first.method.name!r} for "
                f"{first.method.run} and {second.method.run}: give NAME=FOLDER"
            )


def require_judged(runs: Sequence[JudgedRun], accelerations: Sequence[float]) -> None:
    """See that every run is judged at some setting.

    Args:
        runs: the networks.
        accelerations: nominal, of all settings.

    Raises:
        InputError: a run is given for accelerations that do not occur.
    """
    for run in runs:
        if not any(run.is_judged_at(acceleration) for acceleration in accelerations):
            raise InputError(
                f"--run: expected {run.label} to be judged at one of the accelerations "
                f"{', '.join(f'{r:g}' for r in sorted(set(accelerations)))}, found none of them"
            )
