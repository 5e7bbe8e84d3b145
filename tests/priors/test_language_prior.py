import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference

from jaxrecon.encoders.janus import Janus
from jaxrecon.encoders.janus_store import random_janus
from jaxrecon.errors import InputError
from jaxrecon.priors.contrastive import contrastive_loss, unit_tokens
from jaxrecon.priors.language_prior import (
    LanguagePrior,
    embed,
    image_tokens,
    last_states,
    noise,
    prompt_embeddings,
)
from jaxrecon.priors.preprocessing import Preprocessing

SPEC = reference.SMALL
# Text before and behind the image's 16 tokens.
SLOTS = (False,) * 3 + (True,) * SPEC.image_tokens + (False,) * 6
TOKENS = (*range(10, 13), *(5,) * SPEC.image_tokens, *range(20, 26))
LAST = (SPEC.language.depth,)


def prior_of(dtype=jnp.float32, remat=True):
    return LanguagePrior(
        Janus(SPEC, LAST, dtype, remat), Preprocessing(size=SPEC.image_size), TOKENS, SLOTS
    )


PRIOR = prior_of()


def images(count, seed=0, size=40):
    parts = np.random.default_rng(seed).normal(size=(2, count, size, size))
    return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)


@pytest.fixture(scope="module")
def parameters():
    """Weights large enough that an image changes the state that follows."""
    return jax.tree.map(lambda x: 2 * x if x.ndim > 1 else x, random_janus(SPEC).parameters)


@pytest.fixture(scope="module")
def seen(parameters):
    return jax.jit(functools.partial(image_tokens, PRIOR))(parameters, images(3))


@pytest.fixture(scope="module")
def compute():
    return jax.jit(functools.partial(embed, PRIOR))


def numbers(count):
    return jnp.asarray([[7, place, 0] for place in range(count)], jnp.uint32)


def test_the_embedding_is_transformers_last_hidden_state(compute):
    torch = reference.torch
    model = reference.random_janus(SPEC)
    image = images(2)
    found = compute(reference.parameters(model), image)
    magnitude = np.abs(image)
    scaled = magnitude / magnitude.max(axis=(1, 2), keepdims=True)
    pixels = np.repeat(((scaled - 0.5) / 0.5)[:, 4:36, 4:36, None], 3, axis=-1)
    tokens = np.repeat(np.asarray(TOKENS)[None], 2, axis=0)
    with torch.no_grad():
        inputs = reference.torch_inputs(tokens, np.ones_like(tokens, bool), pixels)
        hidden = model(**inputs, output_hidden_states=True).hidden_states[-1]
    expected = hidden[:, -1].numpy()
    assert found.shape == (2, 1, 32)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5 * np.abs(expected).max())


def test_only_text_is_perturbed(parameters, seen):
    @jax.jit
    def perturbed(std):
        draws = noise(PRIOR, numbers(3), std)
        embeddings = prompt_embeddings(PRIOR, parameters, seen, draws)
        return draws, embeddings, last_states(PRIOR, parameters, embeddings)

    draws, embeddings, states = perturbed(0.5)
    slots = np.asarray(SLOTS)
    np.testing.assert_array_equal(embeddings[:, slots], seen)
    assert (draws[:, slots] == 0).all()
    text = np.asarray(parameters["language"]["embedding"])[np.asarray(TOKENS)[~slots]]
    expected = text + np.asarray(draws)[:, ~slots]
    # One rounding of the summands, whose sum may be near 0.
    np.testing.assert_allclose(embeddings[:, ~slots], expected, rtol=1e-6, atol=2e-7)
    _, plain, plain_states = perturbed(0.0)
    np.testing.assert_array_equal(plain[:, ~slots], np.tile(text, (3, 1, 1)))
    scale = float(jnp.abs(plain_states).max())
    expected = jax.jit(functools.partial(embed, PRIOR))(parameters, images(3))
    np.testing.assert_allclose(plain_states, expected, atol=1e-5 * scale)
    assert float(jnp.abs(states - plain_states).max()) > 0.1 * scale


