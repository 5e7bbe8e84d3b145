"""The optimiser: Adam on the trainable parameters, nothing on the frozen ones."""

from collections.abc import Mapping
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from jaxrecon.errors import InputError


def learning_rate_schedule(config: Mapping[str, Any], steps_per_epoch: int) -> optax.Schedule:
    """Constant learning rate, multiplied by `decay_factor` after each of `decay_epochs`.

    Args:
        config: `learning_rate`, `decay_epochs` and `decay_factor` of `config.optimizer`.
        steps_per_epoch: steps in one pass over the training data.

    Returns:
        The learning rate by step, counted from 0.
    """
    boundaries = {
        round(epoch * steps_per_epoch): config["decay_factor"] for epoch in config["decay_epochs"]
    }
    return optax.piecewise_constant_schedule(config["learning_rate"], boundaries)


def make_optimizer(config: Mapping[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
    """Adam for the collection `params` and no update, and no state, for any other.

    Args:
        config: `config.optimizer`.
        steps_per_epoch: steps in one pass over the training data.

    Raises:
        InputError: a rate or a norm is not positive.
    """
    if not config["learning_rate"] > 0:
        raise InputError(
            f"optimizer.learning_rate: expected more than 0, found {config['learning_rate']}"
        )
    if config["gradient_clip"] < 0:
        raise InputError(
            f"optimizer.gradient_clip: expected 0 (off) or more, found {config['gradient_clip']}"
        )
    steps = [optax.adam(learning_rate_schedule(config, steps_per_epoch))]
    if config["gradient_clip"]:
        steps.insert(0, optax.clip_by_global_norm(config["gradient_clip"]))
    return optax.partition(
        {"trainable": optax.chain(*steps), "frozen": optax.set_to_zero()}, _labels
    )


def _labels(variables: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """Label every leaf by its collection."""
    return {
        collection: jax.tree.map(
            lambda _, label="trainable" if collection == "params" else "frozen": label, tree
        )
        for collection, tree in variables.items()
    }
