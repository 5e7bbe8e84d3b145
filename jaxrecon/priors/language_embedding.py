"""References of the language prior: perturbed prompts whose answers keep their meaning.

Equation (10) of arXiv:2511.19641. A perturbation of the prompt's embeddings is to broaden the
reference, not to change what the model says of the image: the answers to the perturbed and to the
plain prompt are compared, see `jaxrecon.priors.answers`.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float32, Int, Integer, PyTree

from jaxrecon.encoders.generation import generate
from jaxrecon.priors.answers import meaning
from jaxrecon.priors.language_prior import (
    LanguagePrior,
    image_tokens,
    last_states,
    noise,
    prompt_embeddings,
)

_ROWS = 8
"""Sequences at a time: their keys and values are what takes memory."""


@dataclasses.dataclass(frozen=True)
class Answering:
    """How the model's answers are had.

    Attributes:
        decode: tokens of answers to their texts.
        end_token: ends an answer.
        limit: tokens of an answer.
    """

    decode: Callable[[Int[np.ndarray, "batch limit"]], Sequence[str]]
    end_token: int
    limit: int


@dataclasses.dataclass(frozen=True)
class Perturbing:
    """How prompts are perturbed.

    Attributes:
        count: embeddings of each image, K of equation (10); 0: the plain one alone.
        std: standard deviation, sigma.
        draws: of a perturbation, until the answer means what that to the plain prompt does. Where
            none does, the plain prompt's embedding takes its place. 0: answers are not looked at.
        meanings: see `jaxrecon.priors.answers.meaning`.
    """

    count: int
    std: float
    draws: int
    meanings: tuple[str, ...] = ()


class _Row(NamedTuple):
    """An embedding to be made: of which image, its place among the image's, and which draw."""

    image: int
    place: int
    draw: int


def answers(
    prior: LanguagePrior,
    answering: Answering,
    parameters: PyTree,
    images: Complex[Array, "batch height width"],
) -> list[str]:
    """What the model answers to the plain prompt about each image, always by the likeliest token.

    Args:
        prior: the prior.
        answering: how.
        parameters: see `jaxrecon.priors.language_prior.image_tokens`.
        images: of any scale.
    """
    seen = _image_tokens(prior, parameters, images)
    found = []
    for rows in _blocks(range(len(seen)), min(_ROWS, len(seen))):
        embeddings = _plain(prior, parameters, seen[jnp.asarray(rows.places)])
        found += _texts(prior, answering, parameters, embeddings)[: rows.new]
    return found


def perturbed_embeddings(
    prior: LanguagePrior,
    answering: Answering,
    perturbing: Perturbing,
    parameters: PyTree,
    images: Complex[Array, "batch height width"],
    seeds: Integer[Array, " batch"],
) -> tuple[Float32[np.ndarray, "rows 1 channels"], collections.Counter[str]]:
    """Embeddings of images under perturbed prompts; those of an image stand together.

    Args:
        prior: the prior.
        answering: how answers are had.
        perturbing: how prompts are perturbed.
        parameters: see `jaxrecon.priors.language_prior.image_tokens`.
        images: of any scale.
        seeds: of each image's perturbations.

    Returns:
        The embeddings, and how many of them were "kept" as first drawn, "redrawn", or "replaced"
        by the plain prompt's; with `perturbing.draws` of 0 they are "unchecked".
    """
    seen = _image_tokens(prior, parameters, images)
    plain = [
        np.asarray(_plain_states(prior, parameters, seen[jnp.asarray(rows.places)]))[: rows.new]
        for rows in _blocks(range(len(seen)), min(_ROWS, len(seen)))
    ]
    states = np.concatenate(plain)
    if not perturbing.count:
        return states, collections.Counter()
    found = np.repeat(states, perturbing.count, axis=0)
    expected = []
    if perturbing.draws:
        said = answers(prior, answering, parameters, images)
        expected = [meaning(text, perturbing.meanings) for text in said]

    counts: collections.Counter[str] = collections.Counter()
    own = np.asarray(seeds)
    waiting = [_Row(i, k, 0) for i in range(len(seen)) for k in range(perturbing.count)]
    # Of one size to the end, however few are left: programs are compiled for each.
    size = min(_ROWS, len(waiting))
    while waiting:
        refused = []
        for block in _blocks(waiting, size):
            rows = block.places
            numbers = np.asarray([[own[row.image], row.place, row.draw] for row in rows])
            embeddings = _perturbed(
                prior,
                parameters,
                seen[jnp.asarray([row.image for row in rows])],
                numbers.astype(np.uint32),
                perturbing.std,
            )
            made = np.asarray(_states(prior, parameters, embeddings))
            means = (
                [
                    meaning(text, perturbing.meanings)
                    for text in _texts(prior, answering, parameters, embeddings)
                ]
                if expected
                else []
            )
            for index, row in enumerate(rows[: block.new]):
                if not expected or means[index] == expected[row.image]:
                    found[row.image * perturbing.count + row.place] = made[index]
                    counts["redrawn" if row.draw else "kept" if expected else "unchecked"] += 1
                elif row.draw + 1 < perturbing.draws:
                    refused.append(row._replace(draw=row.draw + 1))
                else:
                    counts["replaced"] += 1
        waiting = refused
    return found, counts


class _Block(NamedTuple):
    """Some places, the last one repeated up to the number computed at a time; `new` without it."""

    places: Sequence[Any]
    new: int


def _blocks(places: Sequence[Any], size: int) -> Iterator[_Block]:
    for first in range(0, len(places), size):
        block = list(places[first : first + size])
        yield _Block(block + block[-1:] * (size - len(block)), len(block))


def _texts(
    prior: LanguagePrior, answering: Answering, parameters: PyTree, embeddings: Array
) -> list[str]:
    network = prior.network
    tokens = generate(
        network.spec,
        parameters,
        embeddings,
        jnp.ones(embeddings.shape[:2], bool),
        end_token=answering.end_token,
        limit=answering.limit,
        dtype=network.dtype,
    )
    return list(answering.decode(np.asarray(tokens)))


@functools.partial(jax.jit, static_argnums=0)
def _image_tokens(prior: LanguagePrior, parameters: PyTree, images: Array) -> Array:
    return image_tokens(prior, parameters, images)


@functools.partial(jax.jit, static_argnums=0)
def _plain(prior: LanguagePrior, parameters: PyTree, seen: Array) -> Array:
    return prompt_embeddings(prior, parameters, seen)


@functools.partial(jax.jit, static_argnums=0)
def _perturbed(
    prior: LanguagePrior, parameters: PyTree, seen: Array, draws: Array, std: Array
) -> Array:
    return prompt_embeddings(prior, parameters, seen, noise(prior, draws, std))


@functools.partial(jax.jit, static_argnums=0)
def _states(prior: LanguagePrior, parameters: PyTree, embeddings: Array) -> Array:
    return last_states(prior, parameters, embeddings)


def _plain_states(prior: LanguagePrior, parameters: PyTree, seen: Array) -> Array:
    return _states(prior, parameters, _plain(prior, parameters, seen))
