"""Writing a safetensors file tensor by tensor, its source never in memory as a whole."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import ml_dtypes
import numpy as np

from weight_conversion.rules import Piece
from weight_conversion.stored_tensors import StoredTensor

DTYPES: dict[str, np.dtype] = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}

SAFETENSORS_NAMES = {"float32": "F32", "bfloat16": "BF16"}

# Of a tensor that is transposed or changes its precision on the way, as much is held at a time.
_BLOCK_BYTES = 2**24


def write_safetensors(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    assignment: Mapping[str, tuple[Piece, ...]],
    source: Mapping[str, StoredTensor],
    dtype: str,
) -> None:
    """Write parameters to a safetensors file, each straight to its place.

    Beyond the file, one source tensor is in memory (as the pages of a mapped file) and two
    blocks of 16 MiB.

    Args:
        path: the file; to be seen under this name while it is being written.
        shapes: shape of every parameter by "/"-joined path.
        assignment: what each parameter is made of, see `rules.assign`.
        source: tensors by key.
        dtype: of all parameters, a key of `DTYPES`; numbers are rounded to nearest, ties to even.

    Raises:
        InputError: a source tensor cannot be read.
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        offsets = _write_header(file, shapes, dtype)
        for parameter, piece in _in_order_of_reading(assignment, source):
            array = piece.transform(source[piece.key].read())
            at = (piece.position or 0) * array.size * DTYPES[dtype].itemsize
            file.seek(offsets[parameter] + at)
            _write_array(file, array, DTYPES[dtype])
            del array  # before the next one is read


def _in_order_of_reading(
    assignment: Mapping[str, tuple[Piece, ...]], source: Mapping[str, StoredTensor]
) -> list[tuple[str, Piece]]:
    """Every piece with its parameter, in the order of the source: file after file."""
    order = {key: i for i, key in enumerate(source)}
    pairs = [(parameter, piece) for parameter in assignment for piece in assignment[parameter]]
    return sorted(pairs, key=lambda pair: order[pair[1].key])


def _write_header(
    file: BinaryIO, shapes: Mapping[str, tuple[int, ...]], dtype: str
) -> dict[str, int]:
    """Write what stands before the data.

    Returns:
        Where each parameter's data begin in the file.
    """
    header: dict[str, object] = {}
    begins: dict[str, int] = {}
    end = 0
    for parameter, shape in shapes.items():
        begins[parameter], end = end, end + math.prod(shape) * DTYPES[dtype].itemsize
        header[parameter] = {
            "dtype": SAFETENSORS_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [begins[parameter], end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    return {parameter: 8 + len(text) + begin for parameter, begin in begins.items()}


def _write_array(file: BinaryIO, array: np.ndarray, dtype: np.dtype) -> None:
    """Write an array of at least one axis in C order at the file's position."""
    rows = max(1, _BLOCK_BYTES // max(1, array[:1].size * dtype.itemsize))
    for start in range(0, len(array), rows):
        block = np.ascontiguousarray(array[start : start + rows], dtype)
        file.write(block.reshape(-1).view(np.uint8).data)
