"""fastMRI's layout: one HDF5 file a volume, with the image the network is to reach.

`kspace` is complex64 (slices, coils, height, width), or (slices, height, width) of a single coil;
the target is `reconstruction_rss` or, of a single coil, `reconstruction_esc` (slices, rows,
columns). Test files store undersampled k-space, its `mask` (width,) and no target. The XML of
`ismrmrd_header` tells the matrix sizes and which columns were acquired.

References:
    Zbontar et al., fastMRI: An Open Dataset and Benchmarks for Accelerated MRI, arXiv:1811.08839
"""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex, Float

from jaxrecon.data import hdf5, ismrmrd_header
from jaxrecon.data.acquired_sampling import central_run
from jaxrecon.data.target import rss_target
from jaxrecon.data.volume import RawSlice, Volume, check_index, check_slice
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.sampling import ACQUIRED, SamplingMask

_HEADER = "ismrmrd_header"


def find_files(root: Path) -> list[Path]:
    """All `.h5` files at or below `root`, sorted."""
    return [root] if root.is_file() else sorted(root.rglob("*.h5"))


def inspect(path: Path, root: Path) -> Volume:  # noqa: ARG001 (names do not depend on the root)
    """Describe a file from its metadata, without reading samples.

    Files made by others may lack the header: then all columns count as acquired, and a computed
    target has the size of the k-space.

    Args:
        path: the file.
        root: the folder it was found in; not used, since the file name alone seeds fastMRI's
            masks.

    Raises:
        InputError: the file cannot be read, or is not in this layout.
    """
    with hdf5.open_file(path) as file:
        kspace = hdf5.require_dataset(file, "kspace", (3, 4))
        hdf5.require_complex(kspace)
        slices, *coils, height, width = kspace.shape
        padding, target_shape = (0, width), (height, width)
        if _HEADER in file:
            header = ismrmrd_header.read(path, file[_HEADER][()], width)
            padding = header.padding
            target_shape = (min(header.recon_rows, height), min(header.recon_columns, width))
        target = _target_dataset(file, kspace)
        if target is not None:
            target_shape = target.shape[1:]
        sampled = "mask" in file
        if sampled:
            _read_mask(file, width)
        maximum = float(file.attrs.get("max", 0.0))
        return Volume(
            path=str(path.absolute()),
            layout="fastmri",
            name=path.name,
            case=_text(file.attrs.get("patient_id", "")) or path.stem,
            contrast=_text(file.attrs.get("acquisition", "")),
            slices=slices,
            frames=1,
            coils=coils[0] if coils else 1,
            height=height,
            width=width,
            target_height=target_shape[0],
            target_width=target_shape[1],
            padding=padding,
            maximum=maximum if np.isfinite(maximum) and maximum > 0 else None,
            has_target=target is not None or not sampled,
            sampled=sampled,
        )


def read_slice(volume: Volume, index: int) -> RawSlice:
    """Read one slice: its k-space, its target (computed if only k-space is stored), its mask.

    Raises:
        InputError: the slice does not exist, cannot be read, or is not finite and non-zero.
    """
    check_index(volume, index)
    with hdf5.open_file(Path(volume.path)) as file:
        dataset = hdf5.require_dataset(file, "kspace", (3, 4))
        kspace = hdf5.as_complex64(dataset[index]).reshape(
            volume.coils, volume.height, volume.width
        )
        target_dataset = _target_dataset(file, dataset)
        target = None
        if target_dataset is not None:
            target = target_dataset[index].astype(np.float32)
        elif volume.has_target:
            target = center_crop(rss_target(kspace), volume.target_height, volume.target_width)
        mask = _read_mask(file, volume.width) if volume.sampled else None
    raw = RawSlice(kspace, target, mask)
    check_slice(volume, index, raw)
    return raw


def volume_maximum(volume: Volume) -> float:
    """Maximum of the target over all slices but the bad ones.

    Raises:
        InputError: there is no target.
    """
    targets = (
        read_slice(volume, index).target
        for index in range(volume.slices)
        if index not in volume.bad_slices
    )
    maxima = [float(target.max()) for target in targets if target is not None]
    if not maxima:
        raise InputError(f"{volume.path}: expected a target or fully sampled k-space, found none")
    return max(maxima)


