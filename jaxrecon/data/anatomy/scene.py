"""What an anatomy hands over: one slice as ellipses, standing still or moving."""

import dataclasses

import numpy as np

from jaxrecon.data.ellipses import Ellipses


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """One slice of a case.

    Attributes:
        still: the part that is the same in all frames.
        moving: for each frame, the rest; their intensities add to those of `still`.
        brightest: the highest level of a tissue, which its fine structure may exceed a little;
            the same in all slices of a case.
    """

    still: Ellipses
    moving: tuple[Ellipses, ...]
    brightest: float


def jittered(
    rng: np.random.Generator, levels: dict[str, float], relative: float
) -> dict[str, float]:
    """Tissue levels, each multiplied by its own random factor 1 +- `relative`."""
    return {
        tissue: float(level * rng.uniform(1 - relative, 1 + relative))
        for tissue, level in levels.items()
    }
