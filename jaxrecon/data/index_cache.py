"""What is known of the files of a folder, kept between runs."""

import dataclasses
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from jaxrecon.atomic_file import unfinished
from jaxrecon.data.volume import Volume

_SCHEMA = 1
"""To be raised whenever `Volume` or what a reader fills in changes."""

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$JAXRECON_CACHE`, or `$XDG_CACHE_HOME/jaxrecon`, or `~/.cache/jaxrecon`."""
    if own := os.environ.get("JAXRECON_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared, "jaxrecon")
    return Path("~/.cache/jaxrecon").expanduser()


def fingerprint(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns; None if the file cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


class IndexCache:
    """Volumes by path and fingerprint, in one JSON file per folder, layout and check."""

    def __init__(self, layout: str, root: str, check: str):
        key = json.dumps([_SCHEMA, layout, root, check])
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        self._path = cache_folder() / "index" / f"{name}.json"
        self._entries = self._load()
        self._changed = False

    def get(self, path: Path, found: tuple[int, int] | None) -> Volume | None:
        """The volume at `path`, if it is known and its fingerprint is still `found`."""
        entry = self._entries.get(str(path))
        if entry is None or found is None or entry[0] != found:
            return None
        return entry[1]

    def put(self, path: Path, found: tuple[int, int] | None, volume: Volume) -> None:
        """Remember the volume at `path`; `found` was taken before the file was read."""
        if found is not None:
            self._entries[str(path)] = (found, volume)
            self._changed = True

    def save(self) -> None:
        """Write what is new. A cache that cannot be written costs time, so it is only logged."""
        if not self._changed:
            return
        content = {
            path: {"fingerprint": found, "volume": dataclasses.asdict(volume)}
            for path, (found, volume) in self._entries.items()
        }
        try:
            with unfinished(self._path) as temporary:
                temporary.write_text(json.dumps(content))
        except OSError as error:
            _logger.warning("the index cache %s cannot be written: %s", self._path, error)
        self._changed = False

    def _load(self) -> dict[str, tuple[tuple[int, int], Volume]]:
        try:
            content = json.loads(self._path.read_text())
            return {path: _parse(entry) for path, entry in content.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _logger.warning("the index cache %s is unreadable, rebuilt: %s", self._path, error)
            return {}


def _parse(entry: dict[str, Any]) -> tuple[tuple[int, int], Volume]:
    size, changed = entry["fingerprint"]
    fields = dict(entry["volume"])
    fields["padding"] = tuple(fields["padding"])
    fields["bad_slices"] = tuple(fields["bad_slices"])
    return (size, changed), Volume(**fields)
