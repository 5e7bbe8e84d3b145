"""The folder a converter writes: whose it is, whether it is up to date, writing it."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrecon.atomic_file import unfinished, write_json
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE, read_spec, write_weights


def require_folder(output: Path) -> None:
    """See that a path can be a folder, before work is spent on what it is to hold.

    Raises:
        InputError: it is a file.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: expected a folder to write to, found a file")


def is_up_to_date(
    output: Path, origin: Mapping[str, object], load: Callable[[Path], object]
) -> bool:
    """Whether a folder holds a conversion of this origin, complete.

    Args:
        output: the folder.
        origin: what it was made from, as fields of `spec.json`. "converter" is the converter's name
            and version: a new version makes old conversions out of date.
        load: reads what the converter writes; its `InputError` means that it is damaged.

    Raises:
        InputError: it holds something else, which a conversion must not overwrite.
    """
    if not (output / SPEC_FILE).is_file():
        return False
    spec = read_spec(output)
    found = spec.get("converter", "no converter")
    if str(found).split(" ")[0] != str(origin["converter"]).split(" ")[0]:
        raise InputError(
            f"{output}: expected a new folder or one this converter wrote, "
            f"found weights written by {found!r}"
        )
    if any(spec.get(field) != value for field, value in origin.items()):
        return False
    try:
        load(output)
    except InputError:
        return False  # to be written again
    return True


def write(output: Path, parameters: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> None:
    """Write converted weights, see `jaxrecon.weight_store.write_weights`.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        write_weights(output, parameters, spec)
    except OSError as error:
        raise InputError(f"{output}: expected a folder to write to, found {error}") from None


def write_files(
    output: Path,
    files: Mapping[str, Callable[[Path], object]],
    spec: Mapping[str, Any],
    stale: Collection[str] = (),
) -> None:
    """Write files one after the other and `spec.json` last; none is ever seen half-written.

    Args:
        output: the folder; made if it is not there.
        files: by path in the folder, what writes a file under the name it is called with.
        spec: content of `spec.json`.
        stale: paths in the folder of files to delete if they are there.

    Raises:
        InputError: the folder cannot be written to, or what writes a file raises it. There is no
            `spec.json` then, without which nothing takes the folder for a finished conversion.
    """
    try:
        for name in (SPEC_FILE, *stale):
            (output / name).unlink(missing_ok=True)
        for name, write_file in files.items():
            with unfinished(output / name) as temporary:
                write_file(temporary)
        write_json(output / SPEC_FILE, dict(spec))
    except OSError as error:
        raise InputError(f"{output}: expected a folder to write to, found {error}") from None
