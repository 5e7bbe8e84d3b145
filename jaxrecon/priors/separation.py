"""How well a file's embeddings tell clean images from undersampled ones, before they are used."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxrecon.priors.contrastive import PAPER, Contrast, contrastive_loss, unit_tokens
from jaxrecon.priors.embeddings import (
    CLASSES,
    NEGATIVE,
    POSITIVE,
    EmbeddingFile,
    read_blocks,
)

_HELD_OUT = 16
_REFERENCES = 64


class HeldOut(NamedTuple):
    """The contrastive loss of the last fifth of the images, by references among the others.

    Attributes:
        positive: mean loss of positives.
        negative: mean loss of negatives.
        nearer: fraction of pairs of a positive and a negative in which the positive has the lower
            loss.
    """

    positive: float
    negative: float
    nearer: float


class Separation(NamedTuple):
    """What one level of a file sees.

    Attributes:
        positives: mean cosine between two different positives, token by token; None of fewer than
            2.
        negatives: likewise between two negatives.
        between: likewise between a positive and a negative.
        held_out: None of too few images to hold some out.
    """

    positives: float | None
    negatives: float | None
    between: float
    held_out: HeldOut | None


def separation(file: EmbeddingFile, level: str, contrast: Contrast = PAPER) -> Separation:
    """Compare the classes of a file at one level, a few images in memory at a time.

    Args:
        file: see `check_embeddings`.
        level: one of the file's.
        contrast: variant of the loss.

    Raises:
        InputError: the file cannot be read.
    """
    sums = {kind: _sum_of_directions(file, kind, level) for kind in CLASSES}
    counts = file.images
    within = {
        # The cosine of an image with itself, 1, is taken out of the sum.
        kind: (_mean_product(sums[kind], sums[kind]) - counts[kind])
        / (counts[kind] * (counts[kind] - 1))
        if counts[kind] > 1
        else None
        for kind in CLASSES
    }
    between = _mean_product(sums[POSITIVE], sums[NEGATIVE]) / (counts[POSITIVE] * counts[NEGATIVE])
    return Separation(within[POSITIVE], within[NEGATIVE], between, _held_out(file, level, contrast))


def _sum_of_directions(
    file: EmbeddingFile, kind: str, level: str
) -> Float[np.ndarray, "tokens width"]:
    total = np.zeros(file.shapes[level])
    for block in read_blocks(file, kind, level):
        total += np.asarray(_directions(block)).sum(axis=0, dtype=np.float64)
    return total


def _mean_product(
    a: Float[np.ndarray, "tokens width"], b: Float[np.ndarray, "tokens width"]
) -> float:
    return float(np.mean(np.sum(a * b, axis=-1)))


def _held_out(file: EmbeddingFile, level: str, contrast: Contrast) -> HeldOut | None:
    # A block at the end rather than single images: neighbouring slices are nearly the same.
    firsts = {kind: file.images[kind] - file.images[kind] // 5 for kind in CLASSES}
    if any(firsts[kind] == file.images[kind] for kind in CLASSES):
        return None

    def spread(kind: str, first: int, last: int, most: int) -> np.ndarray:
        chosen = np.linspace(first, last - 1, min(most, last - first)).round().astype(int)
        return np.concatenate(list(read_blocks(file, kind, level, chosen.tolist())))

    references = [_directions(spread(kind, 0, firsts[kind], _REFERENCES)) for kind in CLASSES]
    losses = [
        np.asarray(
            _loss(spread(kind, firsts[kind], file.images[kind], _HELD_OUT), *references, contrast)
        )
        for kind in CLASSES
    ]
    nearer = np.mean(losses[0][:, None] < losses[1])
    return HeldOut(float(losses[0].mean()), float(losses[1].mean()), float(nearer))


@jax.jit
def _directions(tokens: jax.Array) -> jax.Array:
    return unit_tokens(jnp.asarray(tokens))


_loss = jax.jit(contrastive_loss, static_argnums=3)
