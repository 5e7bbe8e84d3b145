"""Finding the module that reads a layout of k-space files."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import jaxrecon.data
from jaxrecon.data.volume import RawSlice, Volume
from jaxrecon.errors import InputError


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
    path = name if "." in name else f"{jaxrecon.data.__name__}.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # The module is there, and something it imports is not.
        module = None
    if not isinstance(module, Layout):
        raise InputError(
            f"layout: expected one of {', '.join(known_layouts())}, or the dotted name of a module "
            f"with the functions of jaxrecon.data.layouts.Layout, found {name!r}"
        )
    return module


def known_layouts() -> list[str]:
    """Names of the layouts this package brings along."""
    package = jaxrecon.data
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}
    return [name for name, module in modules.items() if isinstance(module, Layout)]
