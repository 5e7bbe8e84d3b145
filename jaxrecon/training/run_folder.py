"""The folder of a run: its configuration, and whether it may go on there."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxrecon.atomic_file import write_json
from jaxrecon.errors import InputError

CONFIG_FILE = "config.json"

# Fields that change how fast a run goes but not where it arrives.
_FREE = ("data.threads", "data.workers")


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields of a configuration by dotted name."""
    if not isinstance(config, dict):
        return {prefix: config}
    fields: dict[str, Any] = {}
    for name, value in config.items():
        fields |= flatten(value, f"{prefix}.{name}" if prefix else name)
    return fields


def differences(found: Any, expected: Any, ignored: Collection[str] = ()) -> str:
    """Which fields of two configurations differ, the first of them with both values.

    Args:
        found: a configuration, as JSON values.
        expected: another one.
        ignored: dotted names of fields that may differ.

    Returns:
        At most four fields, such as "seed, name (seed = 1, not 2)"; empty if none differ.
    """
    old, new = flatten(found), flatten(expected)
    differing = [
        name
        for name in sorted(old.keys() | new.keys())
        if name not in ignored and old.get(name) != new.get(name)
    ]
    if not differing:
        return ""
    first = differing[0]
    values = f"{first} = {old.get(first)!r}, not {new.get(first)!r}"
    return f"{', '.join(differing[:4])} ({values})"


def as_json(config: ConfigDict) -> dict[str, Any]:
    """A configuration as JSON values."""
    return json.loads(config.to_json())


def claim(folder: Path, config: ConfigDict) -> bool:
    """Make a run's folder and write its configuration, or check that the run is the same.

    A run that never reached a checkpoint, because its data were not found, say, leaves nothing
    worth keeping apart: another one may take its folder.

    Args:
        folder: of the run.
        config: of the run.

    Returns:
        Whether the folder holds an earlier attempt at the same run.

    Raises:
        InputError: it holds another run; the message names the fields that differ.
    """
    path = folder / CONFIG_FILE
    content = as_json(config)
    if path.exists() and any((folder / "checkpoints" / "last").glob("[0-9]*")):
        if differing := differences(read_config(folder), content, _FREE):
            raise InputError(
                f"{folder}: expected a new folder or an earlier attempt at this run, found a run "
                f"with another {differing}: name another --workdir"
            )
        return True
    write_json(path, content)
    return False


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / CONFIG_FILE
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the configuration of a run, found {error}") from None
