"""The semantic prior from images and language: what a language model makes of a reconstruction.

Feng et al. 2025, "On the Utility of Foundation Models for Fast MRI: Vision-Language-Guided Image
Reconstruction" (arXiv:2511.19641), equations (10) and (11): the last hidden state of the last
token of a prompt around an image, from which the answer follows.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Integer, PyTree

from jaxrecon.encoders.frozen_layers import FROZEN
from jaxrecon.encoders.janus import Janus, place_image_tokens
from jaxrecon.errors import InputError
from jaxrecon.priors.preprocessing import Preprocessing, pixels

LEVEL = "language"
"""Name of the one level."""


@dataclasses.dataclass(frozen=True)
class LanguagePrior:
    """What stays the same from one image to the next; it holds no arrays.

    Attributes:
        network: the vision-language model, giving the last hidden state alone.
        preprocessing: from image to pixels, of the model's image size.
        tokens: of the prompt with the slots of one image, without padding.
        slots: whether a token stands for a part of the image.
    """

    network: Janus
    preprocessing: Preprocessing
    tokens: tuple[int, ...]
    slots: tuple[bool, ...]

    def __post_init__(self) -> None:
        spec = self.network.spec
        if self.preprocessing.size != spec.image_size:
            raise InputError(
                f"prior.image_size: expected the model's, {spec.image_size} pixels, "
                f"found {self.preprocessing.size}"
            )
        if sum(self.slots) != spec.image_tokens or len(self.slots) != len(self.tokens):
            raise InputError(
                f"prior.prompt: expected {spec.image_tokens} slots for the image's tokens, "
                f"found {sum(self.slots)}"
            )

    @property
    def text_tokens(self) -> int:
        """Tokens of the prompt beside the image's."""
        return len(self.slots) - sum(self.slots)


def image_tokens(
    prior: LanguagePrior,
    parameters: PyTree,
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
) -> Float[Array, "batch image_tokens channels"]:
    """What the language model sees of images: tower and aligner.

    Args:
        prior: the prior.
        parameters: weights, `JanusWeights.parameters`. An argument of compiled functions, never a
            constant in them. The gradient is for the image, not for these.
        image: of any scale, differentiable; the result does not depend on the scale.
    """
    seen = pixels(image, prior.preprocessing)
    found: Array = prior.network.apply({FROZEN: parameters}, seen, method="image_tokens")
    return found


def noise(
    prior: LanguagePrior, draws: Integer[Array, "batch numbers"], std: float | Array
) -> Float[Array, "batch tokens channels"]:
    """Perturbations of the prompt's embeddings, normal and independent; 0 where the image is.

    Args:
        prior: the prior.
        draws: whole numbers, 0 or more, that seed each perturbation.
        std: standard deviation, sigma of equation (10).

    Returns:
        float32.
    """
    shape = (len(prior.tokens), prior.network.spec.language.width)

    def draw(numbers: Array) -> Array:
        key = jax.random.key(0)
        for number in numbers:
            key = jax.random.fold_in(key, number)
        return std * jax.random.normal(key, shape, jnp.float32)

    return jnp.where(np.asarray(prior.slots)[:, None], 0, jax.vmap(draw)(draws))


def prompt_embeddings(
    prior: LanguagePrior,
    parameters: PyTree,
    image: Float[Array, "batch image_tokens channels"],
    perturbation: Float[Array, "batch tokens channels"] | None = None,
) -> Float[Array, "batch tokens channels"]:
    """The language model's input: the prompt's embeddings around the image's tokens.

    Args:
        prior: the prior.
        parameters: see `image_tokens`.
        image: see `image_tokens`.
        perturbation: added to the text alone, see `noise`.
    """
    tokens = jnp.asarray(prior.tokens, jnp.int32)[None]
    text: Array = prior.network.apply({FROZEN: parameters}, tokens, method="embed")
    text = jnp.broadcast_to(text, (len(image), *text.shape[1:]))
    if perturbation is not None:
        text = text + perturbation.astype(text.dtype)
    slots = jnp.broadcast_to(np.asarray(prior.slots), text.shape[:2])
    return place_image_tokens(text, image, slots)


def last_states(
    prior: LanguagePrior, parameters: PyTree, embeddings: Float[Array, "batch tokens channels"]
) -> Float[Array, "batch 1 channels"]:
    """The last token's last hidden state.

    Args:
        prior: the prior.
        parameters: see `image_tokens`.
        embeddings: see `prompt_embeddings`.
    """
    mask = jnp.ones(embeddings.shape[:2], bool)
    (hidden,) = prior.network.apply({FROZEN: parameters}, embeddings, mask, method="hidden_states")
    return hidden[:, -1:]


def embed(
    prior: LanguagePrior,
    parameters: PyTree,
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
) -> Float[Array, "batch 1 channels"]:
    """Equation (11): the prompt is not perturbed.

    Args:
        prior: the prior.
        parameters: see `image_tokens`.
        image: see `image_tokens`.

    Returns:
        One token for each image.
    """
    seen = image_tokens(prior, parameters, image)
    return last_states(prior, parameters, prompt_embeddings(prior, parameters, seen))
