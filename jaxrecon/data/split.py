"""Dividing a data set into training, validation and test parts by patient."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError


class Split(NamedTuple):
    """Three disjoint parts of a data set; no case has volumes in two of them."""

    train: tuple[Volume, ...]
    validation: tuple[Volume, ...]
    test: tuple[Volume, ...]


def split_cases(
    volumes: Sequence[Volume],
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    *,
    seed: int = 0,
) -> Split:
    """Divide volumes by case.

    Cases are ordered by a hash of seed and case, so that the parts depend on neither the order of
    the files nor a library's random numbers. Validation and test get their fractions of the cases,
    rounded but at least one case; training gets the rest.

    Args:
        volumes: the data set.
        fractions: of training, validation and test; positive, with the sum 1.
        seed: which of the possible divisions.

    Returns:
        The parts, each with its volumes in the order given.

    Raises:
        InputError: the fractions are not as described, or there are fewer than three cases or too
            few to leave one for training.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"fractions: expected three positive numbers with the sum 1, found {fractions}"
        )
    cases = sorted({volume.case for volume in volumes}, key=lambda case: _order(seed, case))
    validation_count = max(1, round(len(cases) * fractions[1]))
    test_count = max(1, round(len(cases) * fractions[2]))
    train_count = len(cases) - validation_count - test_count
    if train_count < 1:
        raise InputError(
            f"split: expected at least one case for each of training, validation and test, found "
            f"{len(cases)} cases for the fractions {fractions}: {', '.join(cases[:10]) or 'none'}"
        )
    parts = (
        set(cases[:train_count]),
        set(cases[train_count : train_count + validation_count]),
        set(cases[train_count + validation_count :]),
    )
    return Split(*(tuple(volume for volume in volumes if volume.case in part) for part in parts))


def _order(seed: int, case: str) -> bytes:
    return hashlib.sha256(f"{seed}:{case}".encode()).digest()
