"""Janus, the half that understands images: vision tower, aligner and language model.

Chen et al. 2025, "Janus-Pro" (arXiv:2501.17811). All weights live in the collection "frozen", as
`janus_spec.janus_shapes` names them.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxrecon.encoders.frozen_layers import ACTIVATIONS, Dense, LayerNorm
from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.encoders.llama import Cache, Llama
from jaxrecon.encoders.vit import VisionTransformer


class _Aligner(nn.Module):
    """Linear maps with exact GELU between them."""

    width: int
    depth: int
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch tokens inputs"]
    ) -> Float[Array, "batch tokens width"]:
        for index in range(self.depth):
            if index:
                x = ACTIVATIONS["gelu"](x)
            x = Dense(self.width, self.dtype, name=f"dense{index}")(x)
        return x


def place_image_tokens(
    text: Float[Array, "batch tokens width"],
    image: Float[Array, "batch image_tokens width"],
    slots: Bool[Array, "batch tokens"],
) -> Float[Array, "batch tokens width"]:
    """Put the tokens of each sequence's image in its slots, in order.

    Args:
        text: embeddings of all tokens; those in slots are left out.
        image: as many tokens as each sequence has slots.
        slots: where the image's tokens belong.
    """
    order = jnp.clip(jnp.cumsum(slots, axis=1) - 1, 0, image.shape[1] - 1)
    placed = jnp.take_along_axis(image, order[..., None], axis=1)
    return jnp.where(slots[..., None], placed.astype(text.dtype), text)


class Janus(nn.Module):
    """A frozen vision-language model.

    Its parts are methods, for `janus.apply({"frozen": parameters}, ..., method="align")`: gradients
    flow through all of them, and the parameters are an argument of compiled functions, never a
    constant in them.

    Attributes:
        spec: the architecture.
        states: hidden states of the language model to return, see `Llama`.
        dtype: of the matrix products, and of their weights in memory. Residual streams and norms
            are float32.
        remat: keep only the layers' inputs for the gradient, and compute the rest again.
    """

    spec: JanusSpec
    states: tuple[int, ...]
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Declare the parts."""
        spec, tower = self.spec, self.spec.vision
        self.vision = VisionTransformer(
            tower, (tower.depth,), spec.image_size, self.dtype, self.remat
        )
        self.vision_norm = LayerNorm(tower.epsilon)
        self.aligner = _Aligner(spec.aligner_width, spec.aligner_depth, self.dtype)
        self.language = Llama(spec.language, self.states, self.dtype, self.remat)

    def image_features(
        self, pixels: Float[Array, "batch size size 3"]
    ) -> Float[Array, "batch image_tokens vision_width"]:
        """The tower's last hidden state behind its final LayerNorm, float32.

        Args:
            pixels: of the spec's image size, standardised.
        """
        return self.vision_norm(self.vision(pixels)[0])

    def align(
        self, features: Float[Array, "batch image_tokens vision_width"]
    ) -> Float[Array, "batch image_tokens width"]:
        """What the language model sees of an image, float32.

        Args:
            features: see `image_features`.
        """
        aligned = self.aligner(features)
        return aligned.astype(jnp.promote_types(self.dtype, jnp.float32))

    def image_tokens(
        self, pixels: Float[Array, "batch size size 3"]
    ) -> Float[Array, "batch image_tokens width"]:
        """Tower and aligner in one.

        Args:
            pixels: see `image_features`.
        """
        return self.align(self.image_features(pixels))

    def embed(self, tokens: Int[Array, "batch tokens"]) -> Float[Array, "batch tokens width"]:
        """Embeddings of text tokens, float32.

        Args:
            tokens: below the vocabulary's size; image slots may hold any.
        """
        return self.language.embed(tokens)

    def hidden_states(
        self, embeddings: Float[Array, "batch tokens width"], mask: Bool[Array, "batch tokens"]
    ) -> tuple[Float[Array, "batch tokens width"], ...]:
        """Hidden states of the language model in the order of `states`, float32.

        Args:
            embeddings: see `place_image_tokens`.
            mask: False for padding.

        Raises:
            InputError: a hidden state is not one this architecture has.
        """
        return self.language(embeddings, mask)

    def logits(self, hidden: Float[Array, "*batch width"]) -> Float[Array, "*batch vocabulary"]:
        """Logits of the token that follows, float32.

        Args:
            hidden: the language model's last hidden state.
        """
        return self.language.logits(hidden)

    def prefill(
        self,
        embeddings: Float[Array, "batch tokens width"],
        mask: Bool[Array, "batch tokens"],
        room: int,
    ) -> tuple[Float[Array, "batch width"], Cache]:
        """Begin answers, see `Llama.prefill`."""
        return self.language.prefill(embeddings, mask, room)

    def step(
        self, embeddings: Float[Array, "batch width"], cache: Cache
    ) -> tuple[Float[Array, "batch width"], Cache]:
        """Continue answers by one token, see `Llama.step`."""
        return self.language.step(embeddings, cache)

    def __call__(
        self,
        pixels: Float[Array, "batch size size 3"],
        tokens: Int[Array, "batch tokens"],
        mask: Bool[Array, "batch tokens"],
        slots: Bool[Array, "batch tokens"],
    ) -> tuple[Float[Array, "batch tokens width"], ...]:
        """See an image and read a prompt.

        Args:
            pixels: one image for each prompt, see `image_features`.
            tokens: of the prompts, padded on the left, see `janus_prompt`.
            mask: False for padding.
            slots: where the image's tokens belong, `spec.image_tokens` in each prompt.

        Returns:
            Hidden states of the language model in the order of `states`, float32.

        Raises:
            InputError: a hidden state is not one this architecture has.
        """
        return self.hidden_states(self.prompt_embeddings(pixels, tokens, slots), mask)

    def prompt_embeddings(
        self,
        pixels: Float[Array, "batch size size 3"],
        tokens: Int[Array, "batch tokens"],
        slots: Bool[Array, "batch tokens"],
    ) -> Float[Array, "batch tokens width"]:
        """Embeddings of prompts with their images in place, the language model's input, float32.

        Args:
            pixels: see `__call__`.
            tokens: likewise.
            slots: likewise.
        """
        return place_image_tokens(self.embed(tokens), self.image_tokens(pixels), slots)
