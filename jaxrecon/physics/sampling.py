"""Cartesian sampling masks: what was measured, what is fully sampled, how much is saved."""

import dataclasses

import numpy as np
from jaxtyping import Bool

from jaxrecon.errors import InputError
from jaxrecon.physics.mask_families import (
    ACS_FAMILIES,
    FAMILIES,
    FRACTION_FAMILIES,
    centre_start,
    check_family,
    draw_columns,
)

__all__ = ["ACQUIRED", "FAMILIES", "MaskSpec", "SamplingMask", "sampling_mask"]

ACQUIRED = "acquired"
"""Family of the masks that scans bring along."""


@dataclasses.dataclass(frozen=True, eq=False)
class SamplingMask:
    """A sampling mask of k-space and what is known of its design.

    Attributes:
        pattern: centred, true where k-space is sampled; one row for masks of whole columns.
        acs: contiguous central columns that are fully sampled by design; the first of them is
            (width - acs + 1) // 2.
        family: what drew it, see `FAMILIES`, or `ACQUIRED`.
        acceleration: nominal acceleration.
        columns: first column, and last column + 1, of the part of k-space that the scanner
            acquires; None for all of it.
    """

    pattern: Bool[np.ndarray, "rows width"]
    acs: int
    family: str
    acceleration: int | float
    columns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.pattern.any():
            raise InputError(
                f"{self.family} mask: expected at least one sampled column, found none"
            )

    @property
    def effective_acceleration(self) -> float:
        """Samples of the acquired part of k-space over samples kept: what is really saved."""
        rows, width = self.pattern.shape
        first, last = self.columns or (0, width)
        return rows * (last - first) / int(self.pattern.sum())

    def within(self, first: int, last: int) -> "SamplingMask":
        """The mask without the columns outside [first, last), which the scanner never acquired.

        fastMRI files hold such zero-filled columns on both sides. They are no longer counted in
        the effective acceleration, and `acs` shrinks where the centre would reach into them.

        Args:
            first: first acquired column.
            last: last acquired column + 1.

        Returns:
            The narrower mask, of the same shape.

        Raises:
            InputError: the columns do not lie inside the mask, or none that is left is sampled.
        """
        width = self.pattern.shape[1]
        if not 0 <= first < last <= width:
            raise InputError(
                f"mask padding: expected 0 <= first < last <= {width} columns, "
                f"found [{first}, {last})"
            )
        pattern = np.zeros_like(self.pattern)
        pattern[:, first:last] = self.pattern[:, first:last]
        acs = self.acs
        while acs and not (
            first <= centre_start(width, acs) and centre_start(width, acs) + acs <= last
        ):
            acs -= 1
        return dataclasses.replace(self, pattern=pattern, acs=acs, columns=(first, last))


def sampling_mask(
    family: str,
    width: int,
    acceleration: int | float,
    *,
    center_fraction: int | float | None = None,
    acs: int | None = None,
    seed: int | tuple[int, ...],
) -> SamplingMask:
    """Draw a mask of whole columns.

    - "random", "equispaced", "equispaced_fraction", "magic", "magic_fraction": the masks of the
      fastMRI project, equal to the column for the same seed.
    - "cmrxrecon_uniform": every R-th column from the first on plus `acs` central ones (24 in the
      CMRxRecon 2023 challenge), the centre starting at (width - acs + 1) // 2. Nothing is drawn.
    - "gaussian": `acs` central columns plus columns drawn from a normal distribution of mean
      width / 2 and standard deviation width / 4 until there are width // R in all.

    "equispaced", "magic" and "cmrxrecon_uniform" put the centre on top of every R-th column, so
    that they sample more than 1 / R of k-space: see `SamplingMask.effective_acceleration`.

    Args:
        family: one of `FAMILIES`.
        width: columns of k-space.
        acceleration: nominal acceleration R.
        center_fraction: fully sampled fraction of the width, for the fastMRI families.
        acs: fully sampled central columns, for the other families; 24 by default.
        seed: of `numpy.random.RandomState`: whole numbers in [0, 2**32).

    Returns:
        The mask, its pattern of shape (1, width).

    Raises:
        InputError: a setting is missing, out of range, or does not belong to the family.
    """
    generator = _generator(seed)
    # fastMRI draws here which of its settings to use, even where it has but one.
    generator.randint(1)
    return _draw(family, width, acceleration, center_fraction, acs, generator)


@dataclasses.dataclass(frozen=True)
class MaskSpec:
    """The masks of a data set: a family and the settings it draws from.

    Attributes:
        family: one of `FAMILIES`.
        accelerations: nominal accelerations; each mask draws one of them.
        center_fractions: fully sampled fraction that goes with each acceleration. Used by the
            fastMRI families, without a meaning for the others.
        acs: fully sampled central columns, 0 for the customary 24. Used by "cmrxrecon_uniform"
            and "gaussian", without a meaning for the others.
        seed: None for fastMRI's evaluation seed, made of the file name alone: all slices of a
            file share a mask that never changes. With a number each slice and epoch has its own.

    Raises:
        InputError: unknown family, or settings that are missing or do not pair up.
    """

    family: str
    accelerations: tuple[int | float, ...]
    center_fractions: tuple[int | float, ...] = ()
    acs: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        check_family(self.family)
        if not self.accelerations:
            raise InputError("mask accelerations: expected at least one, found none")
        if self.family in FRACTION_FAMILIES and len(self.center_fractions) != len(
            self.accelerations
        ):
            raise InputError(
                f"mask center_fractions: expected one for each of the "
                f"{len(self.accelerations)} accelerations, found {len(self.center_fractions)}"
            )
        if self.seed is not None:
            _generator((self.seed,))

    def draw(self, width: int, file_name: str, slice_index: int, epoch: int = 0) -> SamplingMask:
        """The mask of one slice, a pure function of these arguments and the settings.

        Args:
            width: columns of k-space.
            file_name: the file's name as the data set lists it.
            slice_index: the slice's place in its file; ignored where `seed` is None.
            epoch: pass over the data; ignored where `seed` is None.

        Returns:
            The mask, its pattern of shape (1, width).

        Raises:
            InputError: a setting is out of range for this width.
        """
        name = tuple(map(ord, file_name))
        seed = name if self.seed is None else (self.seed, epoch, slice_index, *name)
        generator = _generator(seed)
        choice = generator.randint(len(self.accelerations))
        fraction = self.center_fractions[choice] if self.family in FRACTION_FAMILIES else None
        acs = self.acs or None if self.family in ACS_FAMILIES else None
        return _draw(self.family, width, self.accelerations[choice], fraction, acs, generator)


def _draw(
    family: str,
    width: int,
    acceleration: int | float,
    center_fraction: int | float | None,
    acs: int | None,
    generator: np.random.RandomState,
) -> SamplingMask:
    columns, acs = draw_columns(family, width, acceleration, center_fraction, acs, generator)
    return SamplingMask(columns[None], acs, family, float(acceleration))


def _generator(seed: int | tuple[int, ...]) -> np.random.RandomState:
    try:
        return np.random.RandomState(seed)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"mask seed: expected whole numbers in [0, 2**32), found {seed!r}"
        ) from error
