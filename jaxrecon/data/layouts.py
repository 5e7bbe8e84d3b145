"""Finding the module that reads a layout of k-space files."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import jaxrecon.data
from jaxrecon.data.volume import RawSlice, Volume
from jaxrecon.plugin import find_module, known_modules

_FUNCTIONS = ("find_files", "inspect", "read_slice", "volume_maximum", "write_volume")


@runtime_checkable
class Layout(Protocol):
    """What a module must define to be a layout."""

    write_volume: Callable[..., None]
    """Writes a file that the other functions read: path, k-space, and what the layout needs."""

    def find_files(self, root: Path) -> list[Path]:
        """The k-space files at or below `root`, sorted."""

    def inspect(self, path: Path, root: Path) -> Volume:
        """Describe one file from its metadata; InputError if it is not as the layout says."""

    def read_slice(self, volume: Volume, index: int) -> RawSlice:
        """Read one 2-D k-space; InputError if it holds NaN, infinity or only zeros."""

    def volume_maximum(self, volume: Volume) -> float:
        """Maximum of the target over the volume; InputError if there is no target."""


def layout(name: str) -> Layout:
    """The module that reads and writes a layout.

    Args:
        name: a module of `jaxrecon.data`, such as "fastmri", or the dotted name of any module
            that defines the functions of `Layout`.

    Raises:
        InputError: there is no such module, or it is not a layout.
    """
    return cast(Layout, find_module(jaxrecon.data, name, _FUNCTIONS, field="layout"))


def known_layouts() -> list[str]:
    """Names of the layouts this package brings along."""
    return known_modules(jaxrecon.data, _FUNCTIONS)
