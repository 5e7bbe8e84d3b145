"""What the readers of every k-space layout hand on: a file's description and one of its slices."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Complex64, Float32

from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import SamplingMask


@dataclasses.dataclass(frozen=True)
class Volume:
    """One k-space file: what is known of it without reading its samples.

    Attributes:
        path: the file, absolute.
        layout: the module that reads it, as `jaxrecon.data.layouts.layout` finds it.
        name: seeds the masks and stands in result lists: "file1000001.h5", "P001/cine_sax.mat".
        case: the patient, the unit of data splits.
        contrast: the kind of image, "CORPD_FBK", "AXT1", "cine_sax"; empty if unknown.
        slices: 2-D k-spaces in the file. Where a file has frames, the index of one is
            frame * positions + position, with positions = slices // frames.
        frames: time frames or contrast weightings of each position; 1 where there are none.
        coils: receive coils.
        height: rows of k-space, the readout.
        width: columns of k-space, the phase encodes that masks choose from.
        target_height: rows of the target image.
        target_width: columns of the target image.
        padding: first acquired column and last acquired column + 1; the rest is zero-filled.
        maximum: maximum of the target volume; None if the file does not say.
        has_target: whether the file is fully sampled or stores its target.
        sampled: whether the k-space is already undersampled and carries its mask.
        bad_slices: slices holding NaN, infinity or only zeros, where they have been looked for.
    """

    path: str
    layout: str
    name: str
    case: str
    contrast: str
    slices: int
    frames: int
    coils: int
    height: int
    width: int
    target_height: int
    target_width: int
    padding: tuple[int, int]
    maximum: float | None
    has_target: bool
    sampled: bool
    bad_slices: tuple[int, ...] = ()

    @property
    def positions(self) -> int:
        """Slice positions: `slices` without the frames."""
        return self.slices // self.frames


@dataclasses.dataclass(frozen=True, eq=False)
class RawSlice:
    """One 2-D multi-coil k-space as its file stores it.

    Attributes:
        kspace: all samples of the file, undersampled only where the file is.
        target: the image to be reconstructed; None where the file cannot tell.
        mask: the file's own mask where it is already undersampled, else None.
    """

    kspace: Complex64[np.ndarray, "coils height width"]
    target: Float32[np.ndarray, "target_height target_width"] | None
    mask: SamplingMask | None


def check_slice(volume: Volume, index: int, raw: RawSlice) -> None:
    """Check that a slice's samples are finite and not all zero, and its target finite.

    Raises:
        InputError: naming the file and the slice.
    """
    check_kspace(volume.path, raw.kspace, index)
    if raw.target is not None and not np.isfinite(raw.target).all():
        raise _bad_samples(volume.path, index, "NaN or infinity in its target")


def check_kspace(
    path: str | Path, kspace: Complex64[np.ndarray, "coils height width"], index: int
) -> None:
    """Check that the samples of slice `index` are finite and not all zero.

    Raises:
        InputError: naming the file and the slice.
    """
    if not np.isfinite(kspace).all():
        raise _bad_samples(path, index, "NaN or infinity in its k-space")
    if not kspace.any():
        raise _bad_samples(path, index, "k-space of zeros only")


def _bad_samples(path: str | Path, index: int, found: str) -> InputError:
    return InputError(f"{path}: expected finite samples in slice {index}, found {found}")


def check_index(volume: Volume, index: int) -> None:
    """Check that a volume has a slice `index`.

    Raises:
        InputError: naming the file and its number of slices.
    """
    if not 0 <= index < volume.slices:
        raise InputError(
            f"{volume.path}: expected a slice index from 0 to {volume.slices - 1}, found {index}"
        )
