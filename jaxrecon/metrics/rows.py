"""From the scores of slices to the rows of a results file."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrecon.data.plan import SliceReference
from jaxrecon.metrics.protocol import FileScores, Protocol, SliceScores
from jaxrecon.metrics.results import Row
from jaxrecon.metrics.summary import summarise_values
from jaxrecon.physics.sampling import SamplingMask


@dataclasses.dataclass(frozen=True)
class Origin:
    """What the rows of one data set say of it.

    Attributes:
        data_set: name of the data set.
        anatomy: what it shows.
        subset: which part of it was judged, in one line; empty for all of it.
        data: what its files say of their origin; empty if nothing.
    """

    data_set: str
    anatomy: str = ""
    subset: str = ""
    data: str = ""


def in_order(
    scores: Mapping[str, Sequence[SliceScores]], slices: Sequence[SliceReference]
) -> dict[str, list[SliceScores]]:
    """The scores in the data set's order, whatever the order of the batches was.

    Args:
        scores: of every slice, by method.
        slices: the judged slices.
    """
    order = {(slice_.volume.name, slice_.index): place for place, slice_ in enumerate(slices)}
    return {
        method: sorted(rows, key=lambda row: order[row.file, row.index])
        for method, rows in scores.items()
    }


def result_rows(
    scores: Mapping[str, Sequence[SliceScores]],
    slices: Sequence[SliceReference],
    masks: Mapping[str, SamplingMask],
    protocol: Protocol,
    origin: Origin,
    *,
    acceleration: float,
    center_fraction: float | None,
    runs: Mapping[str, str | None],
) -> list[Row]:
    """One row per method.

    Args:
        scores: of every judged slice, by method.
        slices: the judged slices.
        masks: the mask of each file, by its name.
        protocol: the judge.
        origin: of the data.
        acceleration: nominal acceleration.
        center_fraction: fully sampled fraction of the columns; None for masks that count columns.
        runs: folder of each method's network; None for methods without one.
    """
    volumes = {reference.volume.name: reference.volume for reference in slices}
    columns = sorted({mask.acs for mask in masks.values()})
    families = sorted({mask.family for mask in masks.values()})
    effective = np.mean([masks[r.volume.name].effective_acceleration for r in slices])
    setting = {
        "dataset": origin.data_set,
        "anatomy": origin.anatomy,
        "mask": " and ".join(families),
        "acceleration": acceleration,
        "effective_acceleration": float(effective),
        "acs": columns[0] if len(columns) == 1 else columns,
        "center_fraction": center_fraction,
        "protocol": protocol.name,
        "crop": sorted({protocol.region(volume) for volume in volumes.values()}),
        "subset": origin.subset,
        "data": origin.data,
        "unit": protocol.unit,
        "measures": list(protocol.measures),
        "not_computed": dict(protocol.not_computed),
    }
    return [
        {
            "method": method,
            "run": runs.get(method),
            **setting,
            **_summaries(rows, files, protocol),
            "n_files": len(files),
            "n_slices": len(rows),
            "files": [{"file": f.file, "slices": f.slices, **f.metrics} for f in files],
        }
        for method, rows in in_order(scores, slices).items()
        for files in [protocol.summarise(rows)]
    ]


def _summaries(
    rows: Sequence[SliceScores], files: Sequence[FileScores], protocol: Protocol
) -> dict[str, Any]:
    if protocol.unit == "file":
        return {
            name: summarise_values([file.metrics[name] for file in files])
            for name in protocol.measures
        }
    metrics = [protocol.slice_metrics(row.scores) for row in rows]
    groups = [row.file for row in rows]
    return {
        name: summarise_values([values[name] for values in metrics], groups)
        for name in protocol.measures
    }
