"""How much memory Janus takes, estimated before a run begins."""

import dataclasses
import math

import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxrecon.encoders.janus_spec import JanusSpec, LlamaSpec, janus_shapes, llama_shapes

# Residual streams, norms and the softmax are float32 whatever the precision of the products.
_PRECISE = 4


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Memory of one gradient step from the image through all of Janus, in bytes.

    Attributes:
        weights: on the device.
        kept: what the forward pass keeps for the gradient, beside the weights.
        layer: what one layer needs while its gradient is computed.
    """

    weights: int
    kept: int
    layer: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kept + self.layer

    def __str__(self) -> str:
        """One line for logs, in decimal gigabytes."""
        parts = {
            "weights": self.weights,
            "kept for the gradient": self.kept,
            "one layer": self.layer,
        }
        listed = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in parts.items())
        return f"about {self.total / 1e9:.2f} GB on the device ({listed})"


def weight_bytes(spec: JanusSpec, dtype: DTypeLike) -> int:
    """Bytes of all weights.

    Args:
        spec: the architecture.
        dtype: of the matrix products; norms, biases and positions are float32.
    """
    size = jnp.dtype(dtype).itemsize
    return sum(
        math.prod(shape) * (size if path.endswith(("/kernel", "/embedding")) else 4)
        for path, shape in janus_shapes(spec).items()
    )


def _layer_parameters(spec: LlamaSpec) -> int:
    """Parameters of one layer of the language model."""
    stacked = [shape for path, shape in llama_shapes(spec).items() if path.startswith("layers/")]
    return sum(math.prod(shape[1:]) for shape in stacked)


def cache_bytes(spec: JanusSpec, batch: int, tokens: int, dtype: DTypeLike) -> int:
    """Bytes of the keys and values of answers.

    Args:
        spec: the architecture.
        batch: answers at a time.
        tokens: of prompt and answer, the image's included.
        dtype: of the matrix products.
    """
    language = spec.language
    shared = language.key_value_heads * language.head_width
    return 2 * language.depth * batch * tokens * shared * jnp.dtype(dtype).itemsize


def gradient_memory(
    spec: JanusSpec,
    batch: int,
    tokens: int,
    dtype: DTypeLike,
    *,
    images: int = 1,
    remat: bool = True,
) -> MemoryEstimate:
    """Memory of a gradient of the last hidden state with respect to the image.

    Counted are the arrays that the gradient of a layer needs when its weights are frozen: the
    norms' inputs and what they standardise to, queries, keys and values, the attention's
    probabilities, and what is around the activation. With `remat` that is the inputs of all layers,
    otherwise all layers' arrays. While a layer's gradient is computed there are besides its arrays,
    values and gradients, and a copy of its weights, cut from the stack.

    Args:
        spec: the architecture.
        batch: prompts at a time.
        tokens: of a prompt, the image's included.
        dtype: of the matrix products.
        images: images at a time.
        remat: as of `Janus`.
    """
    vision, language = spec.vision, spec.language
    size = jnp.dtype(dtype).itemsize
    seen, read = images * spec.image_tokens, batch * tokens
    projected = (language.heads + 2 * language.key_value_heads) * language.head_width
    block = seen * (4 * vision.width * _PRECISE + 3 * (vision.width + vision.mlp_width) * size)
    block += images * vision.heads * spec.image_tokens**2 * (_PRECISE + size)
    layer = read * (4 * language.width * _PRECISE + (projected + 3 * language.mlp_width) * size)
    layer += batch * language.heads * tokens**2 * (_PRECISE + size)
    cut = _layer_parameters(language) * size
    inputs = vision.depth * seen * vision.width + language.depth * read * language.width
    return MemoryEstimate(
        weights=weight_bytes(spec, dtype),
        kept=inputs * _PRECISE if remat else vision.depth * block + language.depth * layer,
        layer=max(2 * block, 2 * layer + cut),
    )
