"""A trained network, taken from a run's folder or from converted weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import PyTree

from jaxrecon.encoders.store import Encoder, place_encoder
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model, model_inputs, open_frozen
from jaxrecon.training import run_folder
from jaxrecon.training.checkpoint import Checkpoints
from jaxrecon.training.provenance import parameters_sha256
from jaxrecon.weight_store import read_weights


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A network ready to reconstruct.

    Attributes:
        model: see `jaxrecon.models.build.build_model`.
        variables: trainable "params" and, where there is an encoder, its "frozen" weights.
        name: stands as "method" in results.
        source: where the variables come from, for the provenance of results.
    """

    model: nn.Module
    variables: PyTree
    name: str
    source: Mapping[str, Any]


def method_name(name: str, source: Mapping[str, Any]) -> str:
    """A network's name in results, which says so where its encoder is not pretrained.

    Args:
        name: without that.
        source: holds what `encoder_provenance` returns.
    """
    is_random = source["encoder"] is not None and source["encoder_sha256"] is None
    return f"{name} (random encoder)" if is_random else name


def encoder_provenance(encoder: Encoder | None) -> dict[str, str | None]:
    """What results say of the frozen encoder."""
    if encoder is None:
        return {"encoder": None, "encoder_sha256": None}
    return {"encoder": encoder.description, "encoder_sha256": encoder.sha256}


def network_of_run(folder: Path) -> TrainedNetwork:
    """The best checkpoint of a training run.

    Raises:
        InputError: the folder holds no run, no best checkpoint, or its encoder's weights are gone.
    """
    config = run_folder.read_config(folder)
    model = build_model(config["model"])
    shapes = jax.eval_shape(model.init, jax.random.key(0), *model_inputs())
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    checkpoints = Checkpoints(folder / "checkpoints")
    params = checkpoints.restore_best(empty["params"])
    step = checkpoints.best_step()
    checkpoints.close()
    encoder = open_frozen(config["model"])
    variables = {**empty, "params": params}
    if encoder is not None:
        variables = place_encoder(variables, encoder)
    source = {
        "config": config,
        "checkpoint_step": step,
        "checkpoint_sha256": parameters_sha256(params),
        **encoder_provenance(encoder),
    }
    return TrainedNetwork(model, variables, method_name(config["name"], source), source)


def network_of_weights(folder: Path) -> TrainedNetwork:
    """A network whose weights a converter wrote.

    Raises:
        InputError: the folder holds no weights of a reconstruction network.
    """
    params, spec = read_weights(folder)
    if "model" not in spec:
        raise InputError(f"{folder}: expected weights of a reconstruction network, found none")
    params = jax.tree.map(jnp.asarray, params)
    source = {
        "weights": spec,
        "checkpoint_sha256": parameters_sha256(params),
        **encoder_provenance(None),
    }
    return TrainedNetwork(build_model(spec["model"]), {"params": params}, folder.name, source)
