"""The tensors of a checkpoint, read one at a time.

Files are mapped into memory and not read: a checkpoint of many gigabytes takes the memory of the
tensor that is being looked at.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from jaxrecon.errors import InputError
from weight_conversion.sources import Checkpoint, load_pickle

# A mapped file's pages count as the process's memory once they are touched, until the mapping ends.
_LARGEST_TOUCHED = 2**26

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes:
        shape: its shape.
        read: gives it, in the precision it is stored in, as a view of the mapped file. The view is
            to be let go before the next tensor is read.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def rows(self, start: int, stop: int) -> "StoredTensor":
        """The part from index `start` to before `stop` of the first axis."""
        return StoredTensor((stop - start, *self.shape[1:]), lambda: self.read()[start:stop])


def stored_tensors(checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint by key.

    Args:
        checkpoint: `.safetensors` files, or torch's pickles as torch has written them since 1.6,
            read with `weights_only=True`.

    Raises:
        InputError: a file is missing, truncated or of another kind, torch is needed and absent, or
            two shards hold the same key. Reading a tensor raises it where it does not hold
            floating-point numbers.
    """
    tensors: dict[str, StoredTensor] = {}
    pickles = _Pickles()
    for path in checkpoint.files:
        shard = _safetensors(path) if path.suffix == ".safetensors" else pickles.tensors(path)
        twice = sorted(tensors.keys() & shard.keys())
        if twice:
            raise InputError(f"{path}: expected each key in one shard, found {twice[0]} again")
        tensors |= shard
    return tensors


def _safetensors(path: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(path, framework="numpy"):  # sees that the header and the file's size agree
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    header.pop("__metadata__", None)

    def stored(key: str, entry: dict[str, Any]) -> StoredTensor:
        shape = tuple(entry["shape"])

        def read() -> np.ndarray:
            dtype = _DTYPES.get(entry["dtype"])
            if dtype is None:
                raise _not_floating(path, key, entry["dtype"])
            return np.memmap(path, dtype, "r", 8 + length + entry["data_offsets"][0], shape)

        return StoredTensor(shape, read)

    return {key: stored(key, entry) for key, entry in header.items()}


class _Pickles:
    """Torch pickles, of which one is mapped at a time and not much more of it touched than read."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._tensors: dict[str, Any] = {}
        self._touched = 0

    def tensors(self, path: Path) -> dict[str, StoredTensor]:
        """The tensors of a file by key."""
        self._map(path)
        return {
            key: StoredTensor(tuple(tensor.shape), functools.partial(self._read, path, key))
            for key, tensor in self._tensors.items()
        }

    def _map(self, path: Path) -> None:
        self._tensors = {}  # ends the mapping there was
        self._path, self._tensors, self._touched = path, load_pickle(path, mmap=True), 0

    def _read(self, path: Path, key: str) -> np.ndarray:
        import torch

        if self._path != path:
            self._map(path)
        size = self._tensors[key].nbytes
        if self._touched and self._touched + size > _LARGEST_TOUCHED:
            self._map(path)
        self._touched += size
        tensor = self._tensors[key].detach()
        if not tensor.is_floating_point():
            raise _not_floating(path, key, str(tensor.dtype))
        if tensor.dtype == torch.bfloat16:  # which torch does not give to NumPy
            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return np.asarray(tensor.numpy())


def _not_floating(path: Path, key: str, dtype: str) -> InputError:
    return InputError(f"{path}: expected floating-point numbers under {key}, found {dtype}")
