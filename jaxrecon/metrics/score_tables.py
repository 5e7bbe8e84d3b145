"""Per-slice and per-volume scores as tables for other programs: CSV or Parquet."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocol import Protocol, SliceScores
from jaxrecon.metrics.results import Row
from jaxrecon.physics.sampling import SamplingMask

FORMATS = ("csv", "parquet")

Record = dict[str, Any]

_SETTING = ("dataset", "anatomy", "mask", "acceleration", "center_fraction")


def slice_records(
    rows: Sequence[Row],
    scores: Mapping[str, Sequence[SliceScores]],
    masks: Mapping[str, SamplingMask],
    protocol: Protocol,
) -> Iterator[Record]:
    """One record per method and slice of one setting.

    Args:
        rows: of results of the setting, one per method.
        scores: of every slice, by method.
        masks: the mask of each file.
        protocol: the judge.
    """
    for row in rows:
        for found in scores[row["method"]]:
            mask = masks[found.file]
            metrics = protocol.slice_metrics(found.scores)
            yield {
                **_setting(row, mask),
                "file": found.file,
                "slice": found.index,
                **{name: metrics[name] for name in row["measures"]},
            }


def volume_records(rows: Sequence[Row], masks: Mapping[str, SamplingMask]) -> Iterator[Record]:
    """One record per method and file of one setting; arguments as for `slice_records`."""
    for row in rows:
        for file in row["files"]:
            yield {**_setting(row, masks[file["file"]]), **file}


def _setting(row: Row, mask: SamplingMask) -> Record:
    return {
        "method": row["method"],
        **{field: row[field] for field in _SETTING},
        "acs": mask.acs,
        "effective_acceleration": mask.effective_acceleration,
    }


def require_format(table_format: str) -> None:
    """See that tables of a format can be written, before anything is computed.

    Raises:
        InputError: unknown format, or Parquet without the package pyarrow.
    """
    if table_format not in FORMATS:
        raise InputError(f"table format: expected {' or '.join(FORMATS)}, found {table_format!r}")
    if table_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise InputError(
                "table format: expected the package pyarrow for parquet, found none installed: "
                "pip install pyarrow"
            ) from None


def write_table(path: Path, records: Sequence[Record]) -> None:
    """Write records; the file is never seen half-written.

    Args:
        path: ends in `.csv` or `.parquet`.
        records: at least one. A column that some of them lack is empty there.

    Raises:
        InputError: unknown format, or Parquet without the package pyarrow.
    """
    table_format = path.suffix.removeprefix(".")
    require_format(table_format)
    columns = list(dict.fromkeys(name for record in records for name in record))
    with unfinished(path) as temporary:
        if table_format == "csv":
            with temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(records)
        else:
            from pyarrow import parquet, table

            values = {name: [record.get(name) for record in records] for name in columns}
            parquet.write_table(table(values), temporary)
