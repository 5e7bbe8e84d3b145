import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference
import torch
from flax import linen as nn
from flax import traverse_util

from jaxrecon.encoders.janus import Janus, place_image_tokens
from jaxrecon.encoders.janus_spec import JANUS_PRO_1B, janus_shapes
from jaxrecon.errors import InputError

# Two layers of everything at the published widths; the vocabulary and the image are smaller.
WIDE = dataclasses.replace(
    JANUS_PRO_1B,
    vision=dataclasses.replace(JANUS_PRO_1B.vision, depth=2, image_size=96),
    language=dataclasses.replace(JANUS_PRO_1B.language, depth=2, vocabulary=512),
)
SPECS = {"small": reference.SMALL, "wide": WIDE}


def pixels(spec, batch, seed=1):
    shape = (batch, spec.image_size, spec.image_size, 3)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module", params=list(SPECS))
def compared(request):
    """Both models' weights and what transformers' gives for two prompts of unlike lengths."""
    spec = SPECS[request.param]
    model = reference.random_janus(spec)
    inputs = *reference.prompts(spec, (9, 14)), pixels(spec, 2)
    tokens, mask, _, images = inputs
    with torch.no_grad():
        given = reference.torch_inputs(tokens, mask, images)
        expected = model(**given, output_hidden_states=True)
        vision = model.model.get_image_features(given["pixel_values"])
    return spec, reference.parameters(model), inputs, expected, vision


