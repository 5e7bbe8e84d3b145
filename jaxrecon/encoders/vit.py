"""Vision transformers that give their hidden states: CLIP, DINOv2, BiomedCLIP and SigLIP.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), with the variations
listed in `ViTSpec`. All weights live in the collection "frozen", never in "params".
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxrecon.encoders.frozen_layers import (
    ACTIVATIONS,
    FROZEN,
    Dense,
    LayerNorm,
    frozen_variable,
)
from jaxrecon.encoders.spec import ViTSpec
from jaxrecon.errors import InputError


class _Block(nn.Module):
    """Attention and MLP, each behind a LayerNorm and around a residual connection."""

    spec: ViTSpec
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        spec = self.spec
        y = LayerNorm(spec.epsilon, name="norm1")(x)
        query, key, value = (
            Dense(spec.width, self.dtype, name=name)(y).reshape(*y.shape[:2], spec.heads, -1)
            for name in ("query", "key", "value")
        )
        attended = jax.nn.dot_product_attention(query, key, value).reshape(y.shape)
        x = x + self._scaled("scale1", Dense(spec.width, self.dtype, name="output")(attended))
        y = LayerNorm(spec.epsilon, name="norm2")(x)
        y = ACTIVATIONS[spec.activation](Dense(spec.mlp_width, self.dtype, name="mlp_in")(y))
        return x + self._scaled("scale2", Dense(spec.width, self.dtype, name="mlp_out")(y))

    def _scaled(self, name: str, branch: Array) -> Array:
        if not self.spec.layer_scale:
            return branch
        return branch * frozen_variable(self, name, (self.spec.width,), jnp.float32)


class VisionTransformer(nn.Module):
    """Hidden states of a frozen vision transformer.

    Blocks are unrolled: as an inner loop of a scan over cascades, a loop over stacked blocks takes
    twice the time on a CPU. Blocks beyond the last layer asked for do not exist.

    Attributes:
        spec: the architecture.
        layers: hidden states to return: 0 is the embeddings (after their LayerNorm, if any), k the
            output of the k-th block.
        image_size: side of the images, pixels, a multiple of the patch. The position embeddings
            are of this size's grid; `store.load_encoder` brings them there.
        dtype: of the matrix products, and of their weights in memory. The residual stream and the
            LayerNorms are float32.
        remat: keep only the blocks' inputs for the gradient, and compute the rest again.
    """

    spec: ViTSpec
    layers: tuple[int, ...]
    image_size: int = 224
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "batch size size 3"]
    ) -> tuple[Float[Array, "batch tokens width"], ...]:
        """Encode.

        Args:
            pixels: standardised, see `preprocess.encoder_input`.

        Returns:
            The hidden states in the order of `layers`, float32; the class token, if there is one,
            comes first, then the patches row by row.

        Raises:
            InputError: a layer or the image size is not one this architecture has.
        """
        spec = self.spec
        _check(spec, self.layers, self.image_size)
        batch, grid = pixels.shape[0], self.image_size // spec.patch
        patches = pixels.reshape(batch, grid, spec.patch, grid, spec.patch, 3).swapaxes(2, 3)
        patches = patches.reshape(batch, grid * grid, spec.patch**2 * 3)
        embed = Dense(spec.width, self.dtype, spec.patch_bias, name="patch_embedding")
        x = embed(patches).astype(jnp.promote_types(self.dtype, jnp.float32))
        if spec.class_token:
            token = frozen_variable(self, "class_token", (spec.width,), jnp.float32).astype(x.dtype)
            x = jnp.concatenate([jnp.broadcast_to(token, (batch, 1, spec.width)), x], axis=1)
        x = x + frozen_variable(self, "positions", x.shape[1:], jnp.float32)
        if spec.embedding_norm:
            x = LayerNorm(spec.epsilon, name="embedding_norm")(x)
        hidden = {0: x}
        block = nn.remat(_Block) if self.remat else _Block
        for layer in range(1, max(self.layers) + 1):
            x = hidden[layer] = block(spec, self.dtype, name=f"block{layer - 1}")(x)
        return tuple(hidden[layer] for layer in self.layers)


def _check(spec: ViTSpec, layers: tuple[int, ...], image_size: int) -> None:
    if not layers or min(layers) < 0 or max(layers) > spec.depth:
        raise InputError(
            f"encoder.layers: expected layers from 0 to {spec.depth} of {spec.label}, "
            f"found {layers}"
        )
    if image_size < spec.patch or image_size % spec.patch:
        raise InputError(
            f"encoder.image_size: expected a multiple of the patch of {spec.label}, {spec.patch} "
            f"pixels, found {image_size}"
        )


def patch_map(
    tokens: Float[Array, "batch tokens width"], spec: ViTSpec
) -> Float[Array, "batch grid grid width"]:
    """A hidden state's patches as a feature map, without the class token.

    Args:
        tokens: a hidden state of a square image.
        spec: of the encoder.
    """
    patches = tokens[:, int(spec.class_token) :]
    grid = round(patches.shape[1] ** 0.5)
    return patches.reshape(tokens.shape[0], grid, grid, spec.width)


def frozen_shapes(
    spec: ViTSpec, layers: tuple[int, ...], image_size: int
) -> dict[str, tuple[int, ...]]:
    """Shape of every frozen variable by "/"-joined path; nothing is computed.

    Args:
        spec: the architecture.
        layers: hidden states asked for.
        image_size: side of the images, pixels.
    """
    network = VisionTransformer(spec, layers, image_size)
    pixels = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), pixels)
    flat = traverse_util.flatten_dict(variables[FROZEN], sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}