def write_volume(
    path: Path,
    kspace: Complex[np.ndarray, "slices *coils height width"],
    *,
    target: Float[np.ndarray, "slices rows columns"] | None = None,
    crop_height: int | None = None,
    crop_width: int | None = None,
    contrast: str = "",
    case: str = "",
    comment: str = "",
    padding: tuple[int, int] | None = None,
    mask: SamplingMask | None = None,
) -> None:
    """Write a volume as fastMRI does, so that fastMRI's own reader takes it too.

    Args:
        path: the file, ending in `.h5`.
        kspace: (slices, coils, height, width), or (slices, height, width) of a single coil; stored
            as complex64.
        target: the target images; by default the root sum of squares of the k-space's coil images,
            cropped to `crop_height` by `crop_width`. With a `mask`, none is stored by default.
        crop_height: rows of the target, the header's reconstruction matrix; default all.
        crop_width: columns of the target; default all.
        contrast: stored as the attribute `acquisition`.
        case: the patient, stored as the attribute `patient_id`.
        comment: where the data come from, stored as the attribute `comment`.
        padding: first acquired column and last acquired column + 1; default all columns.
        mask: makes a test file: the k-space is stored undersampled by it, with the mask and the
            attributes `acceleration` and `num_low_frequency`.

    Raises:
        InputError: the mask does not fit the k-space.
    """
    kspace = kspace.astype(np.complex64, copy=False)
    height, width = kspace.shape[-2:]
    crop_height, crop_width = min(crop_height or height, height), min(crop_width or width, width)
    multicoil = kspace.ndim == 4
    if target is None and mask is None:
        coils = kspace if multicoil else kspace[:, None]
        target = center_crop(rss_target(coils), crop_height, crop_width)
    if mask is not None and mask.pattern.shape != (1, width):
        raise InputError(
            f"{path}: expected a mask of the shape (1, {width}), found {mask.pattern.shape}"
        )
    recon = (crop_height, crop_width) if target is None else target.shape[1:]
    with hdf5.create_file(path) as file:
        file["kspace"] = kspace if mask is None else kspace * mask.pattern
        file[_HEADER] = ismrmrd_header.write((height, width), recon, padding or (0, width))
        file.attrs["acquisition"] = contrast
        file.attrs["patient_id"] = case or path.stem
        if comment:
            file.attrs["comment"] = comment
        if target is not None:
            target = target.astype(np.float32)
            file["reconstruction_rss" if multicoil else "reconstruction_esc"] = target
            file.attrs["max"] = float(target.max())
            file.attrs["norm"] = float(np.linalg.norm(target))
        if mask is not None:
            file["mask"] = mask.pattern[0]
            file.attrs["acceleration"] = mask.acceleration
            file.attrs["num_low_frequency"] = mask.acs


def _target_dataset(file: h5py.File, kspace: h5py.Dataset) -> h5py.Dataset | None:
    # Single-coil files carry the multi-coil image beside their own: the k-space's rank decides.
    key = "reconstruction_rss" if len(kspace.shape) == 4 else "reconstruction_esc"
    if key not in file:
        return None
    target = hdf5.require_dataset(file, key, (3,))
    if len(target) != len(kspace):
        raise InputError(
            f"{file.filename}: expected as many slices in {key!r} as in 'kspace', "
            f"{len(kspace)}, found {len(target)}"
        )
    return target


def _read_mask(file: h5py.File, width: int) -> SamplingMask:
    columns = np.asarray(hdf5.require_dataset(file, "mask", (1,))[()]).astype(bool)
    if columns.shape != (width,) or not columns.any():
        raise InputError(
            f"{file.filename}: expected 'mask' to choose from {width} columns, "
            f"found {columns.sum()} chosen of {columns.size}"
        )
    acs = int(file.attrs.get("num_low_frequency", central_run(columns)))
    acceleration = float(file.attrs.get("acceleration", columns.size / columns.sum()))
    return SamplingMask(columns[None], acs, ACQUIRED, acceleration)


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
