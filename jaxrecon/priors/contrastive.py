"""Contrastive losses with many positives (Feng et al. 2025, arXiv:2511.19641, equation 3).

For an embedding e, positives P and negatives N, with sim the cosine and s(x) = sim(e, x) / tau,

    L = -log( sum_P exp s(p) / (sum_P exp s(p) + sum_N exp s(n)) ),

which is computed as log(1 + exp(logsumexp_N s(n) - logsumexp_P s(p))): neither overflow nor a
difference of nearly equal numbers can occur, whatever the temperature.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxrecon.errors import InputError

REDUCTIONS = ("token", "image")

# Of the levels' losses in their sum, low to high.
PAPER_LEVEL_WEIGHTS = (0.005, 0.5, 1.0)
CODE_LEVEL_WEIGHTS = (0.01, 0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Variant of the contrastive loss.

    Attributes:
        temperature: tau.
        negative_temperature: of the negatives, where it differs; None: `temperature`.
        reduction: what one sample of equation (3) is. "token": each token of the image, compared
            with the tokens at its place in the others, the loss averaged over tokens. "image": the
            whole image, its cosine averaged over tokens first. They are the same for embeddings
            of one token.
    """

    temperature: float = 0.07
    negative_temperature: float | None = None
    reduction: str = "token"

    def __post_init__(self) -> None:
        temperatures = [self.temperature, self.negative_temperature or self.temperature]
        if not min(temperatures) > 0 or self.negative_temperature == 0:
            raise InputError(
                "contrast.temperature: expected more than 0, found "
                f"{self.temperature} and {self.negative_temperature}"
            )
        if self.reduction not in REDUCTIONS:
            raise InputError(
                f"contrast.reduction: expected one of {', '.join(REDUCTIONS)}, "
                f"found {self.reduction!r}"
            )


PAPER = Contrast()
"""Equation (3), token by token."""
CODE = Contrast(reduction="image")
"""The authors' released code for images, there after a PCA of each level."""
CODE_LANGUAGE = Contrast(temperature=0.1, negative_temperature=0.7, reduction="image")
"""The released code's loss for language embeddings: negatives push less than positives pull."""


def contrast_of(config: Mapping[str, Any]) -> Contrast:
    """The variant that an experiment names.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`.

    Raises:
        InputError: a setting is not usable.
    """
    return Contrast(
        temperature=float(config["temperature"]),
        negative_temperature=float(config["negative_temperature"]) or None,
        reduction=config["reduction"],
    )


def unit_tokens(
    tokens: Float[Array, "*batch width"], dtype: DTypeLike = jnp.float32
) -> Float[Array, "*batch width"]:
    """Tokens divided by their length; a token of zeros stays, and has a gradient of 0.

    Args:
        tokens: embeddings of any scale.
        dtype: of the result.
    """
    wide = tokens.astype(jnp.float32)
    # Squares of small embeddings underflow in float32: scale by the largest part first. The result
    # does not depend on it, so neither does the gradient.
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(wide), axis=-1, keepdims=True))
    scaled = wide / jnp.where(peak > 0, peak, 1)
    square = jnp.sum(jnp.square(scaled), axis=-1, keepdims=True)
    inverse = jnp.where(square > 0, jax.lax.rsqrt(jnp.where(square > 0, square, 1)), 0)
    return (scaled * inverse).astype(dtype)


def token_similarities(
    unit: Float[Array, "batch tokens width"], references: Float[Array, "images tokens width"]
) -> Float[Array, "batch tokens images"]:
    """Cosine of each token with the token at its place in every reference image.

    Args:
        unit: see `unit_tokens`.
        references: see `unit_tokens`; in bfloat16 they take half the memory, at errors of 0.004.

    Returns:
        float32.
    """
    return jnp.einsum(
        "btw,itw->bti",
        unit.astype(references.dtype),
        references,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )


def info_nce(
    positive: Float[Array, "*batch positives"],
    negative: Float[Array, "*batch negatives"],
    contrast: Contrast = PAPER,
) -> Float[Array, "*batch"]:
    """Equation (3) for one sample, from its similarities.

    Args:
        positive: similarities to the positives.
        negative: similarities to the negatives.
        contrast: its temperatures.

    Returns:
        0 or more; 0 where the positives outweigh the negatives entirely.
    """
    pull = jax.nn.logsumexp(positive / contrast.temperature, axis=-1)
    push_temperature = contrast.negative_temperature or contrast.temperature
    push = jax.nn.logsumexp(negative / push_temperature, axis=-1)
    return jax.nn.softplus(push - pull)


def contrastive_loss(
    tokens: Float[Array, "batch tokens width"],
    positives: Float[Array, "positives tokens width"],
    negatives: Float[Array, "negatives tokens width"],
    contrast: Contrast = PAPER,
) -> Float[Array, " batch"]:
    """How far embeddings are from positives, relative to negatives.

    Args:
        tokens: embeddings to judge, any scale; it is differentiable in them.
        positives: see `unit_tokens`, which is applied once and not at each step.
        negatives: likewise.
        contrast: the variant.

    Returns:
        One loss for each of the batch.
    """
    unit = unit_tokens(tokens)
    positive = token_similarities(unit, positives)
    negative = token_similarities(unit, negatives)
    if contrast.reduction == "image":
        return info_nce(positive.mean(axis=1), negative.mean(axis=1), contrast)
    return info_nce(positive, negative, contrast).mean(axis=-1)
