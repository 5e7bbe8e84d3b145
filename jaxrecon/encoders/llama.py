"""The Llama language model: hidden states, logits, and steps with a cache of keys and values.

Touvron et al. 2023, "LLaMA" (arXiv:2302.13971): RMSNorm, rotary embeddings, SwiGLU. All weights
live in the collection "frozen"; those of the layers are stacked for one scan over them.
"""

import enum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxrecon.encoders.frozen_layers import FROZEN, Dense, RMSNorm, frozen_variable
from jaxrecon.encoders.janus_spec import LlamaSpec
from jaxrecon.encoders.rotary import positions_of, rotary_angles, rotate
from jaxrecon.errors import InputError


@jax.tree_util.register_static
class _Emit(enum.Enum):
    """What the scan over the layers stacks: nothing, their outputs, or their keys and values."""

    NOTHING = enum.auto()
    OUTPUTS = enum.auto()
    CACHE = enum.auto()


class Cache(NamedTuple):
    """Keys and values of the tokens so far, in every layer.

    Attributes:
        keys: (layers, batch, room, key_value_heads, head_width), rotated, in the model's dtype.
        values: of the same shape and dtype.
        mask: (batch, room) bool, the tokens that may be attended to.
        length: () int32, tokens so far, padding included, the same in the whole batch.
    """

    keys: Array
    values: Array
    mask: Array
    length: Array


class _Stream(NamedTuple):
    """What goes from one layer to the next.

    Attributes:
        x: residual stream.
        layer: index of the layer to come.
        keys: of all layers, where there is a cache.
        values: likewise.
    """

    x: Array
    layer: Array
    keys: Array | None = None
    values: Array | None = None


class _Context(NamedTuple):
    """What all layers share.

    Attributes:
        cosines: of the rotary angles of the tokens at hand.
        sines: likewise.
        mask: (batch, 1, queries, keys), who may attend to whom.
        start: place of the first token at hand in the cache.
        emit: what the scan over the layers stacks.
    """

    cosines: Array
    sines: Array
    mask: Array
    start: Array
    emit: _Emit


