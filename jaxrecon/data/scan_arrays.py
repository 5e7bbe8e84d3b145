"""A scan from NumPy's `.npy` and `.npz`, and masks from there and from BART's files."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Shaped

from jaxrecon.data import scan_bart
from jaxrecon.data.acquired_sampling import acquired_mask, find_pattern, sampling_of
from jaxrecon.data.scan import Scan, check_samples, choose_slices
from jaxrecon.errors import InputError

_AXES = {"s": "slices", "c": "coils", "h": "height", "w": "width"}
_MOST_COILS = 64
"""An axis longer than this is not taken for the coils' where the order of axes is not given."""

_KSPACE, _MASK = "kspace", "mask"

Array = Shaped[np.ndarray, "..."]


def read(path: Path, slices: str, axes: str = "", key: str = "", mask_key: str = "") -> Scan:
    """Read k-space and, from an `.npz` file, its mask.

    Args:
        path: `.npy`, `.npz`.
        slices: see `jaxrecon.data.scan.choose_slices`.
        axes: order of the axes, such as "height,width,coils" or "h,w,c". By default
            (height, width), (coils, height, width) or (slices, coils, height, width), or with the
            coils last where only that axis is short enough.
        key: array of k-space in an `.npz` file; by default the one called "kspace", or the only
            one that can be k-space.
        mask_key: array of the mask; by default the one called "mask", if there is one. Without a
            mask it is found from the samples that are zero in every coil.

    Raises:
        InputError: the file cannot be read, holds no or several candidates, or axes or mask do
            not fit; or a slice is not finite or all zero.
    """
    arrays = _load(path)
    kspace = _as_complex(arrays[_find_key(path, arrays, key)])
    if kspace is None or kspace.ndim not in (2, 3, 4) or 0 in kspace.shape:
        found = arrays[_find_key(path, arrays, key)]
        raise InputError(
            f"{path}: expected complex k-space of 2 to 4 axes, found {found.dtype} of the shape "
            f"{found.shape}"
        )
    order = parse_axes(axes, kspace.ndim) if axes else _likely_axes(kspace.shape)
    ordered = _reorder(kspace, order)
    indices = choose_slices(slices, len(ordered), path)
    samples = np.ascontiguousarray(ordered[list(indices)], np.complex64)
    check_samples(path, samples, indices)
    height, width = samples.shape[2:]
    remarks = ["axes " + ", ".join(_AXES[letter] for letter in order)]

    mask_key = mask_key or (_MASK if _MASK in arrays else "")
    if mask_key:
        if mask_key not in arrays:
            raise InputError(f"{path}: expected the array {mask_key!r}, found {_listing(arrays)}")
        pattern = _pattern(path, arrays[mask_key], height, width, order)
        masks = None if pattern.all() else (acquired_mask(pattern, height),) * len(samples)
        columns = (0, width)
        samples = np.where(pattern, samples, 0)
        remarks.append(f"sampling from the array {mask_key!r}")
    else:
        found = np.stack([find_pattern(each) for each in samples])
        masks, columns = sampling_of(found)
        remarks.append("sampling found from the samples that are zero in every coil")
    return Scan(
        path=path,
        name=path.name,
        kspace=samples,
        masks=masks,
        columns=columns,
        image_shape=(height, width),
        indices=indices,
        slices_in_file=len(ordered),
        remarks=tuple(remarks),
    )


def read_mask(path: Path, height: int, width: int) -> Bool[np.ndarray, "rows width"]:
    """A sampling mask from `.npy`, `.npz` (its only array, or the one called "mask") or `.cfl`.

    Args:
        path: the file; holds bool, or numbers that are 0 or 1, of the shape (width,), (1, width)
            or (height, width).
        height: rows of k-space.
        width: columns of k-space.

    Raises:
        InputError: the file cannot be read, the mask has another shape, or it keeps nothing.
    """
    if scan_bart.is_bart(path):
        array = np.asarray(scan_bart.read_array(path)).real.squeeze()
    else:
        arrays = _load(path)
        if len(arrays) > 1 and _MASK not in arrays:
            raise InputError(
                f"{path}: expected one array or one called 'mask', found {_listing(arrays)}"
            )
        array = arrays[_MASK] if _MASK in arrays else next(iter(arrays.values()))
    return _pattern(path, array, height, width, "hw")


