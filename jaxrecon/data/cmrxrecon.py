"""CMRxRecon 2023's layout: one MATLAB v7.3 file (HDF5) a cine or mapping series.

`MultiCoil/{Cine,Mapping}/{Training,Validation,Test}Set/{FullSample,AccFactor04,08,10}/P###/` holds
`cine_lax.mat`, `cine_sax.mat`, `T1map.mat`, `T2map.mat`. HDF5 sees MATLAB's axes in reverse:
`kspace_full` or `kspace_sub04` is (frames, positions, coils, ky, kx) of the fields `real` and
`imag`, ky being the phase encode; here a slice is (coils, height = kx, width = ky). Undersampled
files have their mask, `mask04` (ky, kx), in `*_mask.mat` beside them.

References:
    Wang et al., CMRxRecon: A publicly available k-space dataset and benchmark to advance deep
    learning for cardiac MRI, Scientific Data 11, 2024, doi:10.1038/s41597-024-03525-4
"""

import re
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from jaxrecon.data import hdf5
from jaxrecon.data.target import rss_target
from jaxrecon.data.volume import RawSlice, Volume, check_index, check_slice
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import ACQUIRED, SamplingMask

ACS_COLUMNS = 24
"""Central columns that every mask of the challenge samples."""

_MASK_SUFFIX = "_mask"
_SETS = ("TrainingSet", "ValidationSet", "TestSet")
# MATLAB drops trailing axes of one element, which are HDF5's leading ones.
_RANKS = (3, 4, 5)
_COMPLEX = np.dtype([("real", np.float32), ("imag", np.float32)])


def find_files(root: Path) -> list[Path]:
    """The `.mat` files with k-space at or below `root`, sorted.

    Fully sampled and undersampled files of one scan lie side by side in a whole data set.
    Undersampled ones are listed only if `root` has no fully sampled ones.

    Args:
        root: any level of the tree: `MultiCoil`, one set's `FullSample`, one patient's folder, or
            one file.
    """
    if root.is_file():
        return [root]
    files = [path for path in sorted(root.rglob("*.mat")) if not path.stem.endswith(_MASK_SUFFIX)]
    full = [path for path in files if not _accelerated(path)]
    return full or files


def inspect(path: Path, root: Path) -> Volume:
    """Describe a file from its metadata, without reading samples.

    Its name is its path below `root`, but at least `P###/file`. Patients are numbered anew in each
    set, so that the case is "TrainingSet/P001" where the file lies below a set's folder.

    Args:
        path: the file.
        root: the folder it was found in.

    Raises:
        InputError: the file or its mask cannot be read, or is not in this layout.
    """
    path = path.absolute()
    with hdf5.open_file(path) as file:
        kspace, acceleration = _find_kspace(file)
        frames, positions, coils, width, height = (1,) * (5 - len(kspace.shape)) + kspace.shape
        if acceleration:
            _read_mask(path, acceleration, (height, width))
    patient = path.parent.name
    sets = [part for part in path.parts if part in _SETS]
    below = path.relative_to(root.absolute()).parts if root.is_dir() else ()
    return Volume(
        path=str(path),
        layout="cmrxrecon",
        name="/".join(below) if len(below) > 1 else f"{patient}/{path.name}",
        case=f"{sets[-1]}/{patient}" if sets else patient,
        contrast=path.stem,
        slices=frames * positions,
        frames=frames,
        coils=coils,
        height=height,
        width=width,
        target_height=height,
        target_width=width,
        padding=(0, width),
        maximum=None,
        has_target=not acceleration,
        sampled=bool(acceleration),
    )


def read_slice(volume: Volume, index: int) -> RawSlice:
    """Read one frame of one position, `index` = frame * positions + position.

    The target is the root sum of squares of the coil images, whole; undersampled files have none.

    Raises:
        InputError: the slice does not exist, cannot be read, or is not finite and non-zero.
    """
    check_index(volume, index)
    path = Path(volume.path)
    with hdf5.open_file(path) as file:
        dataset, acceleration = _find_kspace(file)
        leading = divmod(index, volume.positions)[5 - len(dataset.shape) :]
        samples = hdf5.as_complex64(dataset[leading])
    kspace = np.ascontiguousarray(samples.swapaxes(-2, -1))
    if acceleration:
        mask = _read_mask(path, acceleration, (volume.height, volume.width))
        raw = RawSlice(kspace, None, mask)
    else:
        raw = RawSlice(kspace, rss_target(kspace), None)
    check_slice(volume, index, raw)
    return raw


def volume_maximum(volume: Volume) -> float:
    """Maximum of the target over all slices but the bad ones, reading one at a time.

    Raises:
        InputError: there is no target.
    """
    maximum = 0.0
    for index in range(volume.slices):
        if index in volume.bad_slices:
            continue
        target = read_slice(volume, index).target
        if target is None:
            raise InputError(f"{volume.path}: expected fully sampled k-space, found undersampled")
        maximum = max(maximum, float(target.max()))
    return maximum


