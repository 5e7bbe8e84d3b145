"""Choosing a module by the name a configuration gives: a new layout or network is a new file."""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType

from jaxrecon.errors import InputError


def find_module(
    package: ModuleType, name: str, functions: Sequence[str], *, field: str
) -> ModuleType:
    """The module of a name, checked to define what is asked of it.

    Args:
        package: where names without a dot are looked up.
        name: a module of `package`, or the dotted name of any module that can be imported.
        functions: what the module must define.
        field: names the choice in messages.

    Raises:
        InputError: there is no such module, or it lacks a function; lists the known ones.
    """
    path = name if "." in name else f"{package.__name__}.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # The module is there, and something it imports is not.
        module = None
    if module is None or not _defines(module, functions):
        raise InputError(
            f"{field}: expected one of {', '.join(known_modules(package, functions))} or the "
            f"dotted name of a module that defines {', '.join(functions)}, found {name!r}"
        )
    return module


def known_modules(package: ModuleType, functions: Sequence[str]) -> list[str]:
    """Names of a package's modules that define all functions, sorted."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [
        name
        for name in names
        if _defines(importlib.import_module(f"{package.__name__}.{name}"), functions)
    ]


def _defines(module: ModuleType, functions: Sequence[str]) -> bool:
    return all(callable(getattr(module, function, None)) for function in functions)
