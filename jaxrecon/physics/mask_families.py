"""How each family of sampling masks chooses its columns.

Every function returns centred columns, true where k-space is sampled. Draws come from
`numpy.random.RandomState`, whose streams are fixed for good, so that a mask can be drawn again
years later and equals the one the fastMRI project draws from the same seed.
"""

import math

import numpy as np
from jaxtyping import Bool

from jaxrecon.errors import InputError

# Families whose fully sampled centre is a fraction of the width, as in the fastMRI challenge.
FRACTION_FAMILIES = ("random", "equispaced", "equispaced_fraction", "magic", "magic_fraction")
# Families whose fully sampled centre is a number of columns.
ACS_FAMILIES = ("cmrxrecon_uniform", "gaussian")
FAMILIES = FRACTION_FAMILIES + ACS_FAMILIES

DEFAULT_ACS = 24

_WHOLE_ACCELERATION = ("equispaced", "magic", "cmrxrecon_uniform")

Columns = Bool[np.ndarray, " width"]


def centre_start(width: int, acs: int) -> int:
    """First of `acs` central columns: (width - acs + 1) // 2, as in fastMRI."""
    return (width - acs + 1) // 2


def draw_columns(
    family: str,
    width: int,
    acceleration: int | float,
    center_fraction: int | float | None,
    acs: int | None,
    generator: np.random.RandomState,
) -> tuple[Columns, int]:
    """Columns of one mask, the fully sampled centre included.

    Args:
        family: one of `FAMILIES`.
        width: columns of k-space.
        acceleration: nominal acceleration, width over sampled columns, at least 1.
        center_fraction: fully sampled fraction of the width; for `FRACTION_FAMILIES` only.
        acs: number of fully sampled central columns; for `ACS_FAMILIES` only, where None stands
            for 24.
        generator: source of the draws; its state moves on.

    Returns:
        The sampled columns and the number of fully sampled central ones.

    Raises:
        InputError: a setting is out of range or does not belong to the family.
    """
    check_family(family)
    if width < 1:
        raise InputError(f"mask width: expected at least 1 column, found {width}")
    if not (math.isfinite(acceleration) and acceleration >= 1):
        raise InputError(
            f"mask acceleration: expected a number of at least 1, found {acceleration}"
        )
    if family in _WHOLE_ACCELERATION and acceleration != int(acceleration):
        raise InputError(
            f"mask acceleration: expected a whole number for {family}, found {acceleration}"
        )
    if family in FRACTION_FAMILIES:
        acs = _acs_of_fraction(family, width, acceleration, center_fraction, acs)
    else:
        acs = _acs_of_count(family, width, center_fraction, acs)

    if family == "random":
        columns = _random(width, acceleration, acs, generator)
    elif family == "equispaced":
        columns = _equispaced(width, int(acceleration), generator)
    elif family == "equispaced_fraction":
        columns = _equispaced_fraction(width, acceleration, acs, generator)
    elif family == "magic":
        columns = _magic(width, int(acceleration), generator)
    elif family == "magic_fraction":
        columns, acs = _magic_fraction(width, acceleration, acs, generator)
    elif family == "cmrxrecon_uniform":
        columns = _uniform(width, int(acceleration))
    else:
        columns = _gaussian(width, acceleration, acs, generator)
    return columns | _centre(width, acs), acs


def check_family(family: str) -> None:
    """Raise InputError, listing the known families, unless `family` is one of them."""
    if family not in FAMILIES:
        raise InputError(f"mask family: expected one of {', '.join(FAMILIES)}, found {family!r}")


def _acs_of_fraction(
    family: str,
    width: int,
    acceleration: int | float,
    center_fraction: int | float | None,
    acs: int | None,
) -> int:
    if acs is not None:
        raise InputError(f"mask acs: {family} takes center_fraction instead, found acs {acs}")
    if center_fraction is None:
        raise InputError(f"mask center_fraction: {family} needs one, found none")
    if not 0 <= center_fraction < 1:
        raise InputError(
            f"mask center_fraction: expected a number in [0, 1), found {center_fraction}"
        )
    count = round(width * center_fraction)
    # At the bound the centre alone uses up all of width / acceleration columns.
    if center_fraction * acceleration >= 1 or count * acceleration >= width:
        raise InputError(
            f"mask center_fraction: expected less than 1 / acceleration, so that columns outside "
            f"the centre are left, found {center_fraction} at acceleration {acceleration:g}"
        )
    return count