def test_perturbations_are_normal_and_each_has_its_own():
    count, std = 200, 0.03
    draws = np.asarray(noise(PRIOR, numbers(count), std))[:, ~np.asarray(SLOTS)]
    # Five standard errors, of 200 x 9 x 32 numbers.
    error = 5 / np.sqrt(draws.size)
    assert abs(draws.mean()) < std * error
    assert draws.std() == pytest.approx(std, rel=error)
    assert np.mean(draws**4) == pytest.approx(3 * std**4, rel=0.1)
    rows = draws.reshape(count, -1)
    cosines = np.corrcoef(rows) - np.eye(count)
    assert np.abs(cosines).max() < 6 / np.sqrt(rows.shape[1])
    np.testing.assert_array_equal(draws, noise(PRIOR, numbers(count), std)[:, ~np.asarray(SLOTS)])
    for other in ([8, 0, 0], [7, 0, 1]):
        assert (noise(PRIOR, jnp.asarray([other], jnp.uint32), std)[0, 0] != draws[0, 0]).all()


def test_an_image_of_any_scale_is_the_same(parameters, compute):
    image = images(2)
    expected = compute(parameters, image)
    for scale in (1e-6, 3.0, 1e6):
        found = compute(parameters, scale * image)
        np.testing.assert_allclose(found, expected, atol=1e-5 * float(jnp.abs(expected).max()))


def test_an_image_s_embedding_does_not_depend_on_the_others(parameters, compute):
    image = images(2)
    together = compute(parameters, image)
    scale = float(jnp.abs(together).max())
    for i in range(2):
        alone = compute(parameters, image[i, None].repeat(2, axis=0))
        np.testing.assert_allclose(together[i], alone[1], atol=1e-5 * scale)
    assert (jnp.abs(together[0] - together[1]) > 1e-3 * scale).any()


def test_the_gradient_is_that_of_finite_differences(parameters):
    """Of the contrastive loss, through tower, aligner and language model."""
    generator = np.random.default_rng(3)
    references = [unit_tokens(jnp.asarray(generator.normal(size=(5, 1, 32)))) for _ in range(2)]
    with jax.enable_x64(True):
        prior = prior_of(jnp.float64)
        parts = generator.normal(size=(2, 2, 1, 40, 40))
        image, direction = jnp.asarray(parts[0] + 1j * parts[1])[:, None, 0]

        @jax.jit
        @jax.value_and_grad
        def loss(image):
            wide = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), parameters)
            return contrastive_loss(embed(prior, wide, image), *references)[0]

        gradient = loss(image)[1]
        assert gradient.dtype == jnp.complex128
        found = float(jnp.sum((gradient * direction).real))
        assert abs(found) > 0.1 * float(jnp.linalg.norm(gradient))
        # Attention's softmax and the cosines are float32 whatever the dtype, hence no smaller step.
        step = 1e-3
        ahead, behind = (float(loss(image + sign * step * direction)[0]) for sign in (1, -1))
        assert found == pytest.approx((ahead - behind) / (2 * step), rel=1e-3)


def test_bfloat16_is_near_float32(parameters, compute):
    exact = compute(parameters, images(2))
    halved = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.ndim > 1 else x, parameters)
    found = jax.jit(functools.partial(embed, prior_of(jnp.bfloat16)))(halved, images(2))
    cosine = jnp.sum(unit_tokens(found) * unit_tokens(exact), axis=-1)
    assert (cosine > 0.99).all()


def test_parts_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"prior.image_size: expected the model's, 32 pixels"):
        dataclasses.replace(PRIOR, preprocessing=Preprocessing(size=48))
    with pytest.raises(InputError, match=r"prior.prompt: expected 16 slots .*, found 15"):
        dataclasses.replace(PRIOR, tokens=TOKENS[1:], slots=SLOTS[:3] + SLOTS[4:])
