"""What it takes to repeat a result."""

import datetime as dt
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

import jaxrecon


def parameters_sha256(tree: PyTree) -> str:
    """Hexadecimal SHA-256 over paths, shapes, dtypes and bytes of all arrays of a tree."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    folder = Path(jaxrecon.__file__).parent
    try:
        finished = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return finished.stdout.strip()


def source_commit() -> str | None:
    """The commit of the code, "-dirty" appended where files differ; None outside a checkout."""
    # A package installed into somebody else's repository must not report that repository's commit.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git("status", "--porcelain", "-uno") else commit


def provenance() -> dict[str, Any]:
    """Code, software, machine, command and time, as JSON values."""
    versions = {
        name: importlib.metadata.version(name)
        for name in ("jaxrecon", "jax", "flax", "optax", "numpy")
    }
    device = jax.devices()[0]
    return {
        "commit": source_commit(),
        "versions": {**versions, "python": platform.python_version()},
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
