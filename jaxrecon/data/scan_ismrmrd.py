"""A scan from an ISMRMRD file: single readouts of raw data, put in their places in k-space.

Cartesian scans, 2-D slices or 3-D. Readouts are placed by their encoding counters and centre
sample, so that partial Fourier and asymmetric echoes lie off centre as they were acquired; readout
oversampling stays in k-space and is cut from the image. Averages are averaged; contrasts, cardiac
phases, repetitions and sets become frames. Noise is not prewhitened.

References:
    Inati et al., ISMRM Raw Data Format, Magn. Reson. Med. 77(1), 2017, doi:10.1002/mrm.26089
"""

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Complex64, Float64, Int

from jaxrecon.data import hdf5
from jaxrecon.data.acquired_sampling import sampling_of
from jaxrecon.data.hybrid_space import slices_of_volume
from jaxrecon.data.scan import Geometry, Scan, check_samples, choose_slices
from jaxrecon.errors import InputError

_CHUNK = 1000
_FRAME_COUNTERS = ("contrast", "phase", "repetition", "set")
_NOT_IMAGING = (
    "ACQ_IS_NOISE_MEASUREMENT",
    "ACQ_IS_NAVIGATION_DATA",
    "ACQ_IS_PHASECORR_DATA",
    "ACQ_IS_HPFEEDBACK_DATA",
    "ACQ_IS_DUMMYSCAN_DATA",
    "ACQ_IS_RTFEEDBACK_DATA",
    "ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA",
    "ACQ_IS_PHASE_STABILIZATION_REFERENCE",
    "ACQ_IS_PHASE_STABILIZATION",
)


@dataclasses.dataclass(frozen=True)
class _Encoding:
    """What the XML header says of the encoding; sizes along readout, phase and slice or depth."""

    matrix: tuple[int, int, int]
    field_of_view: tuple[float, float, float]
    image_field_of_view: tuple[float, float, float]
    centers: tuple[int, int]
    calibration_is_apart: bool


def is_ismrmrd(file: h5py.File) -> str | None:
    """Name of the group with raw data, None where there is none."""
    for name, group in file.items():
        if isinstance(group, h5py.Group) and "xml" in group and "data" in group:
            return name
    return None


def read(path: Path, slices: str) -> Scan:
    """Read raw data.

    Args:
        path: the file.
        slices: see `jaxrecon.data.scan.choose_slices`.

    Raises:
        InputError: the package `ismrmrd` is not installed; the file cannot be read, holds images
            instead of raw data, another trajectory than a Cartesian one, readouts of different
            coils or outside the encoded matrix; or a slice is missing.
    """
    ismrmrd = _package(path)
    with hdf5.open_file(path) as file:
        name = is_ismrmrd(file)
        if name is None:
            keys = ", ".join(file) or "none"
            raise InputError(f"{path}: expected a group with 'xml' and 'data', found {keys}")
        container = ismrmrd.file.Container(file[name])
        if not container.has_acquisitions():
            raise InputError(f"{path}: expected raw data in {name!r}, found images")
        encoding = _encoding(path, file[name]["xml"][0])
        readouts, left_out = _imaging_readouts(path, container, encoding, ismrmrd)
    return _scan(path, encoding, readouts, left_out, slices)


def _package(path: Path) -> ModuleType:
    try:
        return importlib.import_module("ismrmrd")
    except ImportError:
        raise InputError(
            f"{path}: expected the package ismrmrd, found none; "
            "pip install 'jaxrecon[medical]' installs it"
        ) from None


