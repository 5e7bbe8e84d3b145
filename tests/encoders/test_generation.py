import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference
import torch

from jaxrecon.encoders.generation import generate
from jaxrecon.encoders.janus import Janus
from jaxrecon.errors import InputError

SPEC = reference.SMALL
LIMIT = 24


@pytest.fixture(scope="module")
def model():
    return reference.random_janus(SPEC)


@pytest.fixture(scope="module")
def frozen(model):
    return {"frozen": reference.parameters(model)}


def inputs():
    images = np.random.default_rng(4).normal(size=(3, 32, 32, 3)).astype(np.float32)
    return reference.prompts(SPEC, (7, 15, 11), seed=3), images


def embedded(frozen):
    (tokens, mask, slots), images = inputs()
    embed = jax.jit(Janus(SPEC, (3,)).apply, static_argnames="method")
    return embed(frozen, images, tokens, slots, method="prompt_embeddings"), jnp.asarray(mask)


def answers(frozen, **options):
    embeddings, mask = embedded(frozen)
    options = {"end_token": reference.END_TOKEN, "limit": LIMIT} | options
    return np.asarray(generate(SPEC, frozen["frozen"], embeddings, mask, **options))


def transformers_answers(model, end_token, use_cache):
    """Its greedy answers, with what lies behind an end made that end, up to the limit."""
    (tokens, mask, _), images = inputs()
    given = reference.torch_inputs(tokens, mask, images)
    del given["position_ids"]  # its own
    with torch.no_grad():
        found = model.generate(
            **given,
            max_new_tokens=LIMIT,
            do_sample=False,
            use_cache=use_cache,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
    found = found[:, tokens.shape[1] :].numpy()
    missing = LIMIT - found.shape[1]
    return np.pad(found, [(0, 0), (0, missing)], constant_values=end_token)


@pytest.mark.parametrize("use_cache", [True, False])
def test_answers_are_those_of_transformers(model, frozen, use_cache):
    expected = transformers_answers(model, reference.END_TOKEN, use_cache)
    assert len(np.unique(expected)) > LIMIT  # the answers are not one token over and over
    np.testing.assert_array_equal(answers(frozen), expected)


def test_an_answer_ends_with_the_end_token(model, frozen):
    free = answers(frozen)
    end = int(free[1, 4])  # what the second answer says fifth becomes the end
    assert end not in free[1, :4]
    found = answers(frozen, end_token=end)
    np.testing.assert_array_equal(found, transformers_answers(model, end, use_cache=True))
    assert (found[1, 4:] == end).all()
    assert not (found == end).all(axis=1).any()


def test_the_cache_changes_no_answer(frozen):
    embeddings, mask = embedded(frozen)
    apply = Janus(SPEC, (3,)).apply

    @jax.jit
    def likeliest(frozen, embeddings, mask, last):
        (hidden,) = apply(frozen, embeddings, mask, method="hidden_states")
        newest = jnp.argmax(apply(frozen, hidden[:, last], method="logits"), axis=-1)
        return newest, apply(frozen, newest[:, None], method="embed")

    # The whole sequence again for every token; what lies behind the newest is not seen.
    length = mask.shape[1]
    embeddings = jnp.pad(embeddings, [(0, 0), (0, LIMIT), (0, 0)])
    mask = jnp.pad(mask, [(0, 0), (0, LIMIT)], constant_values=True)
    expected = []
    for place in range(length, length + LIMIT):
        newest, vectors = likeliest(frozen, embeddings, mask, place - 1)
        embeddings = jax.lax.dynamic_update_slice(embeddings, vectors, (0, place, 0))
        expected.append(newest)
    found = answers(frozen, end_token=-1)
    np.testing.assert_array_equal(found, np.stack(expected, axis=1))


def test_hidden_states_of_steps_are_those_of_the_whole_sequence(frozen):
    embeddings, mask = embedded(frozen)
    apply = Janus(SPEC, (3,)).apply
    step = jax.jit(lambda *args: apply(*args, method="step"))
    whole = jax.jit(lambda *args: apply(*args, method="hidden_states"))
    (expected,) = whole(frozen, embeddings, mask)
    first = mask.shape[1] - 3
    prefill = jax.jit(lambda *args: apply(*args, 3, method="prefill"))
    hidden, cache = prefill(frozen, embeddings[:, :first], mask[:, :first])
    for place in range(first, mask.shape[1]):
        np.testing.assert_allclose(hidden, expected[:, place - 1], rtol=0, atol=3e-5)
        hidden, cache = step(frozen, embeddings[:, place], cache)
    np.testing.assert_allclose(hidden, expected[:, -1], rtol=0, atol=3e-5)
    assert int(cache.length) == mask.shape[1]


def test_a_limit_of_one_token_is_the_shortest(frozen):
    np.testing.assert_array_equal(answers(frozen, limit=1)[:, 0], answers(frozen)[:, 0])
    with pytest.raises(InputError, match="expected a limit of at least 1 token, found 0"):
        answers(frozen, limit=0)
