"""What was sampled, told from k-space itself or from a mask without a description."""

import numpy as np
from jaxtyping import Bool, Complex64

from jaxrecon.physics.mask_families import centre_start
from jaxrecon.physics.sampling import ACQUIRED, SamplingMask

# A scanner's samples may be exactly 0 now and then: fewer than this among those of the rows and
# columns in use do not make a mask of single samples.
_ZEROS_BY_CHANCE = 0.01


def central_run(sampled: Bool[np.ndarray, " size"]) -> int:
    """The most samples that are all taken, placed as ACS columns are: (size - n + 1) // 2 on."""
    size = len(sampled)
    run = 0
    while run < size:
        start = centre_start(size, run + 1)
        if not sampled[start : start + run + 1].all():
            break
        run += 1
    return run


def fully_sampled_centre(pattern: Bool[np.ndarray, "rows width"], height: int) -> tuple[int, int]:
    """Rows and columns of the fully sampled rectangle in the centre of k-space.

    Of all such rectangles it is the one whose shorter side is longest, and among those the largest.

    Args:
        pattern: sampling mask; one row for masks of whole columns.
        height: rows of k-space.

    Returns:
        Rows and columns, both 0 where the centre itself was not sampled. They begin at
        (size - n + 1) // 2.
    """
    rows, width = pattern.shape
    best = (0, 0)
    for columns in range(1, width + 1):
        start = centre_start(width, columns)
        whole_rows = np.all(pattern[:, start : start + columns], axis=1)
        run = height * int(whole_rows[0]) if rows == 1 else central_run(whole_rows)
        if run == 0:
            break
        found = (run, columns)
        if (min(found), run * columns) > (min(best), best[0] * best[1]):
            best = found
    return best


def acquired_mask(
    pattern: Bool[np.ndarray, "rows width"],
    height: int,
    *,
    acs: int | None = None,
    columns: tuple[int, int] | None = None,
) -> SamplingMask:
    """Describe a mask of which only the pattern is known.

    Args:
        pattern: true where k-space is sampled; one row, or one for each row of k-space.
        height: rows of k-space.
        acs: fully sampled central columns; by default they are found from the pattern.
        columns: first acquired column and last acquired column + 1, if not all.

    Returns:
        The mask, of one row where all rows are alike. The nominal acceleration is the effective
        one. Of a mask of single samples, `acs` counts the columns of its fully sampled centre.

    Raises:
        InputError: the mask keeps nothing.
    """
    if (pattern == pattern[:1]).all():
        pattern = pattern[:1]
    if acs is None:
        acs = fully_sampled_centre(pattern, height)[1]
    mask = SamplingMask(pattern, acs, ACQUIRED, 1.0, columns)
    return SamplingMask(pattern, acs, ACQUIRED, mask.effective_acceleration, columns)


def find_pattern(
    kspace: Complex64[np.ndarray, "coils height width"],
) -> Bool[np.ndarray, "height width"]:
    """Where k-space was sampled: everywhere but where all coils are exactly 0.

    Whole rows and columns of zeros count as not sampled. Inside those in use, single zeros count
    only if there are more than 1 % of them.

    Args:
        kspace: of one slice, zero where not sampled.
    """
    nonzero = (kspace != 0).any(axis=0)
    separable = nonzero.any(axis=1)[:, None] & nonzero.any(axis=0)
    zeros = int(separable.sum()) - int(nonzero.sum())
    return separable if zeros <= _ZEROS_BY_CHANCE * separable.sum() else nonzero


def sampling_of(
    patterns: Bool[np.ndarray, "slices height width"],
) -> tuple[tuple[SamplingMask, ...] | None, tuple[int, int]]:
    """Masks of a scan's slices, and its acquired columns.

    Args:
        patterns: true where each slice was sampled.

    Returns:
        The masks, or None where every slice has all samples of one run of columns; and the first
        and the last + 1 of the columns in use in any slice.
    """
    height, width = patterns.shape[1:]
    used = np.flatnonzero(patterns.any(axis=(0, 1)))
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, width)
    if patterns[:, :, first:last].all():
        return None, (first, last)
    masks: list[SamplingMask] = []
    for number, pattern in enumerate(patterns):
        if number and (pattern == patterns[number - 1]).all():
            masks.append(masks[-1])
        else:
            masks.append(acquired_mask(pattern, height))
    return tuple(masks), (0, width)
