"""Finished images as a source of simulated k-space: arrays, pictures, NIfTI, DICOM.

Also single-coil k-space, which the inverse Fourier transform turns into a complex image with its
real phase.
"""

import importlib
from pathlib import Path
from types import ModuleType
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Complex64, Float32, Shaped
from PIL import Image, UnidentifiedImageError
from scipy import fft

from jaxrecon.data import dicom
from jaxrecon.errors import InputError

Images = Float32[np.ndarray, "images rows columns"] | Complex64[np.ndarray, "images rows columns"]

KSPACE_KEY = "kspace"
"""The array of this name in an `.npz` file is single-coil k-space."""

_PICTURES = (".png", ".jpg", ".jpeg")


def load_images(path: Path, key: str = "", *, transpose: bool = False) -> Images:
    """Load images and scale them so that the brightest pixel of the set is 1.

    Args:
        path: `.npz`, `.npy`, `.nii`, `.nii.gz`, `.dcm`, `.png`, `.jpg`; or a folder of `.png` and
            `.jpg` files, in the order of their names, or of DICOM files, in their order in space
            and time. Arrays are (rows, columns) or (images, rows, columns); complex ones, and the
            one named "kspace" of an `.npz` file, give complex images.
        key: the array in an `.npz` file; needed only where it holds several.
        transpose: swap rows and columns, for data whose phase encoding runs along the rows.

    Returns:
        float32 magnitudes, or complex64 images with their own phase; (images, rows, columns).

    Raises:
        InputError: the source is missing, unreadable or of another kind; its images differ in
            size; values are negative, not finite or all zero; or a package that reads this kind
            of file is not installed.
    """
    if not path.exists():
        raise InputError(f"{path}: expected images, found no such file or folder")
    name = path.name.lower()
    if path.is_dir():
        images = _folder(path)
    elif name.endswith((".npz", ".npy")):
        images = _arrays(path, key)
    elif name.endswith((".nii", ".nii.gz")):
        images = _nifti(path)
    elif name.endswith(_PICTURES):
        images = _stack([path], [_picture(path)])
    elif name.endswith((".dcm", ".ima")):
        images = _dicom([path])
    else:
        raise InputError(
            f"{path}: expected .npz, .npy, .png, .jpg, .nii, .nii.gz, .dcm or a folder, "
            f"found {path.suffix or 'no suffix'}"
        )
    images = _checked(path, images)
    if transpose:
        images = images.swapaxes(-2, -1)
    return np.ascontiguousarray(images / np.abs(images).max())


def _checked(path: Path, images: Shaped[np.ndarray, "..."]) -> Images:
    if images.ndim == 2:
        images = images[None]
    if images.ndim != 3 or 0 in images.shape:
        raise InputError(
            f"{path}: expected images of the shape (rows, columns) or (images, rows, columns), "
            f"found {images.shape}"
        )
    if images.dtype.kind not in "biufc":
        raise InputError(f"{path}: expected numbers, found {images.dtype}")
    images = images.astype(np.complex64 if np.iscomplexobj(images) else np.float32)
    bad = [n for n, image in enumerate(images) if not np.isfinite(image).all()]
    if bad:
        raise InputError(f"{path}: expected finite values, found others in image {bad[0]}")
    if not np.iscomplexobj(images) and images.min() < 0:
        raise InputError(
            f"{path}: expected magnitudes of at least 0, found {images.min():g}; an image with "
            "signs or phase must be complex"
        )
    if not images.any():
        raise InputError(f"{path}: expected images, found only zeros")
    return images


def _arrays(path: Path, key: str) -> Shaped[np.ndarray, "..."]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if key:
                raise InputError(f"{path}: expected no key for a .npy file, found {key!r}")
            return loaded
        with loaded as arrays:
            names = sorted(arrays.files)
            if not key and len(names) != 1:
                raise InputError(
                    f"{path}: expected a key that chooses one of {', '.join(names) or 'no arrays'}"
                )
            key = key or names[0]
            if key not in names:
                raise InputError(f"{path}: expected the array {key!r}, found {', '.join(names)}")
            array = arrays[key]
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: expected arrays of numbers, found {_reason(error)}") from error
    if key != KSPACE_KEY:
        return array
    if not np.iscomplexobj(array) or array.ndim not in (2, 3):
        raise InputError(
            f"{path}: expected complex single-coil k-space of 2 or 3 axes in {key!r}, "
            f"found {array.dtype} of the shape {array.shape}"
        )
    axes = (-2, -1)
    shifted = fft.ifftshift(array, axes=axes)
    return fft.fftshift(fft.ifft2(shifted, norm="ortho", axes=axes), axes=axes)


def _folder(path: Path) -> Shaped[np.ndarray, "images rows columns"]:
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
    pictures = [file for file in files if file.suffix.lower() in _PICTURES]
    if pictures:
        return _stack(pictures, [_picture(file) for file in pictures])
    if not files:
        raise InputError(f"{path}: expected a folder of PNG, JPEG or DICOM files, found none")
    return _dicom(files)


def _stack(files: list[Path], images: list[np.ndarray]) -> np.ndarray:
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise InputError(
                f"{file}: expected {images[0].shape[0]} x {images[0].shape[1]} pixels as in "
                f"{files[0].name}, found {image.shape[0]} x {image.shape[1]}"
            )
    return np.stack(images)


def _picture(file: Path) -> Float32[np.ndarray, "rows columns"]:
    """Grey values of a picture; colours become their luminance."""
    try:
        with Image.open(file) as picture:
            grey = picture if picture.mode in ("L", "I;16", "I", "F") else picture.convert("L")
            return np.asarray(grey, dtype=np.float32)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise InputError(f"{file}: expected a picture, found {_reason(error)}") from error


def _nifti(path: Path) -> Shaped[np.ndarray, "images rows columns"]:
    """Axial slices at all times, the face up and the patient's right on the left."""
    nibabel = _medical(path, "nibabel")
    try:
        # The closest permutation and flips to right, anterior, superior.
        volume = nibabel.as_closest_canonical(nibabel.load(path))
        values = np.asarray(volume.dataobj)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path}: expected a NIfTI image, found {_reason(error)}") from error
    if values.ndim < 2 or values.dtype.kind not in "biufc":
        raise InputError(f"{path}: expected a NIfTI image of numbers, found {values.dtype}")
    columns, rows = values.shape[:2]
    slices = values.reshape(columns, rows, -1, order="F")[::-1, ::-1]
    return slices.transpose(2, 1, 0)


def _dicom(files: list[Path]) -> Float32[np.ndarray, "images rows columns"]:
    return dicom.read_series(files, _medical(files[0], "pydicom"))


def _medical(path: Path, package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{path}: expected the package {package}, found none; "
            "pip install 'jaxrecon[medical]' installs it"
        ) from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