def volume_path(
    root: Path, *, part: str, case: str, contrast: str, acceleration: int | None = None
) -> Path:
    """Where a file belongs below the folder that holds `MultiCoil`.

    Args:
        root: the folder that holds `MultiCoil`.
        part: "TrainingSet", "ValidationSet" or "TestSet".
        case: the patient, "P001".
        contrast: "cine_lax" or "cine_sax" (Cine), "T1map" or "T2map" (Mapping).
        acceleration: of an undersampled file; None for a fully sampled one.
    """
    modality = "Cine" if contrast.startswith("cine") else "Mapping"
    sampling = "FullSample" if acceleration is None else f"AccFactor{acceleration:02d}"
    return root / "MultiCoil" / modality / part / sampling / case / f"{contrast}.mat"


def write_volume(
    path: Path,
    kspace: Complex[np.ndarray, "frames positions coils height width"],
    *,
    mask: SamplingMask | None = None,
    comment: str = "",
) -> None:
    """Write a series as the challenge stores it, in chunks of one slice.

    Args:
        path: the file, such as `volume_path` gives.
        kspace: fully sampled k-space; stored in single precision.
        mask: undersamples the k-space; stored beside the file as `*_mask.mat`. Its nominal
            acceleration names the keys.
        comment: where the data come from, stored as the attribute `comment`.

    Raises:
        InputError: the mask does not fit the k-space.
    """
    frames, positions, coils, height, width = kspace.shape
    header = _matlab_header()
    key = "kspace_full"
    if mask is not None:
        if mask.pattern.shape[0] not in (1, height) or mask.pattern.shape[1] != width:
            raise InputError(
                f"{path}: expected a mask for k-space of {height} x {width}, "
                f"found one of the shape {mask.pattern.shape}"
            )
        suffix = f"{round(mask.acceleration):02d}"
        key = f"kspace_sub{suffix}"
        with hdf5.create_file(_mask_path(path), header) as file:
            pattern = np.broadcast_to(mask.pattern, (height, width)).T.astype(np.float64)
            variable = file.create_dataset(f"mask{suffix}", data=pattern)
            variable.attrs["MATLAB_class"] = np.bytes_("double")
    with hdf5.create_file(path, header) as file:
        if comment:
            file.attrs["comment"] = comment
        chunk = (coils, width, height)
        variable = file.create_dataset(
            key, (frames, positions, *chunk), _COMPLEX, chunks=(1, 1, *chunk)
        )
        variable.attrs["MATLAB_class"] = np.bytes_("single")
        for frame, position in np.ndindex(frames, positions):
            samples = kspace[frame, position]
            stored = np.empty(chunk, _COMPLEX)
            sampled = samples if mask is None else samples * mask.pattern
            stored["real"] = sampled.real.swapaxes(-2, -1)
            stored["imag"] = sampled.imag.swapaxes(-2, -1)
            variable[frame, position] = stored


def _find_kspace(file: h5py.File) -> tuple[h5py.Dataset, str]:
    """The k-space of a file and the digits that name its acceleration, none if fully sampled."""
    key = next((key for key in file if re.fullmatch(r"kspace_sub\d+", key)), "kspace_full")
    kspace = hdf5.require_dataset(file, key, _RANKS)
    hdf5.require_complex(kspace)
    return kspace, key.removeprefix("kspace_sub") if key != "kspace_full" else ""


def _accelerated(path: Path) -> bool:
    return any(part.startswith("AccFactor") for part in path.parts)


def _mask_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}{_MASK_SUFFIX}.mat")


def _read_mask(path: Path, acceleration: str, shape: tuple[int, int]) -> SamplingMask:
    mask_path = _mask_path(path)
    with hdf5.open_file(mask_path) as file:
        stored = hdf5.require_dataset(file, f"mask{acceleration}", (2,))
        pattern = np.asarray(stored[()]).T.astype(bool)
    if pattern.shape != shape or not pattern.any():
        raise InputError(
            f"{mask_path}: expected a mask of {shape[0]} x {shape[1]} that keeps something, "
            f"found {pattern.shape[0]} x {pattern.shape[1]} with {pattern.sum()} kept"
        )
    if (pattern == pattern[:1]).all():
        pattern = pattern[:1]
    return SamplingMask(pattern, ACS_COLUMNS, ACQUIRED, float(acceleration))


def _matlab_header() -> bytes:
    """The 512 bytes by which MATLAB knows a v7.3 file: text, version 2.0 and byte order."""
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
    header = text.ljust(116) + bytes(8) + (0x0200).to_bytes(2, "little") + b"IM"
    return header.ljust(512, b"\0")
