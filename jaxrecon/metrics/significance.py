"""How sure it is that two methods differ: paired tests over the files that both were judged on."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

from jaxrecon.errors import InputError
from jaxrecon.metrics.results import Comparison, Row

TEST = "wilcoxon signed-rank"

SMALLEST_SAMPLE = 6
"""Differing files below which no p value is given: with 5, none can be less than 0.0625."""

_SETTING = ("dataset", "mask", "acceleration", "center_fraction")


def signed_rank_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p value of Wilcoxon's signed-rank test on paired values.

    Args:
        first: one value a file.
        second: another method's values of the same files.

    Returns:
        The p value, exact for up to 50 pairs without ties and from the normal approximation
        otherwise; None where fewer than `SMALLEST_SAMPLE` pairs differ. Equal pairs do not count.

    References:
        Wilcoxon (1945), Individual comparisons by ranking methods.
        https://doi.org/10.2307/3001968
    """
    differences = _differences(first, second)
    differing = differences[differences != 0]
    if len(differing) < SMALLEST_SAMPLE:
        return None
    return float(scipy.stats.wilcoxon(differing).pvalue)


def compare_methods(rows: Sequence[Row]) -> list[Comparison]:
    """Compare every pair of methods in each setting and each measure.

    The unit is the file, whatever the protocol counts: slices of one file are alike, and a test
    that took them for independent would find everything significant.

    Args:
        rows: of results, with their files.

    Returns:
        For each pair and measure the setting, `metric`, `first`, `second`, `test`, `n` (files),
        `median_difference` (first minus second) and `p`, see `signed_rank_p`.

    Raises:
        InputError: two methods of one setting were judged on different files or slices.
    """
    settings: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        settings.setdefault(tuple(row[field] for field in _SETTING), []).append(row)
    comparisons: list[Comparison] = []
    for group in settings.values():
        for first, second in itertools.combinations(group, 2):
            _require_same_files(first, second)
            comparisons += [_compare(first, second, name) for name in first["measures"]]
    return comparisons


def _compare(first: Row, second: Row, measure: str) -> Comparison:
    values = [_by_file(row, measure) for row in (first, second)]
    pairs = [(values[0][file], values[1][file]) for file in values[0]]
    differences = _differences(*zip(*pairs, strict=True))
    return {
        **{field: first[field] for field in _SETTING},
        "metric": measure,
        "first": first["method"],
        "second": second["method"],
        "test": TEST,
        "n": len(pairs),
        "median_difference": float(np.median(differences)),
        "p": signed_rank_p(*zip(*pairs, strict=True)),
    }


def _differences(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    # Where both are infinite, as the PSNR of perfect images is, they are equal.
    return np.subtract(a, b, out=np.zeros_like(a), where=a != b)


def _by_file(row: Row, measure: str) -> Mapping[str, float]:
    return {file["file"]: file[measure] for file in row["files"]}


def _require_same_files(first: Row, second: Row) -> None:
    slices = [{file["file"]: file["slices"] for file in row["files"]} for row in (first, second)]
    if slices[0] != slices[1]:
        raise InputError(
            f"{first['dataset']}: expected {first['method']} and {second['method']} to be judged "
            f"on the same slices, found {len(slices[0])} and {len(slices[1])} files that differ"
        )
