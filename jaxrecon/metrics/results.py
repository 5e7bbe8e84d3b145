"""`results.json`: what was measured, how, and what it takes to measure it again.

A row holds one method's figures on one data set with one setting of the masks:

- `method`, `dataset`, `anatomy`; `run`, the folder of the network, null for methods without one;
- `mask`, `acceleration` (nominal), `effective_acceleration`, `acs` (a number, or a list where files
  differ), `center_fraction` (null for masks that count columns);
- `protocol`, `crop`, `subset` (one line, empty for everything), `data` (what the files say of their
  origin, empty if nothing);
- `measures`, the names of the measures there are, and under each name `{"mean", "std", "ci95"}`;
  `not_computed`, measures of the protocol that are missing, each with the reason;
- `n_files`, `n_slices`, `unit` ("file" or "slice": what counts once in the mean), and `files`, the
  measures of each file.

A comparison says how sure the difference of two methods is, see `jaxrecon.metrics.significance`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrecon.atomic_file import write_json
from jaxrecon.errors import InputError
from jaxrecon.metrics.measures import MEASURES

SCHEMA = 1
RESULTS_FILE = "results.json"

Row = dict[str, Any]
Comparison = dict[str, Any]

_REQUIRED = ("method", "dataset", "mask", "acceleration", "effective_acceleration", "protocol")
# What rows written before these fields existed stand for.
_DEFAULTS: dict[str, Any] = {
    "anatomy": "",
    "run": None,
    "center_fraction": None,
    "subset": "",
    "data": "",
    "unit": "file",
    "not_computed": {},
}


def write_results(
    path: Path,
    provenance: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    comparisons: Sequence[Comparison] = (),
    examples: Sequence[str] = (),
) -> None:
    """Write a results file; it is never seen half-written.

    Args:
        path: the file.
        provenance: what it takes to repeat the results.
        rows: as `jaxrecon.metrics.rows.result_rows` makes them.
        comparisons: as `jaxrecon.metrics.significance.compare_methods` makes them.
        examples: files of example images, relative to the results file's folder.
    """
    content = {
        "schema": SCHEMA,
        "provenance": provenance,
        "rows": rows,
        "comparisons": comparisons,
        "examples": examples,
    }
    write_json(path, content)


def read_results(path: Path | str) -> dict[str, Any]:
    """Read a results file of `train` or `evaluate`.

    Args:
        path: the file, or a folder that holds a `results.json`.

    Returns:
        `schema`, `provenance`, `rows`, `comparisons` and `examples`. Rows have all the fields that
        the module describes; what an older file does not say is filled in as empty.

    Raises:
        InputError: there is no such file, or it is not a results file of a known schema.
    """
    path = Path(path)
    file = path / RESULTS_FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected a results file, found {error}") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise InputError(f"{file}: expected a results file, found JSON without a schema")
    if content["schema"] != SCHEMA:
        raise InputError(f"{file}: expected schema {SCHEMA}, found {content['schema']!r}")
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: expected rows of results, found none")
    return {
        "schema": SCHEMA,
        "provenance": content.get("provenance") or {},
        "rows": [_complete(file, number, row) for number, row in enumerate(rows)],
        "comparisons": content.get("comparisons") or [],
        "examples": content.get("examples") or [],
    }


def _complete(file: Path, number: int, row: Row) -> Row:
    missing = [field for field in _REQUIRED if field not in row]
    measures = row.get("measures") or [name for name in MEASURES if name in row]
    missing += [name for name in measures if not isinstance(row.get(name), dict)]
    if missing or not measures:
        found = f"none of {', '.join(missing)}" if missing else "no measure"
        raise InputError(f"{file}: expected complete rows, found {found} in row {number}")
    return {**_DEFAULTS, **row, "measures": measures}


def results_table(rows: Sequence[Row]) -> str:
    """Rows as text: a line per data set, setting and method, mean and standard deviation each."""
    shown = [name for name in MEASURES if any(name in row for row in rows)]
    header = ("data", "mask", "R", "cf", "effective", "ACS", "slices", "method")
    lines = [(*header, *(MEASURES[name].label for name in shown))]
    lines += [_cells(row, shown) for row in rows]
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells as text, each column as wide as its widest cell.

    Args:
        lines: equally many cells in each.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row, shown: Sequence[str]) -> tuple[str, ...]:
    acs, fraction = row["acs"], row.get("center_fraction")
    return (
        row["dataset"],
        row["mask"],
        f"{row['acceleration']:g}",
        "-" if fraction is None else f"{fraction:g}",
        f"{row['effective_acceleration']:.2f}",
        f"{min(acs)}-{max(acs)}" if isinstance(acs, list) else str(acs),
        str(row["n_slices"]),
        row["method"],
        *(_number(row.get(name), MEASURES[name].digits) for name in shown),
    )


def _number(summary: Mapping[str, float] | None, digits: int) -> str:
    if summary is None:
        return "-"
    if not math.isfinite(summary["mean"]):
        return str(summary["mean"])
    return f"{summary['mean']:.{digits}f} ± {summary['std']:.{digits}f}"
