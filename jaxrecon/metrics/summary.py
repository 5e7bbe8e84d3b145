"""From one value a file or slice to what a results table reports."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from jaxrecon.errors import InputError

_RESAMPLES = 10_000
_SEED = 0
_CHUNK = 10_000_000  # draws at a time, to bound memory


class Summary(TypedDict):
    """A metric over the files of a data set, as results files store it."""

    mean: float
    std: float
    ci95: list[float]


def summarise_values(values: Sequence[float], groups: Sequence[str] | None = None) -> Summary:
    """Mean over values, their spread, and how sure the mean is.

    Args:
        values: one a file or, with `groups`, one a slice; at least one.
        groups: the file of each value. Slices of a file are alike, so that the interval is found
            by drawing whole files.

    Returns:
        mean; std, the sample standard deviation over values (0 for a single one); ci95, the 95 %
        percentile bootstrap confidence interval of the mean (10,000 resamples of the files with a
        fixed seed, so that the same values always give the same interval; the mean itself twice
        for a single file). An infinite value, as the PSNR of a perfect image is, makes all
        infinite.

    Raises:
        InputError: no values, or one that is not a number.

    References:
        Efron and Tibshirani (1993), An introduction to the bootstrap, chapter 13.
    """
    sample = np.asarray(values, np.float64)
    if sample.size == 0:
        raise InputError("metric summary: expected at least one value, found none")
    if np.isnan(sample).any():
        raise InputError(
            f"metric summary: expected numbers, found NaN in {int(np.isnan(sample).sum())} "
            f"of {sample.size} values"
        )
    mean = float(sample.mean())
    if sample.size == 1:
        return {"mean": mean, "std": 0.0, "ci95": [mean, mean]}
    if np.isinf(sample).any():
        return {"mean": mean, "std": math.inf, "ci95": [mean, mean]}
    members = np.arange(sample.size)
    if groups is not None:
        _, members = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(members, sample), np.bincount(members)
    low, high = np.quantile(_resampled_means(sums, counts), [0.025, 0.975])
    return {"mean": mean, "std": float(sample.std(ddof=1)), "ci95": [float(low), float(high)]}


def _resampled_means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means over files drawn with replacement, each with all its values."""
    generator = np.random.default_rng(_SEED)
    files = len(sums)
    rows = max(1, _CHUNK // files)
    means = []
    for start in range(0, _RESAMPLES, rows):
        drawn = generator.integers(files, size=(min(rows, _RESAMPLES - start), files))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)
