"""The embeddings that a reconstruction is compared with, as the loss wants them."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxrecon.errors import InputError
from jaxrecon.priors.contrastive import unit_tokens
from jaxrecon.priors.embeddings import CLASSES, NEGATIVE, POSITIVE, EmbeddingFile, read_blocks
from jaxrecon.priors.projection import Projection, fit_projection, project

# In the authors' code, low to high; the last is 512 for the unrolled network.
CODE_COMPONENTS = (64, 128, 256)


class LevelBank(NamedTuple):
    """One level's references.

    Attributes:
        projection: to be applied to what is compared with them; None where there is none.
        positives: projected and of length 1 each.
        negatives: likewise.
    """

    projection: Projection | None
    positives: Float[Array | np.ndarray, "positives tokens size"]
    negatives: Float[Array | np.ndarray, "negatives tokens size"]


Bank = tuple[LevelBank, ...]
"""The levels of a prior, low to high: a tree of arrays, to be an argument of compiled functions."""


def load_bank(
    file: EmbeddingFile,
    levels: Sequence[str],
    components: Sequence[int] | None = None,
    *,
    dtype: DTypeLike = jnp.float32,
) -> Bank:
    """Read a file's embeddings, a few images at a time, and bring them into the loss's form.

    Raw embeddings are never in memory together: what is kept is projected, and stays on the host.

    Args:
        file: see `check_embeddings`.
        levels: to read, low to high.
        components: principal components to keep of each level, fitted on all its tokens of both
            classes; None for no projection, as in the paper.
        dtype: of the references; bfloat16 takes half the memory.

    Returns:
        Arrays on the host.

    Raises:
        InputError: the file cannot be read, or has too few embeddings for so many components.
    """
    if components is not None and len(components) != len(levels):
        raise InputError(
            f"{file.path}: expected principal components for {len(levels)} levels, "
            f"found {len(components)}"
        )
    return tuple(
        _load_level(file, level, None if components is None else components[position], dtype)
        for position, level in enumerate(levels)
    )


def draw_images(bank: Bank, memory: int, seed: int) -> Bank:
    """As many of a bank's images as fit into memory, or the bank itself where all do.

    Drawing anew every so many steps lets a device see all of a bank that it cannot hold.

    Args:
        bank: on the host.
        memory: bytes the references may take.
        seed: of the draw, which takes the same images in every level.

    Returns:
        Arrays on the host.

    Raises:
        InputError: not one image of each class fits.
    """
    total = bank_bytes(bank)
    if total <= memory:
        return bank
    generator = np.random.default_rng(seed)
    chosen = {}
    for kind in CLASSES:
        count = len(_references(bank[0], kind))
        kept = int(count * memory / total)
        if kept < 1:
            raise InputError(
                f"prior.memory: expected room for at least one image of each class, "
                f"{total // min(len(_references(bank[0], k)) for k in CLASSES):,} bytes, "
                f"found {memory:,}"
            )
        chosen[kind] = np.sort(generator.choice(count, kept, replace=False))
    return tuple(
        level._replace(
            positives=level.positives[chosen[POSITIVE]], negatives=level.negatives[chosen[NEGATIVE]]
        )
        for level in bank
    )


def bank_bytes(bank: Bank) -> int:
    """Memory that a bank's references take."""
    return sum(_references(level, kind).nbytes for level in bank for kind in CLASSES)


def _load_level(
    file: EmbeddingFile, level: str, components: int | None, dtype: DTypeLike
) -> LevelBank:
    projection = None
    if components is not None:
        rows = (
            block.reshape(-1, block.shape[-1])
            for kind in CLASSES
            for block in read_blocks(file, kind, level)
        )
        projection = fit_projection(rows, components, f"{file.path}: {level}")

    def references(kind: str) -> np.ndarray:
        blocks = (jnp.asarray(block) for block in read_blocks(file, kind, level))
        return np.concatenate([np.asarray(_unit(b, projection, dtype)) for b in blocks])

    return LevelBank(projection, references(POSITIVE), references(NEGATIVE))


@functools.partial(jax.jit, static_argnames="dtype")
def _unit(tokens: Array, projection: Projection | None, dtype: DTypeLike) -> Array:
    return unit_tokens(project(tokens, projection), dtype)


def _references(level: LevelBank, kind: str) -> Array | np.ndarray:
    return level.positives if kind == POSITIVE else level.negatives
