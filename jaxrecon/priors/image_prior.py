"""The semantic prior from images: a frozen vision encoder's view of a reconstruction.

Feng et al. 2025, "On the Utility of Foundation Models for Fast MRI: Vision-Language-Guided Image
Reconstruction" (arXiv:2511.19641): positives are embeddings of fully sampled auxiliary images,
negatives of undersampled ones, at three depths of the encoder.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PyTree

from jaxrecon.encoders.store import Encoder
from jaxrecon.encoders.vit import FROZEN, VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.priors.bank import Bank
from jaxrecon.priors.contrastive import (
    PAPER,
    PAPER_LEVEL_WEIGHTS,
    Contrast,
    contrastive_loss,
    unit_tokens,
)
from jaxrecon.priors.embeddings import Provenance
from jaxrecon.priors.preprocessing import Preprocessing, pixels
from jaxrecon.priors.projection import project

# Of an encoder of 24 layers.
_PAPER_DEPTH = 24
_PAPER_LAYERS = (1, 13, 24)


@dataclasses.dataclass(frozen=True)
class ImagePrior:
    """What stays the same from one image to the next; it holds no arrays.

    Attributes:
        network: the encoder, giving the levels' hidden states, low to high.
        preprocessing: from image to pixels, of the network's image size.
        contrast: variant of the loss.
        weights: of the levels' losses in their sum.
    """

    network: VisionTransformer
    preprocessing: Preprocessing
    contrast: Contrast = PAPER
    weights: tuple[float, ...] = PAPER_LEVEL_WEIGHTS

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.network.layers):
            raise InputError(
                f"prior.weights: expected one for each of the layers {self.network.layers}, "
                f"found {self.weights}"
            )
        if self.network.image_size != self.preprocessing.size:
            raise InputError(
                f"prior.preprocessing: expected the encoder's image size, "
                f"{self.network.image_size} pixels, found {self.preprocessing.size}"
            )

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels in files of embeddings."""
        return tuple(f"layer{layer}" for layer in self.network.layers)


def relative_layers(depth: int) -> tuple[int, int, int]:
    """The paper's layers 1, 13 and 24 of 24, at the same depths of another encoder.

    Rounded up: layers 1, 7 and 12 of 12.

    Args:
        depth: layers of the encoder.
    """
    low, middle, high = (math.ceil(depth * layer / _PAPER_DEPTH) for layer in _PAPER_LAYERS)
    return low, middle, high


def provenance(
    prior: ImagePrior, encoder: Encoder, details: Mapping[str, Any] | None = None
) -> Provenance:
    """What a file of this prior's embeddings says of itself, and what it is checked against.

    Args:
        prior: the prior.
        encoder: whose weights it has.
        details: see `Provenance`.
    """
    description = encoder.description
    if encoder.sha256 is None:
        # Random weights depend on how many blocks there are.
        description += f", {max(prior.network.layers)} layers"
    return Provenance(
        encoder=description,
        encoder_sha256=encoder.sha256,
        architecture=encoder.spec.to_json(),
        preprocessing=prior.preprocessing.to_json(),
        levels=prior.levels,
        details=dict(details or {}),
    )


def embed(
    prior: ImagePrior,
    encoder: PyTree,
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
) -> tuple[Float[Array, "batch tokens channels"], ...]:
    """Hidden states of an image, patch by patch; a class token is left out.

    Args:
        prior: the prior.
        encoder: weights, `Encoder.parameters`. An argument of compiled functions, never a constant
            in them. The gradient is for the image, not for these.
        image: of any scale, differentiable.

    Returns:
        One array for each level.
    """
    hidden = prior.network.apply({FROZEN: encoder}, pixels(image, prior.preprocessing))
    first = int(prior.network.spec.class_token)
    return tuple(states[:, first:] for states in hidden)


def semantic_loss(
    prior: ImagePrior, bank: Bank, embeddings: tuple[Float[Array, "batch tokens channels"], ...]
) -> tuple[Float[Array, " batch"], Float[Array, "batch levels"]]:
    """How far embeddings are from the positives, relative to the negatives.

    Args:
        prior: the prior.
        bank: its references, one entry for each level.
        embeddings: as `embed` gives them.

    Returns:
        The weighted sum over the levels, and each level's loss before it is weighted.
    """
    losses = [
        contrastive_loss(
            project(tokens, level.projection),
            jnp.asarray(level.positives),
            jnp.asarray(level.negatives),
            prior.contrast,
        )
        for tokens, level in zip(embeddings, bank, strict=True)
    ]
    levels = jnp.stack(losses, axis=-1)
    return levels @ jnp.asarray(prior.weights, levels.dtype), levels


def image_loss(
    prior: ImagePrior,
    encoder: PyTree,
    bank: Bank,
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
) -> tuple[Float[Array, " batch"], Float[Array, "batch levels"]]:
    """`semantic_loss` of an image, see `embed`."""
    return semantic_loss(prior, bank, embed(prior, encoder, image))


def mean_direction(tokens: Float[Array, "batch tokens channels"]) -> Float[Array, "batch channels"]:
    """One vector for each image, to be kept along a reconstruction's path and drawn.

    Args:
        tokens: hidden states of a level.

    Returns:
        The mean of the tokens' directions, as the authors take it for their figures.
    """
    return jnp.mean(unit_tokens(tokens), axis=1)
