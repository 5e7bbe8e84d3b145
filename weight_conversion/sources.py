"""Reading upstream checkpoints as plain arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxrecon.errors import InputError


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict from a `.safetensors` file or one of torch's pickle files.

    Args:
        path: a `.safetensors` file, or a `.pt`, `.pth`, `.bin` or `.ckpt` file. A pickle is read
            with torch's `weights_only=True`, so that it cannot run code, and may hold the state
            dict itself or a training checkpoint with the state dict under `state_dict`.

    Returns:
        Arrays by key.

    Raises:
        InputError: the file is missing, truncated, of another kind, or torch is needed and absent.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint file, found none")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    return _read_pickle(path)


def _read_pickle(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ModuleNotFoundError:
        raise InputError(
            f"{path}: expected torch to be installed to read a pickle, found none: "
            'pip install "jaxrecon[convert]"'
        ) from None
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets in a damaged file
        reason = str(error).split("\n", 1)[0]
        raise InputError(
            f"{path}: expected a torch checkpoint of plain tensors, found {reason}"
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: expected a state dict, found {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(
                f"{path}: expected tensors only, found {type(value).__name__} under {key!r}"
            )
    return {key: value.detach().float().numpy() for key, value in content.items()}
