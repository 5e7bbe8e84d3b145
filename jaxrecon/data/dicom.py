"""DICOM images in their order in space and time."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxrecon.errors import InputError


def read_series(
    files: list[Path], pydicom: ModuleType
) -> Float32[np.ndarray, "images rows columns"]:
    """Read grey-value DICOM files, one or more frames each.

    They are ordered by series number, then by position along the normal of the slices, then by
    instance number. Stored values are rescaled by slope and intercept; MONOCHROME1 is inverted.

    Args:
        files: all of them; those that are not DICOM or hold no image are left out.
        pydicom: the package.

    Raises:
        InputError: none holds an image, pixels cannot be decoded, they are colours, or sizes
            differ.
    """
    found = []
    for file in files:
        try:
            dataset = pydicom.dcmread(file)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError):
            continue
        if "PixelData" in dataset:
            found.append((_order(dataset), file, _frames(dataset, file, pydicom)))
    if not found:
        raise InputError(f"{files[0].parent}: expected DICOM images, found none")
    found.sort(key=lambda item: (item[0], item[1].name))
    first = found[0][2].shape[1:]
    for _, file, frames in found:
        if frames.shape[1:] != first:
            raise InputError(
                f"{file}: expected {first[0]} x {first[1]} pixels as in {found[0][1].name}, "
                f"found {frames.shape[1]} x {frames.shape[2]}"
            )
    return np.concatenate([frames for _, _, frames in found])


def _order(dataset: Any) -> tuple[int, float, int]:
    along = 0.0
    if "ImagePositionPatient" in dataset and "ImageOrientationPatient" in dataset:
        row, column = np.reshape([float(x) for x in dataset.ImageOrientationPatient], (2, 3))
        position = np.array([float(x) for x in dataset.ImagePositionPatient])
        along = float(np.round(np.cross(row, column) @ position, 3))
    series, instance = dataset.get("SeriesNumber"), dataset.get("InstanceNumber")
    return int(series or 0), along, int(instance or 0)


def _frames(
    dataset: Any, file: Path, pydicom: ModuleType
) -> Float32[np.ndarray, "frames rows columns"]:
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise InputError(f"{file}: expected grey values, found colours")
    try:
        stored = dataset.pixel_array
        values = pydicom.pixels.apply_rescale(stored, dataset).astype(np.float32)
    except Exception as error:  # The decoders raise errors of many kinds.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file}: expected pixels that can be decoded, found {reason}") from error
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        values = values.max() + values.min() - values
    return values.reshape(-1, *values.shape[-2:])
