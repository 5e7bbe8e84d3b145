"""`results.json`: what was measured, how, and what it takes to measure it again."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.metrics.protocols import FileScores
from jaxrecon.metrics.summary import summarise_values

SCHEMA = 1
METRICS = ("ssim", "psnr", "nmse")

Row = dict[str, Any]


def result_rows(
    scores: Mapping[str, Sequence[FileScores]],
    pipeline: Pipeline,
    *,
    data_set: str,
    anatomy: str,
    mask: str,
    acceleration: float,
    protocol: str,
) -> list[Row]:
    """One row per method.

    Args:
        scores: the files' metrics by method.
        pipeline: that was scored; its masks tell the effective acceleration and the ACS columns.
        data_set: name of the data set.
        anatomy: what it shows.
        mask: family of the masks.
        acceleration: nominal acceleration.
        protocol: name of the protocol.
    """
    masks = [pipeline.mask_of(slice_id) for slice_id in range(len(pipeline.slices))]
    columns = sorted({mask.acs for mask in masks})
    volumes = {reference.volume.name: reference.volume for reference in pipeline.slices}
    return [
        {
            "method": method,
            "dataset": data_set,
            "anatomy": anatomy,
            "mask": mask,
            "acceleration": acceleration,
            "effective_acceleration": float(np.mean([m.effective_acceleration for m in masks])),
            "acs": columns[0] if len(columns) == 1 else columns,
            "protocol": protocol,
            "crop": sorted({(v.target_height, v.target_width) for v in volumes.values()}),
            "n_files": len(files),
            "n_slices": sum(file.slices for file in files),
            **{name: summarise_values([file.metrics[name] for file in files]) for name in METRICS},
            "files": [{"file": f.file, "slices": f.slices, **f.metrics} for f in files],
        }
        for method, files in scores.items()
    ]


def write_results(path: Path, provenance: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write a results file; it is never seen half-written.

    Args:
        path: the file.
        provenance: what it takes to repeat the results.
        rows: as `result_rows` makes them.
    """
    content = {"schema": SCHEMA, "provenance": provenance, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


def results_table(rows: Sequence[Row]) -> str:
    """Rows as text: one line per data set and method, mean and standard deviation over files."""
    header = ("data", "mask", "R", "effective", "ACS", "slices", "method", "SSIM", "PSNR", "NMSE")
    lines = [header, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row["dataset"],
        row["mask"],
        f"{row['acceleration']:g}",
        f"{row['effective_acceleration']:.2f}",
        str(row["acs"]),
        str(row["n_slices"]),
        row["method"],
        _number(row["ssim"], 4),
        _number(row["psnr"], 2),
        _number(row["nmse"], 4),
    )


def _number(summary: Mapping[str, float], digits: int) -> str:
    if not math.isfinite(summary["mean"]):
        return str(summary["mean"])
    return f"{summary['mean']:.{digits}f} ± {summary['std']:.{digits}f}"
