"""From a configuration to a network and the shapes of its parameters."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Array, PyTree

import jaxrecon.models
from jaxrecon.errors import InputError


class ModelModule(Protocol):
    """What a module defines to be a reconstruction network chosen by `config.model.name`."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """A network with `__call__(kspace, mask, acs) -> image`, see `varnet.VarNet`."""


def _offers(module: ModuleType | None, function: str) -> bool:
    """Whether a module has a function of its own by that name, not merely this file's."""
    return getattr(module, function, None) not in (None, globals().get(function))


def _module(name: str, function: str, field: str) -> ModuleType:
    path = name if "." in name else f"{jaxrecon.models.__name__}.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # The module is there, and something it imports is not.
        module = None
    if module is None or not _offers(module, function):
        package = jaxrecon.models
        names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
        known = [
            known
            for known in names
            if _offers(importlib.import_module(f"{package.__name__}.{known}"), function)
        ]
        raise InputError(
            f"{field}: expected one of {', '.join(known)} or the dotted name of a module that "
            f"defines {function}, found {name!r}"
        )
    return module


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """The network that a model configuration describes.

    Args:
        config: `name` is a module of `jaxrecon.models`, or the dotted name of any module, that
            defines `build(config)`; the other fields are that module's.

    Raises:
        InputError: there is no such module, or a field's value is not usable.
    """
    module = cast(ModelModule, _module(config["name"], "build", "model.name"))
    return module.build(config)


def build_refinement(config: Mapping[str, Any], dtype: jnp.dtype) -> Callable[..., nn.Module]:
    """What makes the refinement module of a cascade.

    Args:
        config: `name` is a module of `jaxrecon.models`, or the dotted name of any module, that
            defines `build_refinement(config, dtype)`; the other fields are that module's.
        dtype: dtype of its convolutions.

    Returns:
        A function of the module's name, see `varnet.Cascade`.

    Raises:
        InputError: there is no such module, or a field's value is not usable.
    """
    module = _module(config["name"], "build_refinement", "model.refinement.name")
    return module.build_refinement(config, dtype)


def model_inputs(
    coils: int = 1, height: int = 32, width: int = 32, batch: int = 1
) -> tuple[Array, Array, Array]:
    """Arguments of a network of the given size: (kspace, mask, acs), all zero.

    The shapes of a network's parameters do not depend on them, so small ones make a cheap `init`.
    """
    return (
        jnp.zeros((batch, coils, height, width), jnp.complex64),
        jnp.zeros((batch, 1, width), bool),
        jnp.zeros((batch,), jnp.int32),
    )


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by "/"-joined path; nothing is computed.

    Args:
        config: model configuration, see `build_model`.
    """
    variables: PyTree = jax.eval_shape(build_model(config).init, jax.random.key(0), *model_inputs())
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}
