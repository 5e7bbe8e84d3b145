"""From one value a file to what a results table reports."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from jaxrecon.errors import InputError

_RESAMPLES = 10_000
_SEED = 0


class Summary(TypedDict):
    """A metric over the files of a data set, as results files store it."""

    mean: float
    std: float
    ci95: list[float]


def summarise_values(values: Sequence[float]) -> Summary:
    """Mean over files, their spread, and how sure the mean is.

    Args:
        values: one value a file; at least one.

    Returns:
        mean; std, the sample standard deviation over files (0 for a single file); ci95, the 95 %
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
    generator = np.random.default_rng(_SEED)
    means = [
        sample[generator.integers(sample.size, size=sample.size)].mean() for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": mean, "std": float(sample.std(ddof=1)), "ci95": [float(low), float(high)]}
