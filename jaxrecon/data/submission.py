"""Reconstructions in fastMRI's submission layout: one HDF5 file a volume.

Each file has the name of the file that was reconstructed and the data set `reconstruction` float32
(slices, height, width), so that fastMRI's own `evaluate.py` reads it beside the target files.

References:
    Zbontar et al., fastMRI: An Open Dataset and Benchmarks for Accelerated MRI, arXiv:1811.08839
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxrecon.data import hdf5
from jaxrecon.errors import InputError

DATA_SET = "reconstruction"


def submission_path(folder: Path, name: str) -> Path:
    """Where a file's reconstruction belongs.

    Args:
        folder: of the submission.
        name: of the reconstructed file, as the data set lists it; "P001/cine_sax.mat" becomes
            `P001/cine_sax.h5`.
    """
    return folder / PurePosixPath(name).with_suffix(".h5")


def write_submission(
    path: Path,
    images: Float32[np.ndarray, "slices height width"],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write the reconstruction of one file; it is never seen half-written.

    Args:
        path: see `submission_path`.
        images: magnitude images in the scale of the k-space, one per slice.
        attributes: stored with the file; fastMRI's evaluation reads none.
    """
    with hdf5.create_file(path) as file:
        file[DATA_SET] = images
        file.attrs.update(attributes or {})


def read_submission(path: Path) -> Float32[np.ndarray, "slices height width"]:
    """Read the reconstruction of one file.

    Raises:
        InputError: the file cannot be read, or is not in this layout.
    """
    with hdf5.open_file(path) as file:
        images = hdf5.require_dataset(file, DATA_SET, (3,))
        if not np.issubdtype(images.dtype, np.floating):
            raise InputError(f"{path}: expected real numbers in {DATA_SET!r}, found {images.dtype}")
        return images[()].astype(np.float32, copy=False)