def _encoding(path: Path, xml: bytes | str) -> _Encoding:
    schema = importlib.import_module("ismrmrd.xsd")
    parsers = importlib.import_module("xsdata.formats.dataclass.parsers")
    config = importlib.import_module("xsdata.formats.dataclass.parsers.config")
    # Vendors add elements of their own, which the package's own parser refuses.
    parser = parsers.XmlParser(config=config.ParserConfig(fail_on_unknown_properties=False))
    try:
        text = xml.encode() if isinstance(xml, str) else xml
        first: Any = parser.from_bytes(text, schema.ismrmrdHeader).encoding[0]
        encoded, recon = first.encodedSpace, first.reconSpace
        matrix = (encoded.matrixSize.x, encoded.matrixSize.y, encoded.matrixSize.z)
        fields = [
            (float(field.x), float(field.y), float(field.z))
            for field in (encoded.fieldOfView_mm, recon.fieldOfView_mm)
        ]
    except Exception as error:  # The parser lets through whatever its parts raise.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: expected an ISMRMRD header, found {reason}") from None
    trajectory = getattr(first.trajectory, "value", first.trajectory)
    if trajectory != "cartesian":
        raise InputError(f"{path}: expected a Cartesian trajectory, found {trajectory}")
    if min(matrix) < 1 or min(fields[0]) <= 0:
        raise InputError(f"{path}: expected a positive encoded matrix, found {matrix}")
    centers = []
    for name, size in (
        ("kspace_encoding_step_1", matrix[1]),
        ("kspace_encoding_step_2", matrix[2]),
    ):
        limits = getattr(first.encodingLimits, name, None)
        centers.append(size // 2 if limits is None else limits.center)
    parallel = first.parallelImaging
    mode = parallel and parallel.calibrationMode and parallel.calibrationMode.value
    return _Encoding(
        matrix,
        fields[0],
        fields[1],
        (centers[0], centers[1]),
        calibration_is_apart=mode in ("separate", "external", "other"),
    )


def _imaging_readouts(
    path: Path, container: Any, encoding: _Encoding, ismrmrd: ModuleType
) -> tuple[list[Any], int]:
    """The readouts that belong to the image, and how many others there are."""
    other = [getattr(ismrmrd, name) for name in _NOT_IMAGING]
    calibration = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION
    both = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
    kept = []
    count = len(container.acquisitions)
    for start in range(0, count, _CHUNK):
        try:
            chunk = container.acquisitions[start : start + _CHUNK]
        except (ValueError, KeyError) as error:
            raise InputError(f"{path}: expected whole readouts, found {error}") from None
        for readout in chunk:
            is_calibration = readout.is_flag_set(calibration) and not readout.is_flag_set(both)
            if (
                readout.encoding_space_ref != 0
                or any(readout.is_flag_set(flag) for flag in other)
                or (is_calibration and encoding.calibration_is_apart)
            ):
                continue
            if readout.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
                raise InputError(
                    f"{path}: expected readouts of one direction, found reversed ones, as of EPI"
                )
            kept.append(readout)
    if not kept:
        raise InputError(f"{path}: expected readouts of an image, found none of {count}")
    coils = sorted({readout.active_channels for readout in kept})
    if len(coils) > 1:
        raise InputError(
            f"{path}: expected one number of coils, found {', '.join(map(str, coils))}"
        )
    return kept, count - len(kept)


def _scan(path: Path, encoding: _Encoding, readouts: list[Any], left_out: int, slices: str) -> Scan:
    # Counters may have gaps: `unique` numbers those in use from 0.
    frame_counters = [[getattr(r.idx, name) for name in _FRAME_COUNTERS] for r in readouts]
    frames, frame = np.unique(frame_counters, axis=0, return_inverse=True)
    positions, position = np.unique([r.idx.slice for r in readouts], return_inverse=True)
    place = frame.reshape(-1) * len(positions) + position
    count = len(frames) * len(positions)
    remarks = []
    if left_out:
        remarks.append(f"{left_out} readouts of noise, navigators or separate calibration left out")
    averages = len({readout.idx.average for readout in readouts})
    if averages > 1:
        remarks.append(f"mean of {averages} averages")

    image_sizes = [
        min(size, max(1, round(size * image / field)))
        for size, field, image in zip(
            encoding.matrix, encoding.field_of_view, encoding.image_field_of_view, strict=True
        )
    ]
    if encoding.matrix[2] > 1:
        if count > 1:
            raise InputError(
                f"{path}: expected one volume of a 3-D scan, found {len(frames)} frames of "
                f"{len(positions)} slabs"
            )
        samples, sampled = _place(path, encoding, readouts)
        kspace, pattern, axis = slices_of_volume(samples, np.any(sampled, axis=0))
        remarks.append(f"3-D scan: slices along the {axis}")
        along, rows, columns = (2, 0, 1) if axis == "depth" else (0, 1, 2)
        count = image_sizes[along]
        first = (encoding.matrix[along] - count) // 2
        indices = choose_slices(slices, count, path)
        kspace = kspace[[first + index for index in indices]]
        patterns = np.broadcast_to(pattern, (len(indices), *pattern.shape))
        geometry = _volume_geometry(encoding, readouts[0], (rows, columns, along), first)
    else:
        rows, columns = 0, 1
        indices = choose_slices(slices, count, path)
        members: dict[int, list[Any]] = {index: [] for index in indices}
        for readout, index in zip(readouts, place.tolist(), strict=True):
            if index in members:
                members[index].append(readout)
        for index in indices:
            if not members[index]:
                raise InputError(f"{path}: expected readouts of slice {index}, found none")
        placed = [_place(path, encoding, members[index]) for index in indices]
        kspace = np.stack([samples[..., 0] for samples, _ in placed])
        patterns = np.stack([sampled[..., 0] for _, sampled in placed])
        geometry = _slice_geometry(encoding, [readouts[n] for n in _first_of_each(position)])
    check_samples(path, kspace, indices)
    masks, acquired = sampling_of(patterns)
    return Scan(
        path=path,
        name=path.name,
        kspace=np.ascontiguousarray(kspace),
        masks=masks,
        columns=acquired,
        image_shape=(image_sizes[rows], image_sizes[columns]),
        indices=indices,
        slices_in_file=count,
        frames=len(frames),
        geometry=geometry,
        remarks=tuple(remarks),
    )


def _first_of_each(numbers: Int[np.ndarray, " readouts"]) -> list[int]:
    return np.unique(numbers, return_index=True)[1].tolist()


def _place(
    path: Path, encoding: _Encoding, readouts: list[Any]
) -> tuple[
    Complex64[np.ndarray, "coils readout width depth"], Bool[np.ndarray, "readout width depth"]
]:
    """Mean k-space of readouts at their places, and which places were sampled."""
    size, width, depth = encoding.matrix
    kspace = np.zeros((readouts[0].active_channels, size, width, depth), np.complex64)
    times = np.zeros((size, width, depth), np.int32)
    for readout in readouts:
        kept = slice(readout.discard_pre, readout.number_of_samples - readout.discard_post)
        shift = size // 2 - readout.center_sample
        first, last = kept.start + shift, kept.stop + shift
        column = readout.idx.kspace_encode_step_1 - encoding.centers[0] + width // 2
        plane = readout.idx.kspace_encode_step_2 - encoding.centers[1] + depth // 2
        if not (0 <= first < last <= size and 0 <= column < width and 0 <= plane < depth):
            raise InputError(
                f"{path}: expected readouts inside the encoded matrix {size} x {width} x {depth}, "
                f"found one at samples {first} to {last - 1}, column {column}, plane {plane}"
            )
        kspace[:, first:last, column, plane] += readout.data[:, kept]
        times[first:last, column, plane] += 1
    return kspace / np.maximum(times, 1).astype(np.float32), times > 0


def _slice_geometry(encoding: _Encoding, readouts: list[Any]) -> Geometry:
    """Geometry of 2-D slices, from one readout of each position."""
    rows, columns, thickness = _voxel(encoding)
    centers = np.array([list(readout.position) for readout in readouts], np.float64)
    directions = _directions(readouts[0])
    if directions is None:
        return Geometry((rows, columns, thickness))
    step = directions[:, 2] * thickness
    if len(centers) > 1:
        step = (centers[-1] - centers[0]) / (len(centers) - 1)
        expected = centers[0] + np.arange(len(centers))[:, None] * step
        length = float(np.linalg.norm(step))
        if length == 0 or np.abs(centers - expected).max() > 0.01 * length:
            return Geometry((rows, columns, thickness))
        thickness = length
    return Geometry(
        (rows, columns, thickness),
        _affine(directions[:, 0] * rows, directions[:, 1] * columns, step, centers[0]),
    )


def _volume_geometry(
    encoding: _Encoding, readout: Any, axes: tuple[int, int, int], first: int
) -> Geometry:
    """Geometry of a 3-D scan whose rows, columns and slices run along these encoded axes."""
    voxel = _voxel(encoding)
    sizes = (voxel[axes[0]], voxel[axes[1]], voxel[axes[2]])
    directions = _directions(readout)
    if directions is None:
        return Geometry(sizes)
    row, column, step = (directions[:, axis] * voxel[axis] for axis in axes)
    center = np.array(list(readout.position), np.float64)
    origin = center + (first - encoding.matrix[axes[2]] // 2) * step
    return Geometry(sizes, _affine(row, column, step, origin))


def _voxel(encoding: _Encoding) -> tuple[float, float, float]:
    sizes = [a / b for a, b in zip(encoding.field_of_view, encoding.matrix, strict=True)]
    return sizes[0], sizes[1], sizes[2]


def _directions(readout: Any) -> Float64[np.ndarray, "3 3"] | None:
    """Unit vectors of readout, phase and slice as columns; None where the file has none."""
    columns = [list(readout.read_dir), list(readout.phase_dir), list(readout.slice_dir)]
    directions = np.array(columns, np.float64).T
    is_complete = np.allclose(directions.T @ directions, np.eye(3), atol=1e-3)
    return directions if is_complete else None


def _affine(
    row: Float64[np.ndarray, " 3"],
    column: Float64[np.ndarray, " 3"],
    step: Float64[np.ndarray, " 3"],
    origin: Float64[np.ndarray, " 3"],
) -> Float64[np.ndarray, "4 4"]:
    affine = np.eye(4)
    affine[:3] = np.stack([row, column, step, origin], axis=1)
    # ISMRMRD's patient coordinates run to the left and posterior.
    affine[:2] *= -1
    return affine
