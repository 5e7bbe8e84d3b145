"""Results files as the reports see them: one measurement a row, and where it comes from."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrecon.errors import InputError
from jaxrecon.metrics.measures import MEASURES
from jaxrecon.metrics.protocols import FileScores
from jaxrecon.metrics.results import RESULTS_FILE, read_results
from jaxrecon.metrics.scoring import ZERO_FILLED
from jaxrecon.metrics.summary import Summary
from jaxrecon.reporting.notation import TIMES, span


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A method's measures on one data set under one setting: a row of a results file.

    Attributes:
        source: number of the results file, from 1.
        sources: numbers of all results files that hold this result, the first among them.
        method: its name in the results file.
        label: its name in the report.
        data_set: name of the data set.
        anatomy: what it shows; may be empty.
        mask: family of the masks.
        acceleration: nominal acceleration.
        effective_acceleration: columns over sampled columns, mean over slices.
        acs: calibration columns; several where files differ.
        center_fraction: fully sampled fraction of the columns; None where columns are counted.
        protocol: name of the protocol.
        crop: judged sizes (height, width); empty where the file does not say.
        subset: which part of the data set, in words; "" for all of it.
        n_files: judged files.
        n_slices: judged slices.
        unit: "file" or "slice", what counts once in the means.
        run: name or path of the run; None for a method without one.
        origin: what the data's files say of their origin; "" where they say nothing.
        measures: summaries by the measure's name.
        missing: measures of the protocol that were not computed, with the reason.
        files: the measures of every file; empty where the results file does not give them.
    """

    source: int
    sources: tuple[int, ...]
    method: str
    label: str
    data_set: str
    anatomy: str
    mask: str
    acceleration: float
    effective_acceleration: float
    acs: tuple[int, ...]
    center_fraction: float | None
    protocol: str
    crop: tuple[tuple[int, int], ...]
    subset: str
    n_files: int
    n_slices: int
    unit: str
    run: str | None
    origin: str
    measures: Mapping[str, Summary]
    missing: Mapping[str, str]
    files: tuple[FileScores, ...]

    @property
    def calibration(self) -> str:
        """What fills the centre of k-space, as the columns of a table are headed."""
        if self.center_fraction is not None:
            return f"centre fraction {self.center_fraction:g}"
        return f"{span(self.acs)} ACS columns"

    @property
    def judged_files(self) -> frozenset[tuple[str, int]]:
        """Name and number of judged slices of every file."""
        return frozenset((file.file, file.slices) for file in self.files)

    @property
    def crop_text(self) -> str:
        """The judged sizes."""
        return ", ".join(f"{height} {TIMES} {width}" for height, width in self.crop) or "unknown"


@dataclasses.dataclass(frozen=True)
class ResultsFile:
    """A results file.

    Attributes:
        number: from 1, in the order given.
        path: of the file.
        provenance: what it takes to repeat the results.
        measurements: its rows.
        examples: files of example images.
    """

    number: int
    path: Path
    provenance: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    examples: tuple[Path, ...]


def load_results(paths: Sequence[Path]) -> list[ResultsFile]:
    """Read results files.

    Args:
        paths: of files, or of folders that hold a `results.json`.

    Returns:
        The files, numbered from 1.

    Raises:
        InputError: one is missing, damaged, of another kind or schema, or given twice.
    """
    files: list[ResultsFile] = []
    for number, given in enumerate(paths, start=1):
        path = given / RESULTS_FILE if given.is_dir() else given
        if any(path.resolve() == file.path.resolve() for file in files):
            raise InputError(f"{path}: expected each results file once, found it twice")
        files.append(_results_file(number, path, read_results(path)))
    return files


def _results_file(number: int, path: Path, content: Mapping[str, Any]) -> ResultsFile:
    provenance = content["provenance"]
    # A training run's own results do not name the run: they lie in its folder.
    own_run = str(path.parent) if "config" in provenance else None
    measurements = tuple(
        _measurement(row, number, own_run, f"{path}: row {place}")
        for place, row in enumerate(content["rows"])
    )
    examples = tuple(path.parent / name for name in content["examples"])
    return ResultsFile(number, path, provenance, measurements, examples)


def _measurement(
    row: Mapping[str, Any], source: int, own_run: str | None, place: str
) -> Measurement:
    unknown = [name for name in row["measures"] if name not in MEASURES]
    if unknown:
        raise InputError(f"{place}: expected measures of {', '.join(MEASURES)}, found {unknown[0]}")
    try:
        acs = row["acs"] if isinstance(row["acs"], list) else [row["acs"]]
        if not acs:
            raise ValueError("no number of calibration columns")
        fraction = row["center_fraction"]
        run = own_run if row["run"] is None and row["method"] != ZERO_FILLED else row["run"]
        return Measurement(
            source=source,
            sources=(source,),
            method=str(row["method"]),
            label=str(row["method"]),
            data_set=str(row["dataset"]),
            anatomy=str(row["anatomy"]),
            mask=str(row["mask"]),
            acceleration=float(row["acceleration"]),
            effective_acceleration=float(row["effective_acceleration"]),
            acs=tuple(int(columns) for columns in acs),
            center_fraction=None if fraction is None else float(fraction),
            protocol=str(row["protocol"]),
            crop=tuple((int(height), int(width)) for height, width in row.get("crop") or []),
            subset=str(row["subset"]),
            n_files=int(row["n_files"]),
            n_slices=int(row["n_slices"]),
            unit=str(row["unit"]),
            run=None if run is None else str(run),
            origin=str(row["data"]),
            measures={name: _summary(row[name]) for name in row["measures"]},
            missing=dict(row["not_computed"]),
            files=tuple(_file_scores(file, row["measures"]) for file in row.get("files") or []),
        )
    except KeyError as error:
        raise InputError(f"{place}: expected a field {error.args[0]!r}, found none") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}: expected a row of results, found {error}") from None


def _summary(value: Mapping[str, Any]) -> Summary:
    low, high = map(float, value["ci95"])
    return {"mean": float(value["mean"]), "std": float(value["std"]), "ci95": [low, high]}


def _file_scores(file: Mapping[str, Any], measures: Sequence[str]) -> FileScores:
    scores = {name: float(file[name]) for name in measures if name in file}
    return FileScores(str(file["file"]), int(file["slices"]), scores)
