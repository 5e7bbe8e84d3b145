import dataclasses

import jax
import jax.numpy as jnp
import pytest
import reference_janus as reference
from flax import traverse_util

from jaxrecon.encoders.janus import Janus
from jaxrecon.encoders.janus_memory import cache_bytes, gradient_memory, weight_bytes
from jaxrecon.encoders.janus_spec import JANUS_PRO_1B, janus_shapes
from jaxrecon.encoders.janus_store import random_janus

# The published widths, so that arrays count as they do there, in few layers.
FEW = dataclasses.replace(
    JANUS_PRO_1B,
    vision=dataclasses.replace(JANUS_PRO_1B.vision, depth=1),
    language=dataclasses.replace(JANUS_PRO_1B.language, depth=8, vocabulary=512),
)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_weights_take_what_is_said(dtype):
    weights = random_janus(reference.SMALL, dtype)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(weights.parameters))
    assert weight_bytes(reference.SMALL, dtype) == held


def test_the_published_size():
    # 1.96e9 parameters; the norms, biases and positions are float32 in either case.
    assert weight_bytes(JANUS_PRO_1B, jnp.float32) == 4 * 1962640384
    assert 0 < weight_bytes(JANUS_PRO_1B, jnp.bfloat16) / (2 * 1962640384) - 1 < 1e-3


def test_a_cache_takes_what_is_said():
    language, tokens = reference.SMALL.language, 30
    janus = Janus(reference.SMALL, (3,))
    embeddings = jax.ShapeDtypeStruct((2, tokens, language.width), jnp.float32)
    mask = jax.ShapeDtypeStruct((2, tokens), bool)
    parameters = random_janus(reference.SMALL).parameters

    def prefill(embeddings, mask):
        return janus.apply({"frozen": parameters}, embeddings, mask, 6, method="prefill")

    _, cache = jax.eval_shape(prefill, embeddings, mask)
    held = cache.keys.size * 4 + cache.values.size * 4
    assert cache_bytes(reference.SMALL, 2, tokens + 6, jnp.float32) == held


@pytest.mark.parametrize(("batch", "remat"), [(1, True), (3, True), (1, False)])
def test_a_gradient_step_takes_about_what_is_said(batch, remat):
    tokens = FEW.image_tokens + 60
    parameters = traverse_util.unflatten_dict(
        {
            path: jax.ShapeDtypeStruct(shape, jnp.float32)
            for path, shape in janus_shapes(FEW).items()
        },
        sep="/",
    )
    janus = Janus(FEW, (8,), remat=remat)

    def score(images, frozen, tokens, mask):
        return jnp.sum(janus.apply({"frozen": frozen}, images, tokens, mask, mask)[0][:, -1])

    prompts = (jax.ShapeDtypeStruct((batch, tokens), kind) for kind in (jnp.int32, bool))
    images = jax.ShapeDtypeStruct((batch, 384, 384, 3), jnp.float32)
    compiled = jax.jit(jax.grad(score)).lower(images, parameters, *prompts).compile()
    taken = compiled.memory_analysis().temp_size_in_bytes
    said = gradient_memory(FEW, batch, tokens, jnp.float32, images=batch, remat=remat)
    assert said.weights == weight_bytes(FEW, jnp.float32)
    assert 0.7 < (said.kept + said.layer) / taken < 1.4


def test_the_estimate_is_one_line():
    said = str(gradient_memory(JANUS_PRO_1B, 1, 640, jnp.bfloat16))
    assert said.startswith("about 4.39 GB")
    assert said.count(" GB") == 4
    assert "\n" not in said
