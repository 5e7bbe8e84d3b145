"""Converted weights on disk: `weights/<name>/weights.safetensors` beside a `spec.json`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError

WEIGHTS_FILE = "weights.safetensors"
SPEC_FILE = "spec.json"


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_weights(
    folder: Path, parameters: Mapping[str, np.ndarray], spec: Mapping[str, Any]
) -> None:
    """Write a set of weights; neither file is ever seen half-written.

    Args:
        folder: where to; made if it is not there.
        parameters: arrays by "/"-joined path in the parameter tree.
        spec: architecture, source and converter, JSON values only.
    """
    # A crash between the two files leaves weights without a specification, which nothing takes for
    # a finished conversion.
    (folder / SPEC_FILE).unlink(missing_ok=True)
    arrays = {name: np.asarray(value, order="C") for name, value in parameters.items()}
    with unfinished(folder / WEIGHTS_FILE) as temporary:
        save_file(arrays, temporary)
    with unfinished(folder / SPEC_FILE) as temporary:
        temporary.write_text(json.dumps(spec, indent=2, sort_keys=True) + "\n")


def read_spec(folder: Path) -> dict[str, Any]:
    """The `spec.json` of a set of weights.

    Raises:
        InputError: it is missing or not JSON.
    """
    path = folder / SPEC_FILE
    try:
        spec = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected the specification of converted weights, found {error}"
        ) from None
    if not isinstance(spec, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(spec).__name__}")
    return spec


def read_weights(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a set of weights.

    Args:
        folder: as `write_weights` left it.

    Returns:
        The parameters as a nested dictionary of arrays, and the specification.

    Raises:
        InputError: a file is missing, truncated or not what its name says.
    """
    spec = read_spec(folder)
    path = folder / WEIGHTS_FILE
    try:
        flat = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    return traverse_util.unflatten_dict(flat, sep="/"), spec
