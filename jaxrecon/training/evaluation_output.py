"""What a finished evaluation writes: results, tables, lists of files and pictures."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrecon.data.image_files import write_png
from jaxrecon.metrics.example_images import read_example
from jaxrecon.metrics.results import RESULTS_FILE, Row, write_results
from jaxrecon.metrics.score_tables import Record, slice_records, volume_records, write_table
from jaxrecon.metrics.scoring import ZERO_FILLED
from jaxrecon.metrics.significance import compare_methods
from jaxrecon.training.evaluation import rows_of, slice_title
from jaxrecon.training.evaluation_folder import PARTIAL, slug
from jaxrecon.training.panel import draw_panel
from jaxrecon.training.setting_scores import SettingScores
from jaxrecon.training.subset import write_file_list


def write_output(
    folder: Path,
    parts: Sequence[SettingScores],
    provenance: Mapping[str, Any],
    *,
    table_format: str,
) -> list[Row]:
    """Write everything and remove the partial results. `results.json` comes last.

    Args:
        folder: of the evaluation.
        parts: all settings, complete.
        provenance: what it takes to repeat the results.
        table_format: "csv" or "parquet".

    Returns:
        The rows of results.
    """
    rows: list[Row] = []
    slices: list[Record] = []
    volumes: list[Record] = []
    for part in parts:
        test_set, scores = part.setting.test_set, part.load()
        found = rows_of(part.setting, part.slices, part.masks, scores, part.methods)
        rows += found
        slices += slice_records(found, scores, part.masks, test_set.protocol)
        volumes += volume_records(found, part.masks)
    write_table(folder / f"slices.{table_format}", slices)
    write_table(folder / f"volumes.{table_format}", volumes)
    _write_file_lists(folder / "file_lists", parts)
    _draw_pictures(folder, parts)
    write_results(
        folder / RESULTS_FILE,
        provenance,
        rows,
        comparisons=compare_methods(rows),
        examples=[example for part in parts for example in part.examples],
    )
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    return rows


def _write_file_lists(folder: Path, parts: Sequence[SettingScores]) -> None:
    for part in parts:
        test_set = part.setting.test_set
        judged: dict[str, list[int]] = {}
        for reference in part.slices:
            judged.setdefault(reference.volume.name, []).append(reference.index)
        comment = f"{test_set.name}, protocol {test_set.protocol.name}: {test_set.subset or 'all'}"
        write_file_list(folder / f"{slug(test_set.name)}.txt", judged, comment)


def _draw_pictures(folder: Path, parts: Sequence[SettingScores]) -> None:
    """One picture per setting: the examples by the first network, or another method."""
    for part in parts:
        examples = [read_example(folder / example) for example in part.examples]
        networks = [method.name for method in part.methods if method.run is not None]
        method = [*networks, *(method.name for method in part.methods), ZERO_FILLED][0]
        drawn = [
            (
                example.target,
                example.images[method],
                example.images[ZERO_FILLED],
                slice_title(example.file, example.index),
            )
            for example in examples
            if example.target is not None
        ]
        if drawn:
            name = slug(f"{part.title} {method}")
            picture = draw_panel(*zip(*drawn, strict=True))
            write_png(folder / "figures" / f"{name}.png", picture)
