"""A scan from BART's pair of files `.hdr` (sizes, text) and `.cfl` (complex64, first axis fastest).

Axes of k-space are 0 readout, 1 and 2 phase encodes, 3 coils, 4 maps, 5 echoes, 10 and 11 time,
13 slices, 14 averages; the zero frequency lies at size // 2, as here.

References:
    Uecker et al., Berkeley Advanced Reconstruction Toolbox, Proc. ISMRM 23, 2015, 2486.
    https://mrirecon.github.io/bart/
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex64

from jaxrecon.data.acquired_sampling import find_pattern, sampling_of
from jaxrecon.data.hybrid_space import slices_of_volume
from jaxrecon.data.scan import Scan, check_samples, choose_slices
from jaxrecon.errors import InputError

_COILS, _SLICES = 3, 13
_FRAMES = (5, 10, 11)  # echoes and times
_ITEM = np.dtype("<c8").itemsize


def is_bart(path: Path) -> bool:
    """Whether a path is one of a pair, or their common name without a suffix."""
    if path.suffix in (".cfl", ".hdr"):
        return True
    return path.suffix == "" and _with_suffix(path, ".hdr").exists()


def read_array(path: Path) -> Complex64[np.ndarray, "..."]:
    """The array of a pair of files, axes in BART's order; mapped, not read.

    Args:
        path: either file, or their common name.

    Raises:
        InputError: a file is missing, the sizes are no sizes, or the data have another length.
    """
    stem = _stem(path)
    header, data = _with_suffix(stem, ".hdr"), _with_suffix(stem, ".cfl")
    shape = _dimensions(header)
    try:
        found = data.stat().st_size
    except OSError as error:
        raise InputError(f"{data}: expected BART's data, found {error.strerror}") from None
    expected = int(np.prod(shape)) * _ITEM
    if found != expected:
        sizes = " x ".join(map(str, shape))
        raise InputError(
            f"{data}: expected {expected} bytes, complex64 of {sizes} as {header.name} says, "
            f"found {found}"
        )
    return np.memmap(data, "<c8", mode="r", shape=shape, order="F")


def read(path: Path, slices: str) -> Scan:
    """Read k-space.

    A 2-D scan along axes 0 and 1, or 1 and 2 where axis 0 is 1. Of a 3-D scan one axis is taken
    to image space, see `jaxrecon.data.hybrid_space`. Axis 13 is slices; axes 5, 10 and 11 are
    frames.

    Args:
        path: either file, or their common name.
        slices: see `jaxrecon.data.scan.choose_slices`.

    Raises:
        InputError: a file cannot be read, other axes than these are longer than 1, or a slice is
            missing, not finite or all zero.
    """
    array = read_array(path)
    sizes = array.shape + (1,) * (16 - array.ndim)
    other = [
        f"{axis} (length {size})"
        for axis, size in enumerate(sizes)
        if size > 1 and axis not in (0, 1, 2, _COILS, _SLICES, *_FRAMES)
    ]
    if other:
        raise InputError(
            f"{path}: expected k-space along BART's axes 0 to 3, 5, 10, 11 and 13, found the axis "
            f"{', '.join(other)}"
        )
    ordered = array.reshape(sizes, order="F").transpose(
        *_FRAMES, _SLICES, _COILS, 0, 1, 2, *(4, 6, 7, 8, 9, 12, 14, 15)
    )
    frames = int(np.prod([sizes[axis] for axis in _FRAMES]))
    positions = sizes[_SLICES]
    volumes = ordered.reshape(frames * positions, *ordered.shape[4:8])
    if sizes[0] > 1 and sizes[2] > 1:
        return _volume(path, volumes, slices)
    planes = volumes[..., 0] if sizes[2] == 1 else volumes[:, :, 0]
    indices = choose_slices(slices, len(planes), path)
    kspace = np.ascontiguousarray(planes[list(indices)], np.complex64)
    patterns = np.stack([find_pattern(samples) for samples in kspace])
    return _scan(path, kspace, patterns, indices, len(planes), frames)


def _volume(
    path: Path, volumes: Complex64[np.ndarray, "volumes coils readout width depth"], slices: str
) -> Scan:
    if len(volumes) > 1:
        raise InputError(f"{path}: expected one volume of a 3-D scan, found {len(volumes)}")
    kspace = np.ascontiguousarray(volumes[0], np.complex64)
    pattern = (kspace != 0).any(axis=(0, 1))
    planes, sampled, axis = slices_of_volume(kspace, pattern)
    indices = choose_slices(slices, len(planes), path)
    patterns = np.broadcast_to(sampled, (len(indices), *sampled.shape))
    remark = f"3-D scan: slices along the {axis}"
    return _scan(path, planes[list(indices)], patterns, indices, len(planes), 1, remark)


def _scan(
    path: Path,
    kspace: Complex64[np.ndarray, "slices coils height width"],
    patterns: Bool[np.ndarray, "slices height width"],
    indices: tuple[int, ...],
    count: int,
    frames: int,
    *remarks: str,
) -> Scan:
    check_samples(path, kspace, indices)
    masks, columns = sampling_of(patterns)
    return Scan(
        path=_with_suffix(_stem(path), ".cfl"),
        name=_stem(path).name,
        kspace=kspace,
        masks=masks,
        columns=columns,
        image_shape=(kspace.shape[2], kspace.shape[3]),
        indices=indices,
        slices_in_file=count,
        frames=frames,
        remarks=(*remarks, "sampling found from the samples that are zero in every coil"),
    )


def _dimensions(header: Path) -> tuple[int, ...]:
    try:
        lines = [line.strip() for line in header.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{header}: expected BART's header, found {error}") from None
    numbers = next((line for line in lines if line and not line.startswith("#")), "")
    try:
        shape = tuple(int(number) for number in numbers.split())
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1 or len(shape) > 16:
        raise InputError(f"{header}: expected 1 to 16 positive sizes, found {numbers!r}")
    return shape


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in (".cfl", ".hdr") else path


def _with_suffix(path: Path, suffix: str) -> Path:
    # Not Path.with_suffix: a common name such as "scan.1" holds a point of its own.
    return path.with_name(path.name + suffix)
