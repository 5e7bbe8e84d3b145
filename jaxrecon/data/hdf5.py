"""Opening, checking and writing the HDF5 files that k-space comes in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex64, Shaped

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; every failure to read it, now or inside the block, is an InputError.

    Files are opened for one read and closed again: h5py keeps the chunk caches of open files.

    Raises:
        InputError: the file is missing, empty, truncated, damaged or not HDF5.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: expected an HDF5 file, found an empty file")
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        message = f"{path}: expected a complete HDF5 file, found one that cannot be read: {reason}"
        raise InputError(message) from error


def require_dataset(file: h5py.File, key: str, ranks: tuple[int, ...]) -> h5py.Dataset:
    """The data set `key`, whose number of axes must be one of `ranks` and whose axes not empty.

    Raises:
        InputError: it is missing, not a data set, of another rank, or one of its axes is empty.
    """
    found = file.get(key)
    if not isinstance(found, h5py.Dataset):
        keys = ", ".join(sorted(file.keys())) or "none"
        raise InputError(f"{file.filename}: expected the data set {key!r}, found {keys}")
    if len(found.shape or ()) not in ranks:
        expected = " or ".join(map(str, ranks))
        raise InputError(
            f"{file.filename}: expected {key!r} with {expected} axes, found the shape {found.shape}"
        )
    if 0 in found.shape:
        raise InputError(
            f"{file.filename}: expected {key!r} to hold data, found the shape {found.shape}"
        )
    return found


def require_complex(dataset: h5py.Dataset) -> None:
    """Check that a data set holds complex numbers, as h5py or as MATLAB stores them.

    Raises:
        InputError: its numbers are not complex.
    """
    if not (np.issubdtype(dataset.dtype, np.complexfloating) or _is_compound(dataset.dtype)):
        raise InputError(
            f"{dataset.file.filename}: expected complex numbers in {dataset.name[1:]!r}, "
            f"found {dataset.dtype}"
        )


def as_complex64(
    samples: Shaped[np.ndarray, "*shape"],
) -> Complex64[np.ndarray, "*shape"]:
    """Samples as complex64, from any complex type or MATLAB's compound of `real` and `imag`."""
    if not _is_compound(samples.dtype):
        return samples.astype(np.complex64, copy=False)
    single = np.dtype([("real", np.float32), ("imag", np.float32)])
    return np.ascontiguousarray(samples, single).view(np.complex64)


def _is_compound(dtype: np.dtype) -> bool:
    return dtype.names == ("real", "imag") and all(
        np.issubdtype(dtype[name], np.floating) for name in dtype.names
    )


@contextmanager
def create_file(path: Path, user_block: bytes = b"") -> Iterator[h5py.File]:
    """Write a file under a temporary name beside `path` and move it there when it is complete.

    Args:
        path: the file; its folder is made if need be.
        user_block: bytes in front of the HDF5 data, 0 or a power of two of at least 512.

    Yields:
        The open file.
    """
    with unfinished(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=len(user_block)) as file:
            yield file
        if user_block:
            with temporary.open("r+b") as raw:
                raw.write(user_block)