def _acs_of_count(
    family: str, width: int, center_fraction: int | float | None, acs: int | None
) -> int:
    if center_fraction is not None:
        raise InputError(
            f"mask center_fraction: {family} takes acs instead, "
            f"found center_fraction {center_fraction}"
        )
    acs = DEFAULT_ACS if acs is None else acs
    if not 0 <= acs <= width:
        raise InputError(f"mask acs: expected 0 to {width} columns, the width, found {acs}")
    return acs


def _centre(width: int, acs: int) -> Columns:
    columns = np.zeros(width, bool)
    start = centre_start(width, acs)
    columns[start : start + acs] = True
    return columns


def _random(
    width: int, acceleration: int | float, acs: int, generator: np.random.RandomState
) -> Columns:
    """Each column with the probability that makes width / acceleration expected in all."""
    probability = (width / acceleration - acs) / (width - acs)
    return generator.uniform(size=width) < probability


def _equispaced(width: int, acceleration: int, generator: np.random.RandomState) -> Columns:
    """Every `acceleration`-th column from a random one on."""
    columns = np.zeros(width, bool)
    columns[generator.randint(0, acceleration) :: acceleration] = True
    return columns


def _equispaced_fraction(
    width: int, acceleration: int | float, acs: int, generator: np.random.RandomState
) -> Columns:
    """Columns spaced so that, with the centre, about width / acceleration are sampled.

    The spacing is no whole number, so the gaps differ by one; the last column is never taken.
    """
    spacing = acceleration * (acs - width) / (acs * acceleration - width)
    offset = generator.randint(0, round(spacing))
    columns = np.zeros(width, bool)
    columns[np.around(np.arange(offset, width - 1, spacing)).astype(int)] = True
    return columns


def _magic(width: int, acceleration: int, generator: np.random.RandomState) -> Columns:
    """Equispaced with the two halves of k-space offset against each other.

    Conjugate symmetry then makes each half fill gaps of the other.

    References:
        Defazio (2019), Offset sampling improves deep learning based accelerated MRI
        reconstructions by exploiting symmetry. https://arxiv.org/abs/1912.01101
    """
    offset = generator.randint(0, acceleration)
    if offset % 2 == 0:
        first_positive, first_negative = offset + 1, offset + 2
    else:
        first_positive, first_negative = offset + 2, offset - 1
    zero_frequency = width // 2
    columns = np.zeros(width, bool)
    columns[zero_frequency + np.arange(first_positive, width - zero_frequency, acceleration)] = True
    columns[zero_frequency - 1 - np.arange(first_negative, zero_frequency, acceleration)] = True
    return columns


def _magic_fraction(
    width: int, acceleration: int | float, acs: int, generator: np.random.RandomState
) -> tuple[Columns, int]:
    """Magic with the spacing that, with the centre, samples about width / acceleration columns."""
    target = round(width / acceleration)
    acs = max(min(acs, target), 1)
    if target <= acs:
        raise InputError(
            f"mask acceleration: magic_fraction expects more than the {acs} central columns "
            f"among width / acceleration, found {target} of {width} columns"
        )
    return _magic(width, round(width / (target - acs)), generator), acs


def _uniform(width: int, acceleration: int) -> Columns:
    """Every `acceleration`-th column from the first on; nothing is drawn."""
    columns = np.zeros(width, bool)
    columns[::acceleration] = True
    return columns


def _gaussian(
    width: int, acceleration: int | float, acs: int, generator: np.random.RandomState
) -> Columns:
    """The centre and columns drawn from N(width / 2, width / 4), width // acceleration in all."""
    target = int(width // acceleration)
    if acs > target:
        raise InputError(
            f"mask acs: gaussian expects at most width // acceleration = {target} columns, "
            f"found {acs}"
        )
    columns = _centre(width, acs)
    missing = target - acs
    while missing:
        column = int(np.rint(generator.normal(width / 2, width / 4)))
        if 0 <= column < width and not columns[column]:
            columns[column] = True
            missing -= 1
    return columns