def parse_axes(text: str, count: int) -> str:
    """The order of axes as letters: "chw" for "coils,height,width".

    Args:
        text: names of the axes or their first letters, separated by commas.
        count: axes of the array.

    Raises:
        InputError: the text names other axes, an axis twice, lacks height or width, or names more
            or fewer than there are.
    """
    names = [name.strip().lower() for name in text.split(",")]
    letters = [name[:1] for name in names]
    is_known = all(
        letter in _AXES and name in (letter, _AXES[letter])
        for name, letter in zip(names, letters, strict=True)
    )
    if not is_known or len(set(letters)) != len(letters) or not {"h", "w"} <= set(letters):
        raise InputError(
            "axes: expected height and width and, where there are any, slices and coils, such as "
            f"height,width,coils, found {text!r}"
        )
    if len(letters) != count:
        raise InputError(f"axes: expected {count} axes as the array has, found {text!r}")
    return "".join(letters)


def _likely_axes(shape: tuple[int, ...]) -> str:
    default = {2: "hw", 3: "chw", 4: "schw"}[len(shape)]
    if len(shape) > 2 and shape[-3] > _MOST_COILS >= shape[-1]:
        return {3: "hwc", 4: "shwc"}[len(shape)]
    return default


def _reorder(
    kspace: Shaped[np.ndarray, "..."], order: str
) -> Shaped[np.ndarray, "slices coils height width"]:
    absent = [letter for letter in "sc" if letter not in order]
    expanded = kspace.reshape((1,) * len(absent) + kspace.shape)
    letters = "".join(absent) + order
    return expanded.transpose([letters.index(letter) for letter in "schw"])


def _load(path: Path) -> dict[str, Array]:
    """The arrays of a file by name; the one of an `.npy` file is called "array"."""
    try:
        if path.suffix.lower() == ".npy":
            return {"array": np.lib.format.open_memmap(path, mode="r")}
        # Given a path, NumPy leaves a damaged file open.
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"array": loaded}
            with loaded as file:
                arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: expected arrays of numbers, found {reason}") from None
    if not arrays:
        raise InputError(f"{path}: expected arrays of numbers, found none")
    return arrays


def _find_key(path: Path, arrays: dict[str, Array], key: str) -> str:
    if key:
        if key not in arrays:
            raise InputError(f"{path}: expected the array {key!r}, found {_listing(arrays)}")
        return key
    if len(arrays) == 1:
        return next(iter(arrays))
    if _KSPACE in arrays:
        return _KSPACE
    candidates = [
        name for name, array in arrays.items() if np.iscomplexobj(array) and array.ndim in (2, 3, 4)
    ]
    if len(candidates) == 1:
        return candidates[0]
    raise InputError(
        f"{path}: expected one array of complex k-space, or one called 'kspace', found "
        f"{_listing(arrays)}: choose one with --key"
    )


def _listing(arrays: dict[str, Array]) -> str:
    return ", ".join(
        f"{name} ({array.dtype} {'x'.join(map(str, array.shape))})"
        for name, array in sorted(arrays.items())
    )


def _as_complex(array: Array) -> Array | None:
    """Complex numbers as they are, or from a last axis of real and imaginary parts."""
    if np.iscomplexobj(array):
        return array
    is_float = np.issubdtype(array.dtype, np.floating)
    if is_float and array.ndim in (3, 4, 5) and array.shape[-1] == 2:
        pair = np.ascontiguousarray(array, np.float32)
        return pair.view(np.complex64)[..., 0]
    return None


def _pattern(
    path: Path, array: Array, height: int, width: int, order: str
) -> Bool[np.ndarray, "rows width"]:
    values = np.asarray(array)
    if values.ndim == 1:
        values = values[None]
    elif values.ndim == 2 and order.index("w") < order.index("h"):
        values = values.T  # In the order of the k-space beside it.
    if values.ndim != 2 or values.shape[0] not in (1, height) or values.shape[1] != width:
        raise InputError(
            f"{path}: expected a mask of the shape ({width},), (1, {width}) or "
            f"({height}, {width}), found {array.shape}"
        )
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise InputError(f"{path}: expected a mask of zeros and ones, found other values")
    if not values.any():
        raise InputError(f"{path}: expected a mask that keeps something, found only zeros")
    return values.astype(bool)