class _Layer(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm and around a residual connection."""

    spec: LlamaSpec
    dtype: DTypeLike

    @nn.compact
    def __call__(self, stream: _Stream, context: _Context) -> tuple[_Stream, Any]:
        spec, x = self.spec, stream.x
        y = RMSNorm(spec.epsilon, name="norm1")(x)
        query, key, value = (
            self._dense(heads * spec.head_width, name)(y).reshape(*y.shape[:2], heads, -1)
            for name, heads in (
                ("query", spec.heads),
                ("key", spec.key_value_heads),
                ("value", spec.key_value_heads),
            )
        )
        query, key = (
            rotate(part, context.cosines, context.sines).astype(self.dtype) for part in (query, key)
        )
        emitted: Any = (key, value) if context.emit == _Emit.CACHE else None
        if stream.keys is not None and stream.values is not None:
            place = (stream.layer, 0, context.start, 0, 0)
            keys, values = (
                jax.lax.dynamic_update_slice(everything, new[None], place)
                for everything, new in ((stream.keys, key), (stream.values, value))
            )
            stream = stream._replace(keys=keys, values=values)
            key, value = keys[stream.layer], values[stream.layer]
        attended = jax.nn.dot_product_attention(query, key, value, mask=context.mask)
        x = x + self._dense(spec.width, "output")(attended.reshape(*y.shape[:2], -1))
        y = RMSNorm(spec.epsilon, name="norm2")(x)
        gate, up = (self._dense(spec.mlp_width, name)(y) for name in ("gate", "up"))
        x = x + self._dense(spec.width, "down")(jax.nn.silu(gate) * up)
        if context.emit == _Emit.OUTPUTS:
            emitted = x
        return stream._replace(x=x, layer=stream.layer + 1), emitted

    def _dense(self, features: int, name: str) -> Dense:
        return Dense(features, self.dtype, use_bias=False, name=name)


class _Head(nn.Module):
    """Logits, float32: in bfloat16 likely tokens would tie."""

    vocabulary: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch vocabulary"]:
        kernel = frozen_variable(self, "kernel", (x.shape[-1], self.vocabulary), self.dtype)
        return jnp.matmul(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
        )


class Llama(nn.Module):
    """A frozen language model.

    Attributes:
        spec: the architecture.
        states: hidden states that `__call__` returns: 0 is the embeddings, k the output of the
            k-th layer, the last one's taken behind the final norm.
        dtype: of the matrix products, and of their weights in memory. The residual stream and the
            norms are float32 (float64 where `dtype` is).
        remat: keep only the layers' inputs for the gradient, and compute the rest again.
    """

    spec: LlamaSpec
    states: tuple[int, ...]
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Declare the weights that the methods share."""
        spec = self.spec
        shape = (spec.vocabulary, spec.width)
        self.embedding = frozen_variable(self, "embedding", shape, self.dtype)
        # In a scan nothing is computed twice unasked, and a barrier would cost time.
        layer = nn.remat(_Layer, prevent_cse=False) if self.remat else _Layer
        self.layers = nn.scan(
            layer, variable_axes={FROZEN: 0}, in_axes=nn.broadcast, length=spec.depth
        )(spec, self.dtype)
        self.norm = RMSNorm(spec.epsilon)
        self.head = _Head(spec.vocabulary, self.dtype)

    def embed(self, tokens: Int[Array, "batch tokens"]) -> Float[Array, "batch tokens width"]:
        """Embeddings of tokens, float32.

        Args:
            tokens: below `spec.vocabulary`.
        """
        return self.embedding[tokens].astype(self._precise)

    def __call__(
        self,
        embeddings: Float[Array, "batch tokens width"],
        mask: Bool[Array, "batch tokens"],
    ) -> tuple[Float[Array, "batch tokens width"], ...]:
        """Hidden states of whole sequences, in which each token sees those before it.

        Args:
            embeddings: of text and images.
            mask: False for padding, which no other token sees. The states of padding itself have
                no meaning.

        Returns:
            The hidden states in the order of `states`, float32.

        Raises:
            InputError: a hidden state is not one this architecture has.
        """
        depth, states = self.spec.depth, self.states
        if not states or min(states) < 0 or max(states) > depth:
            raise InputError(f"language.states: expected layers from 0 to {depth}, found {states}")
        embeddings = embeddings.astype(self._precise)
        inner = any(0 < state < depth for state in states)
        x, outputs = self._run(embeddings, mask, _Emit.OUTPUTS if inner else _Emit.NOTHING)
        hidden = {0: embeddings, depth: self.norm(x)}
        return tuple(hidden[state] if state in hidden else outputs[state - 1] for state in states)

    def logits(self, hidden: Float[Array, "*batch width"]) -> Float[Array, "*batch vocabulary"]:
        """Logits of the token that follows, float32.

        Args:
            hidden: the last hidden state, behind the final norm.
        """
        return self.head(hidden)

    def prefill(
        self,
        embeddings: Float[Array, "batch tokens width"],
        mask: Bool[Array, "batch tokens"],
        room: int,
    ) -> tuple[Float[Array, "batch width"], Cache]:
        """Begin sequences that `step` continues.

        Args:
            embeddings: of the prompts, padded on the left.
            mask: False for padding.
            room: tokens that may follow.

        Returns:
            The last tokens' hidden state behind the final norm, and the cache.
        """
        x, (keys, values) = self._run(embeddings.astype(self._precise), mask, _Emit.CACHE)
        free = [(0, 0), (0, 0), (0, room), (0, 0), (0, 0)]
        cache = Cache(
            keys=jnp.pad(keys, free),
            values=jnp.pad(values, free),
            mask=jnp.pad(mask, [(0, 0), (0, room)]),
            length=jnp.asarray(mask.shape[1], jnp.int32),
        )
        return self.norm(x[:, -1]), cache

    def step(
        self, embeddings: Float[Array, "batch width"], cache: Cache
    ) -> tuple[Float[Array, "batch width"], Cache]:
        """Continue every sequence by one token.

        Args:
            embeddings: of the new tokens.
            cache: with room for one more.

        Returns:
            The new tokens' hidden state behind the final norm, and the cache with them.
        """
        positions = jnp.sum(cache.mask, axis=1, keepdims=True, dtype=jnp.int32)
        mask = cache.mask.at[:, cache.length].set(True)
        context = self._context(positions, mask[:, None, None], cache.length, _Emit.NOTHING)
        x = embeddings[:, None].astype(self._precise)
        stream = _Stream(x, jnp.zeros((), jnp.int32), cache.keys, cache.values)
        stream, _ = self.layers(stream, context)
        cache = Cache(stream.keys, stream.values, mask, cache.length + 1)
        return self.norm(stream.x[:, 0]), cache

    @property
    def _precise(self) -> DTypeLike:
        return jnp.promote_types(self.dtype, jnp.float32)

    def _run(self, x: Array, mask: Array, emit: _Emit) -> tuple[Array, Any]:
        """The residual stream behind the last layer, and what the layers emit."""
        tokens = mask.shape[1]
        visible = jnp.tri(tokens, dtype=bool) & mask[:, None, None]
        start = jnp.zeros((), jnp.int32)
        context = self._context(positions_of(mask), visible, start, emit)
        stream, emitted = self.layers(_Stream(x, start), context)
        return stream.x, emitted

    def _context(self, positions: Array, visible: Array, start: Array, emit: _Emit) -> _Context:
        spec = self.spec
        angles = rotary_angles(positions, spec.head_width, spec.rope_theta, self._precise)
        return _Context(*angles, visible, start, emit)
