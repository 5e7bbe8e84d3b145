"""Reading upstream checkpoints, local or from the Hugging Face hub, as plain arrays."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (teaches NumPy bfloat16, which safetensors needs)
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxrecon.errors import InputError
from jaxrecon.weight_store import file_sha256

_SAFETENSORS = ("model.safetensors", "open_clip_model.safetensors")
_PICKLES = ("pytorch_model.bin", "open_clip_pytorch_model.bin")
_INDEX = ".index.json"
_CONFIGS = ("config.json", "open_clip_config.json")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The files of a checkpoint.

    Attributes:
        name: as the user gave it, for messages.
        files: that hold its arrays: one, or all shards.
        config: content of the `config.json` beside them; empty where there is none.
    """

    name: str
    files: tuple[Path, ...]
    config: Mapping[str, Any]

    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the file, or of the list of the shards' names and hashes."""
        if len(self.files) == 1:
            return file_sha256(self.files[0])
        lines = "".join(f"{file_sha256(path)}  {path.name}\n" for path in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    def config_sha256(self) -> str:
        """Hexadecimal SHA-256 of the configuration's content."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    def read(self) -> dict[str, np.ndarray]:
        """Arrays by key, see `read_state_dict`.

        Raises:
            InputError: a file is damaged, or two shards hold the same key.
        """
        arrays: dict[str, np.ndarray] = {}
        for path in self.files:
            shard = read_state_dict(path)
            twice = sorted(arrays.keys() & shard.keys())
            if twice:
                raise InputError(f"{path}: expected each key in one shard, found {twice[0]} again")
            arrays |= shard
        return arrays


def find_checkpoint(source: str, *, beside: tuple[str, ...] = ()) -> Checkpoint:
    """The files behind what a user names.

    Args:
        source: a file, a folder laid out as a Hugging Face repository, or a Hugging Face id such as
            "openai/clip-vit-base-patch16" (downloaded to the hub's cache: safetensors where the
            repository has them, else torch's pickles). A path that exists is not looked up.
        beside: names of further files to download beside the checkpoint, where there are any.

    Raises:
        InputError: there is nothing of that name, or no checkpoint in it.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return Checkpoint(source, (path,), _read_config(path.parent))
    if path.is_dir():
        files = _files_in(path)
        if not files:
            expected = ", ".join((*_SAFETENSORS, *_PICKLES))
            raise InputError(f"{source}: expected one of {expected} in the folder, found none")
        return Checkpoint(source, files, _read_config(path))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", source):
        raise InputError(
            f"{source}: expected a file, a folder or a Hugging Face id OWNER/NAME, found none"
        )
    for names in (_SAFETENSORS, _PICKLES):
        folder = _download(source, names, beside)
        files = _files_in(folder)
        if files:
            return Checkpoint(source, files, _read_config(folder))
    raise InputError(f"{source}: expected a checkpoint in the repository, found none")


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict from a `.safetensors` file or one of torch's pickle files.

    Args:
        path: a `.safetensors` file, or a `.pt`, `.pth`, `.bin` or `.ckpt` file. A pickle is read
            with torch's `weights_only=True`, so that it cannot run code, and may hold the state
            dict itself or a training checkpoint with the state dict under `state_dict`.

    Returns:
        Arrays by key; those of floating-point numbers as float32, whatever their precision was.

    Raises:
        InputError: the file is missing, truncated, of another kind, or torch is needed and absent.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint file, found none")
    if path.suffix != ".safetensors":
        return _read_pickle(path)
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    return {
        key: array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32)
        for key, array in arrays.items()
    }


def load_pickle(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """Load a state dict from one of torch's pickle files, see `read_state_dict`.

    Args:
        path: the file.
        mmap: map it into memory instead of reading it; older files than torch 1.6's cannot be.

    Returns:
        Torch's tensors by key.

    Raises:
        InputError: the file is damaged, of another kind, or torch is absent.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise InputError(
            f"{path}: expected torch to be installed to read a pickle, found none: "
            'pip install "jaxrecon[convert]"'
        ) from None
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
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
    return dict(content)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: it is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON file, found {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _files_in(folder: Path) -> tuple[Path, ...]:
    for name in (*_SAFETENSORS, *_PICKLES):
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}{_INDEX}"
        if index.is_file():
            return _shards(index)
    return ()


def _shards(index: Path) -> tuple[Path, ...]:
    content = read_json(index)
    places = content.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(v, str) for v in places.values()):
        raise InputError(f"{index}: expected a weight_map from keys to files, found none")
    paths = tuple(index.parent / name for name in sorted(set(places.values())))
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{index}: expected {len(paths)} shards, found none named {', '.join(missing)}"
        )
    return paths


def _read_config(folder: Path) -> Mapping[str, Any]:
    for name in _CONFIGS:
        if (folder / name).is_file():
            return read_json(folder / name)
    return {}


def _download(identifier: str, names: tuple[str, ...], beside: tuple[str, ...]) -> Path:
    """Folder of the hub's cache with the repository's configuration and the files of a format."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise InputError(
            f"{identifier}: expected a file or folder, or huggingface_hub to be installed to "
            'download it, found neither: pip install "jaxrecon[convert]"'
        ) from None
    shards = [f"{name.replace('.', '-*-of-*.')}" for name in names]
    patterns = [*_CONFIGS, *beside, *names, *(f"{name}{_INDEX}" for name in names), *shards]
    try:
        return Path(snapshot_download(identifier, allow_patterns=patterns))
    except Exception as error:  # whatever the hub's client and its network libraries raise
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(
            f"{identifier}: expected a file, a folder or a Hugging Face id, found no such path, "
            f"and the hub's answer was {type(error).__name__}: {reason}"
        ) from None


def _read_pickle(path: Path) -> dict[str, np.ndarray]:
    tensors = load_pickle(path)
    return {key: value.detach().float().numpy() for key, value in tensors.items()}
