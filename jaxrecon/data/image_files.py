"""Writing reconstructed images: fastMRI's submission layout, NIfTI, NumPy, PNG.

No file is ever seen half-written: each is written under another name beside its place and moved
there when it is complete.
"""

import contextlib
import dataclasses
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Complex64, Float32, Float64, UInt8
from PIL import Image, PngImagePlugin

from jaxrecon.atomic_file import unfinished
from jaxrecon.data.scan import Geometry
from jaxrecon.data.submission import DATA_SET
from jaxrecon.errors import InputError

Images = Float32[np.ndarray, "slices rows columns"] | Complex64[np.ndarray, "slices rows columns"]

_DESCRIPTION_BYTES = 79


@dataclasses.dataclass(frozen=True, eq=False)
class ImageVolume:
    """Reconstructed slices and where they lie.

    Attributes:
        images: magnitudes, or complex images, in the unit of the k-space.
        indices: place of each slice in the scan's file.
        slices_in_file: slices of that file, all frames counted.
        frames: of that file; see `jaxrecon.data.scan.Scan`.
        kspace_shape: rows and columns of the k-space, of whose image these are the centre.
        geometry: of the scan; None where it is not known.
        description: one line.
        provenance: what it takes to repeat the images, as JSON values.
    """

    images: Images
    indices: tuple[int, ...]
    slices_in_file: int
    frames: int
    kspace_shape: tuple[int, int]
    geometry: Geometry | None
    description: str
    provenance: Mapping[str, Any]


def write_hdf5(path: Path, volume: ImageVolume) -> None:
    """Write fastMRI's submission layout: the data set `reconstruction` (slices, rows, columns).

    Complex images are stored as complex64. The attributes are `description`, `slices` and, as JSON,
    `provenance`.
    """
    with _unfinished(path) as temporary, h5py.File(temporary, "w") as file:
        file[DATA_SET] = volume.images
        file.attrs["description"] = volume.description
        file.attrs["slices"] = np.array(volume.indices)
        file.attrs["provenance"] = json.dumps(volume.provenance)


def write_numpy(path: Path, volume: ImageVolume) -> None:
    """Write the images (slices, rows, columns), and beside them their provenance as `.json`."""
    with _unfinished(path) as temporary, temporary.open("wb") as file:
        np.save(file, volume.images)
    _write_sidecar(path, volume)


def write_nifti(path: Path, volume: ImageVolume) -> None:
    """Write NIfTI, and beside it the provenance as `.json`.

    The file's first axis is columns, the second rows from the last to the first, so that viewers
    show images upright; then slices and, where all of the scan's are there, frames. Position and
    orientation are those of the scanner where the scan tells them and the slices are evenly
    spaced; otherwise they are marked as unknown.

    Raises:
        InputError: the package nibabel is not installed.
    """
    nibabel = _nibabel(path)
    values = volume.images.transpose(2, 1, 0)[:, ::-1]
    positions = volume.slices_in_file // volume.frames
    if volume.frames > 1 and len(volume.indices) == volume.slices_in_file:
        values = values.reshape(*values.shape[:2], positions, volume.frames, order="F")
    affine = _nifti_affine(volume, positions)
    image = nibabel.Nifti1Image(values, affine)
    voxel = (1.0, 1.0, 1.0) if volume.geometry is None else volume.geometry.voxel_mm
    header = image.header
    header["descrip"] = volume.description.encode("ascii", "replace")[:_DESCRIPTION_BYTES]
    header.set_xyzt_units("mm" if volume.geometry else "unknown", "unknown")
    if affine is None:
        header.set_zooms((voxel[1], voxel[0], voxel[2], 1.0)[: values.ndim])
    else:
        image.set_qform(affine, code="scanner")
        image.set_sform(affine, code="scanner")
    suffix = ".nii.gz" if path.name.endswith(".gz") else ".nii"
    with _unfinished(path, suffix) as temporary:
        nibabel.save(image, temporary)
    _write_sidecar(path, volume)


def write_png(
    path: Path,
    image: UInt8[np.ndarray, "height width 3"],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write an RGB picture, with what it shows, if given, as JSON in its text chunk "jaxrecon"."""
    chunks = PngImagePlugin.PngInfo()
    if about is not None:
        chunks.add_text("jaxrecon", json.dumps(about))
    with _unfinished(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", pnginfo=chunks)


WRITERS: dict[str, Callable[[Path, ImageVolume], None]] = {
    ".h5": write_hdf5,
    ".nii": write_nifti,
    ".nii.gz": write_nifti,
    ".npy": write_numpy,
}
"""By suffix, what writes images."""


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, ".nii.gz" being one."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def check_output(path: Path) -> None:
    """See that a file can be written, before work is spent on what it is to hold.

    Raises:
        InputError: its folder cannot be made or written to, the path is a folder, or it is NIfTI
            and nibabel is not installed.
    """
    if path.is_dir():
        raise InputError(f"{path}: expected the name of a file, found a folder")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir():
        raise InputError(f"{path}: expected a folder to write to, found the file {folder}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: expected a folder to write to, found no permission in {folder}")
    if suffix_of(path) in (".nii", ".nii.gz"):
        _nibabel(path)


def _nifti_affine(volume: ImageVolume, positions: int) -> Float64[np.ndarray, "4 4"] | None:
    """From NIfTI's (column, row from the last, slice) to mm; None where that is not known."""
    if volume.geometry is None or volume.geometry.affine is None:
        return None
    whole = volume.frames > 1 and len(volume.indices) == volume.slices_in_file
    places = range(positions) if whole else volume.indices
    if volume.frames > 1 and not whole and len({n // positions for n in places}) > 1:
        return None
    steps = set(np.diff([n % positions for n in places]).tolist())
    if len(steps) > 1:
        return None
    rows, columns = volume.images.shape[1:]
    # Pixel size // 2 of the whole image, counted in what was kept of it.
    center = [
        size // 2 - (size - kept) // 2
        for size, kept in zip(volume.kspace_shape, (rows, columns), strict=True)
    ]
    step = steps.pop() if steps else 1
    to_scan = np.zeros((4, 4))
    to_scan[0] = [0, -1, 0, rows - 1 - center[0]]
    to_scan[1] = [1, 0, 0, -center[1]]
    to_scan[2] = [0, 0, step, places[0] % positions]
    to_scan[3, 3] = 1
    return volume.geometry.affine @ to_scan


def _write_sidecar(path: Path, volume: ImageVolume) -> None:
    stem = path.name[: -len(suffix_of(path))]
    content = {
        "description": volume.description,
        "slices": list(volume.indices),
        "provenance": volume.provenance,
    }
    with _unfinished(path.with_name(f"{stem}.json")) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


@contextlib.contextmanager
def _unfinished(path: Path, suffix: str = "") -> Iterator[Path]:
    try:
        with unfinished(path, suffix) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"{path}: expected to write it, found {error.strerror}") from error


def _nibabel(path: Path) -> ModuleType:
    try:
        return importlib.import_module("nibabel")
    except ImportError:
        raise InputError(
            f"{path}: expected the package nibabel, found none; "
            "pip install 'jaxrecon[medical]' installs it"
        ) from None
