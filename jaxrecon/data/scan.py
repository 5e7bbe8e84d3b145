"""One scan to be reconstructed: k-space, what was sampled of it, and where its slices lie."""

import dataclasses
import re
from pathlib import Path

import numpy as np
from jaxtyping import Complex64, Float32, Float64

from jaxrecon.data.volume import Volume, check_kspace
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import SamplingMask


@dataclasses.dataclass(frozen=True, eq=False)
class Geometry:
    """Size and place of pixels.

    Attributes:
        voxel_mm: distance of neighbouring rows, columns and slices, in mm.
        affine: from (row, column, slice), the row and the column counted from pixel size // 2 of
            the whole image, the slice from the first one of the file, to mm to the right, anterior,
            superior of the scanner's centre. None where the file does not tell.
    """

    voxel_mm: tuple[float, float, float]
    affine: Float64[np.ndarray, "4 4"] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """Multi-coil k-space of 2-D slices, of any format.

    Attributes:
        path: the file.
        name: seeds masks, as data sets name the file: "file1000001.h5", "P001/cine_sax.mat".
        kspace: centred, 0 where not sampled; width is the phase encode that masks choose from.
        masks: what was sampled of each slice; None where that is all of the acquired columns.
        columns: first acquired column and last acquired column + 1; the rest is zero-filled.
        image_shape: rows and columns of the image's centre that is to be kept, the field of view
            without readout oversampling.
        indices: place of each slice in the file. Where a file has frames, the index of one is
            frame * positions + position, with positions = slices of the file // frames.
        slices_in_file: slices of the whole file, all frames counted.
        frames: time frames, echoes or contrast weightings of each position; 1 where there are none.
        target: the images to be reached, where the file stores them or is fully sampled and its
            layout computes them.
        maximum: of the target over the whole file, where the file tells.
        geometry: None where the file does not tell.
        remarks: one line for each choice the reader made.
    """

    path: Path
    name: str
    kspace: Complex64[np.ndarray, "slices coils height width"]
    masks: tuple[SamplingMask, ...] | None
    columns: tuple[int, int]
    image_shape: tuple[int, int]
    indices: tuple[int, ...]
    slices_in_file: int
    frames: int = 1
    target: Float32[np.ndarray, "slices rows columns"] | None = None
    maximum: float | None = None
    geometry: Geometry | None = None
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of k-space."""
        height, width = self.kspace.shape[-2:]
        return height, width

    @property
    def coils(self) -> int:
        """Number of receive coils."""
        return self.kspace.shape[1]

    @property
    def data_set(self) -> str:
        """Name of the data in results: that of the file's folder."""
        return self.path.absolute().parent.name

    def title(self, index: int) -> str:
        """What a picture calls the slice at a place in the file."""
        frame, position = divmod(index, self.slices_in_file // self.frames)
        return f"slice {position}, frame {frame}" if self.frames > 1 else f"slice {index}"

    @property
    def volume(self) -> Volume:
        """The scan as data sets describe their files, for rows of results."""
        height, width = self.shape
        return Volume(
            path=str(self.path),
            layout="",
            name=self.name,
            case=self.name,
            contrast="",
            slices=self.slices_in_file,
            frames=self.frames,
            coils=self.coils,
            height=height,
            width=width,
            target_height=self.image_shape[0],
            target_width=self.image_shape[1],
            padding=self.columns,
            maximum=self.maximum,
            has_target=self.target is not None,
            sampled=self.masks is not None,
        )


def choose_slices(text: str, count: int, path: Path) -> tuple[int, ...]:
    """The slices that a text such as "10-14,20" names, rising and each once.

    Args:
        text: numbers from 0 and ranges that include both ends; "" for all slices, "middle" for
            slice count // 2.
        count: slices of the file.
        path: the file, named in errors.

    Raises:
        InputError: the text is not of this form, or names a slice that the file does not have.
    """
    if not text:
        return tuple(range(count))
    if text == "middle":
        return (count // 2,)
    chosen: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", item)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise InputError(f"slices: expected numbers and ranges such as 10-14, found {item!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= count:
            raise InputError(f"{path}: expected slices from 0 to {count - 1}, found {last}")
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


def check_samples(
    path: Path,
    kspace: Complex64[np.ndarray, "slices coils height width"],
    indices: tuple[int, ...],
) -> None:
    """Check that every slice's samples are finite and not all zero.

    Raises:
        InputError: naming the file and the slice.
    """
    for index, samples in zip(indices, kspace, strict=True):
        check_kspace(path, samples, index)
