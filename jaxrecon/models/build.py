"""From a configuration to a network and the shapes of its parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Array, PyTree

import jaxrecon.models
from jaxrecon.encoders.store import Encoder
from jaxrecon.plugin import find_module


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """The network that a model configuration describes.

    Args:
        config: `name` is a module of `jaxrecon.models`, or the dotted name of any module, that
            defines `build(config)`; the other fields are that module's.

    Returns:
        A network with `__call__(kspace, mask, acs) -> image`, see `varnet.VarNet`.

    Raises:
        InputError: there is no such module, or a field's value is not usable.
    """
    module = find_module(jaxrecon.models, config["name"], ["build"], field="model.name")
    return module.build(config)


def refinement_factory(config: Mapping[str, Any], dtype: jnp.dtype) -> Callable[..., nn.Module]:
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
    module = find_module(
        jaxrecon.models, config["name"], ["build_refinement"], field="model.refinement.name"
    )
    return module.build_refinement(config, dtype)


def open_frozen(config: Mapping[str, Any]) -> Encoder | None:
    """The pretrained weights that a model holds frozen; `place_encoder` puts them there.

    Args:
        config: model configuration. Its module, or its refinement's, may define
            `open_frozen(config, dtype)`.

    Returns:
        The weights; None for a model without any.

    Raises:
        InputError: they are missing or another encoder's.
    """
    candidates = [
        (find_module(jaxrecon.models, config["name"], ["build"], field="model.name"), config)
    ]
    if "refinement" in config:
        name = config["refinement"]["name"]
        field = "model.refinement.name"
        refinement = find_module(jaxrecon.models, name, ["build_refinement"], field=field)
        candidates.append((refinement, config["refinement"]))
    for module, fields in candidates:
        if hasattr(module, "open_frozen"):
            return module.open_frozen(fields, jnp.dtype(config["dtype"]))
    return None


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