def assert_close(found, expected):
    """Equal to 1e-5 of the largest value."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_every_part_gives_what_transformers_gives(compared):
    spec, parameters, (tokens, mask, slots, images), expected, vision = compared
    states = tuple(range(spec.language.depth + 1))
    janus, frozen = Janus(spec, states), {"frozen": parameters}

    @jax.jit
    def run(frozen, images, tokens, mask, slots):
        features = janus.apply(frozen, images, method="image_features")
        hidden = janus.apply(frozen, images, tokens, mask, slots)
        aligned = janus.apply(frozen, images, method="image_tokens")
        return features, aligned, hidden, janus.apply(frozen, hidden[-1], method="logits")

    features, aligned, hidden, logits = run(frozen, images, tokens, mask, slots)
    assert_close(features, vision.last_hidden_state)
    assert_close(aligned, vision.pooler_output)
    assert len(expected.hidden_states) == len(hidden)
    # What a padding token sees is of no consequence: it is each model's own.
    for ours, theirs in zip(hidden, expected.hidden_states, strict=True):
        assert_close(ours[mask], theirs[mask])
    assert_close(logits[mask], expected.logits[mask])


def test_padding_does_not_reach_the_prompt():
    spec = reference.SMALL
    parameters = reference.parameters(reference.random_janus(spec))
    run = jax.jit(Janus(spec, (1, 3)).apply)
    tokens, mask, slots = reference.prompts(spec, (9, 14))
    images = pixels(spec, 2)
    padded = run({"frozen": parameters}, images, tokens, mask, slots)
    alone = run({"frozen": parameters}, images[:1], tokens[:1, 5:], mask[:1, 5:], slots[:1, 5:])
    for ours, theirs in zip(padded, alone, strict=True):
        assert_close(ours[0, 5:], theirs[0])


def test_the_tree_is_the_one_declared():
    spec = reference.SMALL
    janus = Janus(spec, (0, 3))

    def all_parts(module, images, tokens, mask):
        return module.logits(module(images, tokens, mask, mask)[-1])

    inputs = jnp.asarray(pixels(spec, 1)), jnp.zeros((1, 16), jnp.int32), jnp.ones((1, 16), bool)
    variables = jax.eval_shape(nn.init(all_parts, janus), jax.random.key(0), *inputs)
    assert variables.keys() == {"frozen"}
    flat = traverse_util.flatten_dict(variables["frozen"], sep="/")
    assert {path: leaf.shape for path, leaf in flat.items()} == janus_shapes(spec)


@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_of_the_image_is_that_of_transformers(remat):
    spec = reference.SMALL
    model = reference.random_janus(spec).double()
    tokens, mask, slots = reference.prompts(spec, (9, 14))
    images = pixels(spec, 2).astype(np.float64)
    weights = np.random.default_rng(2).normal(size=(2, spec.language.width))

    # One by one: in float64 transformers' mask turns what padding sees into NaN.
    expected = []
    for row, weight in enumerate(weights):
        real = mask[row : row + 1, mask[row]]
        given = reference.torch_inputs(tokens[row : row + 1, mask[row]], real, images[row, None])
        given["pixel_values"].requires_grad_()
        last = model(**given, output_hidden_states=True).hidden_states[-1][0, -1]
        (last @ torch.from_numpy(weight)).backward()
        expected.append(given["pixel_values"].grad[0].permute(1, 2, 0).numpy())

    with jax.enable_x64(True):
        janus = Janus(spec, (3,), jnp.float64, remat)
        frozen = {"frozen": reference.parameters(model)}

        def score(images, frozen, tokens, mask, slots):
            (hidden,) = janus.apply(frozen, images, tokens, mask, slots)
            return jnp.sum(hidden[:, -1] * weights)

        found = jax.jit(jax.grad(score))(images, frozen, tokens, mask, slots)
        assert found.dtype == jnp.float64
    assert_close(found, expected)


def test_rematerialised_layers_keep_less_for_the_gradient():
    spec = dataclasses.replace(
        reference.SMALL, language=dataclasses.replace(reference.SMALL.language, depth=12)
    )
    shapes = janus_shapes(spec)
    parameters = traverse_util.unflatten_dict(
        {path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in shapes.items()}, sep="/"
    )
    prompt = reference.prompts(spec, (40,))

    def temporary_bytes(remat):
        janus = Janus(spec, (12,), remat=remat)

        def score(images, frozen, *prompt):
            return jnp.sum(janus.apply({"frozen": frozen}, images, *prompt)[0])

        lowered = jax.jit(jax.grad(score)).lower(pixels(spec, 1), parameters, *prompt)
        compiled = lowered.compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(remat=True) < 0.4 * temporary_bytes(remat=False)


def test_bfloat16_comes_close_with_half_the_memory():
    spec = reference.SMALL
    parameters = reference.parameters(reference.random_janus(spec))
    inputs = pixels(spec, 2), *reference.prompts(spec, (9, 14))
    mask = inputs[2]
    expected, found = (
        jax.jit(Janus(spec, (0, 1, 3), dtype).apply)({"frozen": parameters}, *inputs)
        for dtype in (jnp.float32, jnp.bfloat16)
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == jnp.float32
        difference = np.abs(ours - theirs)[mask].max() / np.abs(theirs)[mask].max()
        assert 1e-5 < difference < 4e-2


def test_image_tokens_fill_their_slots_in_order():
    text = jnp.asarray(np.arange(12).reshape(2, 6, 1), jnp.float32)
    image = jnp.asarray([[[100.0], [101.0]], [[200.0], [201.0]]])
    slots = jnp.asarray([[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]], bool)
    found = place_image_tokens(text, image, slots)[..., 0]
    expected = [[0, 100, 2, 101, 4, 5], [6, 7, 8, 9, 200, 201]]
    np.testing.assert_array_equal(found, np.asarray(expected, np.float32))


@pytest.mark.parametrize("states", [(), (4,), (-1, 2)])
def test_impossible_hidden_states_are_named(states):
    spec = reference.SMALL
    with pytest.raises(InputError, match=r"language.states: expected layers from 0 to 3, found \("):
        jax.eval_shape(
            Janus(spec, states).init,
            jax.random.key(0),
            pixels(spec, 1),
            *(jnp.ones((1, 16), kind) for kind in (jnp.int32, bool, bool)),
        )
