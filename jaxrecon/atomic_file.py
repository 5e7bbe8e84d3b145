"""Files that are never seen half-written."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def unfinished(path: Path, suffix: str = "") -> Iterator[Path]:
    """A temporary name to write a file under; it takes its own name when the block ends well.

    Args:
        path: the file; its folder is made if need be. What it held before stays there until then,
            and for good where the block ends with an error.
        suffix: of the temporary name, for libraries that tell the format by it.

    Yields:
        The temporary name, in the file's folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial{suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON values, indented.

    Args:
        path: the file.
        content: JSON values.
    """
    with unfinished(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
