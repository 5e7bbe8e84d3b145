"""Greedy answers of a language model."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxrecon.encoders.frozen_layers import FROZEN
from jaxrecon.encoders.janus import Janus
from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.errors import InputError


def generate(
    spec: JanusSpec,
    parameters: PyTree,
    embeddings: Float[Array, "batch tokens width"],
    mask: Bool[Array, "batch tokens"],
    *,
    end_token: int,
    limit: int,
    dtype: DTypeLike = jnp.float32,
) -> Int[Array, "batch limit"]:
    """Answer prompts, always with the likeliest token.

    One compiled program for each shape: the prompts at once, then token by token with a cache of
    keys and values until every answer has ended.

    Args:
        spec: the architecture.
        parameters: what `Janus` keeps in the collection "frozen".
        embeddings: of the prompts with their images, padded on the left, see
            `Janus.prompt_embeddings`.
        mask: False for padding.
        end_token: ends an answer.
        limit: tokens of an answer, its end included.
        dtype: of the matrix products.

    Returns:
        int32; each answer ends with `end_token`, repeated up to the limit, unless the limit cuts
        it off.

    Raises:
        InputError: the limit is below 1.
    """
    if limit < 1:
        raise InputError(f"generate: expected a limit of at least 1 token, found {limit}")
    model = Janus(spec, (spec.language.depth,), dtype)
    return _generate(model, parameters, embeddings, mask, jnp.asarray(end_token, jnp.int32), limit)


@functools.partial(jax.jit, static_argnums=(0, 5))
def _generate(
    model: nn.Module, parameters: PyTree, embeddings: Array, mask: Array, end: Array, limit: int
) -> Array:
    def apply(method: str, *arguments: object) -> Any:
        return model.apply({FROZEN: parameters}, *arguments, method=method)

    def likeliest(hidden: Array) -> Array:
        return jnp.argmax(apply("logits", hidden), axis=-1).astype(jnp.int32)

    def unfinished(state: tuple) -> Array:
        count, _, _, ended, _ = state
        return (count < limit) & ~jnp.all(ended)

    def extend(state: tuple) -> tuple:
        count, answer, newest, ended, cache = state
        hidden, cache = apply("step", apply("embed", newest[:, None])[:, 0], cache)
        newest = jnp.where(ended, end, likeliest(hidden))
        return count + 1, answer.at[:, count].set(newest), newest, ended | (newest == end), cache

    # The last token of an answer is never fed back, hence room for one less.
    hidden, cache = apply("prefill", embeddings, mask, limit - 1)
    first = likeliest(hidden)
    answer = jnp.full((mask.shape[0], limit), end).at[:, 0].set(first)
    state = (jnp.asarray(1), answer, first, first == end, cache)
    return jax.lax.while_loop(unfinished, extend, state)[1]
