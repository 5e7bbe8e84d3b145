"""What training changes, and the step that changes it."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, PyTree

from jaxrecon.metrics.ssim import ssim
from jaxrecon.models.build import model_inputs

Batch = Mapping[str, Array]
Scalars = dict[str, Float[Array, ""]]


class TrainState(struct.PyTreeNode):
    """Everything a step reads and replaces.

    Attributes:
        step: steps taken.
        variables: `{"params": trainable}`, and `"frozen"` where the network has frozen weights.
        optimizer_state: of the trainable parameters alone.
    """

    step: Array
    variables: PyTree
    optimizer_state: PyTree


def initial_state(
    model: nn.Module, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """A state with freshly drawn parameters.

    Args:
        model: the network.
        optimizer: as `make_optimizer` made it.
        seed: of the parameters.
    """
    # The inputs' size has no influence on the parameters: small ones keep this cheap, and so does
    # the hardware's generator, which compiles in a third of the time of jax's default one.
    key = jax.random.key(seed, impl="rbg")
    variables = jax.jit(model.init)(key, *model_inputs())
    return TrainState(jnp.zeros((), jnp.int32), variables, optimizer.init(variables))


def ssim_loss(image: Array, batch: Batch) -> Float[Array, ""]:
    """Mean of 1 - SSIM over a batch's examples, by their weights.

    Args:
        image: reconstructions, float32 (batch, height, width).
        batch: `target`, `data_range`, `crop` and `weight` of the examples.
    """
    similarity = ssim(image, batch["target"], batch["data_range"], batch["crop"])
    weight = batch["weight"]
    return jnp.sum(weight * (1 - similarity)) / jnp.sum(weight)


def make_train_step(
    model: nn.Module, optimizer: optax.GradientTransformation
) -> Callable[[TrainState, Batch], tuple[TrainState, Scalars]]:
    """The function that takes one step; jit it and donate its state.

    Args:
        model: the network.
        optimizer: as `make_optimizer` made it.

    Returns:
        A function of state and batch to the new state and the step's `loss` and `gradient_norm`.
    """

    def loss_of(variables: PyTree, batch: Batch) -> Array:
        # Stopped at the frozen weights themselves: the gradient still passes through them to the
        # image they see.
        held = {
            collection: tree if collection == "params" else jax.lax.stop_gradient(tree)
            for collection, tree in variables.items()
        }
        image = model.apply(held, batch["kspace"], batch["mask"], batch["acs"])
        return ssim_loss(image, batch)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Scalars]:
        loss, gradient = jax.value_and_grad(loss_of)(state.variables, batch)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer_state, state.variables
        )
        # Only the trainable collection is touched: adding a zero would still turn -0 into 0.
        params = optax.apply_updates(state.variables["params"], updates["params"])
        new_state = TrainState(
            state.step + 1, {**state.variables, "params": params}, optimizer_state
        )
        norm = optax.tree.norm(gradient["params"])
        return new_state, {"loss": loss, "gradient_norm": norm}

    return train_step
