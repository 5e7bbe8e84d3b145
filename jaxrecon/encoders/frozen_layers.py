"""Layers whose weights are frozen: kept in the collection "frozen", never in "params"."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

FROZEN = "frozen"


def _quick_gelu(x: Array) -> Array:
    return x * jax.nn.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "quick_gelu": _quick_gelu,
}


def frozen_variable(
    module: nn.Module, name: str, shape: tuple[int, ...], dtype: DTypeLike
) -> Array:
    """A frozen variable: NaN until weights are loaded, so that none are mistaken for weights.

    Without a random initialiser it may be shared by the steps of a scan, and `init` costs nothing.

    Args:
        module: that it belongs to.
        name: in the module.
        shape: of the variable.
        dtype: of the variable while nothing is loaded.
    """
    return jnp.asarray(module.variable(FROZEN, name, jnp.full, shape, jnp.nan, dtype).value)


class LayerNorm(nn.Module):
    """LayerNorm over the channels."""

    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        """Standardise each position over its channels, in the precision of `x`."""
        scale = frozen_variable(self, "scale", x.shape[-1:], jnp.float32)
        bias = frozen_variable(self, "bias", x.shape[-1:], jnp.float32)
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + self.epsilon) * scale + bias


class RMSNorm(nn.Module):
    """Division by the root mean square of the channels (Zhang and Sennrich 2019)."""

    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        """Scale each position to a root mean square of 1, in the precision of `x`."""
        scale = frozen_variable(self, "scale", x.shape[-1:], jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(mean_square + self.epsilon) * scale


class Dense(nn.Module):
    """Linear map of the channels, computed in `dtype`."""

    features: int
    dtype: DTypeLike
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch features"]:
        """Map the channels; the result has the layer's `dtype`."""
        kernel = frozen_variable(self, "kernel", (x.shape[-1], self.features), self.dtype)
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        if not self.use_bias:
            return y
        return y + frozen_variable(self, "bias", (self.features,), jnp.float32).astype(self.dtype)
