"""The folder of an evaluation: what belongs in it, and whether it may go on there."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrecon.atomic_file import write_json
from jaxrecon.errors import InputError
from jaxrecon.metrics.results import RESULTS_FILE
from jaxrecon.training.run_folder import differences

SETTINGS_FILE = "evaluation.json"
PARTIAL = "partial"
EXAMPLES = "examples"
RECONSTRUCTIONS = "reconstructions"

# All that an evaluation writes, and hence all that starting anew removes.
_OWN = (
    SETTINGS_FILE, RESULTS_FILE, PARTIAL, EXAMPLES, RECONSTRUCTIONS, "figures", "file_lists",
    "slices.csv", "volumes.csv", "slices.parquet", "volumes.parquet",
)  # fmt: skip


def slug(text: str) -> str:
    """A name as part of a file's name: letters, digits, dots, "=", "+" and "-", else "_"."""
    return re.sub(r"[^\w.=+-]+", "_", text).strip("_.") or "_"


def claim(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Make the folder and write its settings, or check that the evaluation is the same.

    Args:
        folder: of the evaluation.
        settings: JSON values that determine the results.
        overwrite: remove what an earlier evaluation, this or another one, left there.

    Returns:
        Whether the folder holds finished results of the same evaluation.

    Raises:
        InputError: it holds another evaluation, or results of something else; the message names
            what differs.
    """
    path = folder / SETTINGS_FILE
    content = json.loads(json.dumps(settings))
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder to write to, found a file")
    if (folder / RESULTS_FILE).exists() and not path.exists():
        raise InputError(
            f"{folder}: expected a new folder or an earlier attempt at this evaluation, found "
            f"{RESULTS_FILE} of something else: name another --output"
        )
    if overwrite:
        for name in _OWN:
            found = folder / name
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
    if path.exists() and any((folder / name).exists() for name in (RESULTS_FILE, PARTIAL)):
        if differing := differences(_read(path), content):
            raise InputError(
                f"{folder}: expected a new folder or an earlier attempt at this evaluation, found "
                f"one with another {differing}: name another --output, or --overwrite to start anew"
            )
        return (folder / RESULTS_FILE).exists()
    write_json(path, content)
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the settings of an evaluation, found {error}") from None
