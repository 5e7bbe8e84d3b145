"""Pickles of nested dictionaries of NumPy arrays, read without running anything that is in them."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jaxrecon.errors import InputError

_KINDS = "fiu"  # real numbers: no objects, no strings, no records


class _ArrayType:
    """Stands for `numpy.ndarray` where a pickle names it."""


class _Dtype:
    """Stands for a `numpy.dtype`: collects what a pickle says of it."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code
        self.order: object = "="

    def __setstate__(self, state: tuple) -> None:
        _, self.order, *_ = state

    def resolve(self) -> np.dtype:
        dtype = np.dtype(self.code) if isinstance(self.code, str) else np.dtype(object)
        if dtype.kind not in _KINDS or self.order not in ("<", ">", "=", "|"):
            raise ValueError(f"an array of {self.code!r}")
        return dtype.newbyteorder(self.order)


class _Array:
    """Stands for an array: collects what a pickle says of it."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def resolve(self) -> np.ndarray:
        _, shape, dtype, is_fortran, data = self.state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise ValueError("an array without plain data")
        flat = np.frombuffer(data, dtype.resolve())
        return flat.reshape(shape, order="F" if is_fortran else "C").copy()


# All that a pickle of arrays names. None of NumPy's own functions is ever called with a pickle's
# arguments: its bytes are turned into arrays afterwards.
_ALLOWED: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]


def read_array_pickle(file: io.BufferedIOBase, name: str) -> dict[str, np.ndarray]:
    """Read a pickle of nested dictionaries of arrays, from a source that is not trusted.

    Args:
        file: the pickle.
        name: of the file, for messages.

    Returns:
        Arrays of real numbers by "/"-joined keys.

    Raises:
        InputError: it is damaged, or holds or names anything but dictionaries with strings as keys
            and arrays of numbers.
    """
    try:
        flat = dict(_arrays(_Unpickler(file).load(), Path()))
    except Exception as error:  # what a damaged pickle makes the unpickler raise is open-ended
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name}: expected a pickle of NumPy arrays only, found one that is not: {reason}"
        ) from None
    return flat


def _arrays(value: object, path: Path) -> list[tuple[str, np.ndarray]]:
    if isinstance(value, _Array):
        return [(path.as_posix(), value.resolve())]
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"it holds a {type(value).__name__} at {path}")
    return [entry for key, part in value.items() for entry in _arrays(part, path / key)]
