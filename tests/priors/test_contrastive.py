import dataclasses

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.priors import contrastive
from jaxrecon.priors.contrastive import CODE, CODE_LANGUAGE, PAPER, Contrast, info_nce, unit_tokens

loss = jax.jit(contrastive.contrastive_loss, static_argnames="contrast")
gradient = jax.jit(
    jax.grad(lambda *a, **k: jnp.sum(contrastive.contrastive_loss(*a, **k))),
    static_argnames="contrast",
)


def sets(batch=2, tokens=5, width=16, positives=7, negatives=9, seed=0):
    """Embeddings that are alike, as an encoder's are, at different lengths."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(tokens, width))
    return [
        (common + generator.normal(size=(count, tokens, width))) * generator.uniform(1, 9)
        for count in (batch, positives, negatives)
    ]


def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def equation_3(embedding, positives, negatives, tau, tau_negative=None):
    """-1/N sum_i log( sum_P / (sum_P + sum_N) ) for samples e_i with their own positives."""
    total = 0.0
    for i, sample in enumerate(embedding):
        pull = sum(np.exp(cosine(sample, p[i]) / tau) for p in positives)
        push = sum(np.exp(cosine(sample, n[i]) / (tau_negative or tau)) for n in negatives)
        total -= np.log(pull / (pull + push))
    return total / len(embedding)


def images_as_samples(embedding, positives, negatives, tau, tau_negative=None):
    """The same for one sample, whose similarity is the mean cosine of its tokens."""
    pull = sum(np.exp(cosine(embedding, p).mean() / tau) for p in positives)
    push = sum(np.exp(cosine(embedding, n).mean() / (tau_negative or tau)) for n in negatives)
    return -np.log(pull / (pull + push))


@pytest.mark.parametrize(
    ("contrast", "reference", "temperatures"),
    [
        (PAPER, equation_3, (0.07,)),
        (CODE, images_as_samples, (0.07,)),
        (CODE_LANGUAGE, images_as_samples, (0.1, 0.7)),
        (dataclasses.replace(CODE_LANGUAGE, reduction="token"), equation_3, (0.1, 0.7)),
    ],
)
def test_equals_a_float64_transcription_of_the_equation(contrast, reference, temperatures):
    embeddings, positives, negatives = sets()
    expected = [reference(e, positives, negatives, *temperatures) for e in embeddings]
    found = loss(
        jnp.float32(embeddings),
        unit_tokens(jnp.float32(positives)),
        unit_tokens(jnp.float32(negatives)),
        contrast=contrast,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_token_makes_both_reductions_the_same():
    tokens, positives, negatives = (jnp.float32(s) for s in sets(tokens=1))
    references = unit_tokens(positives), unit_tokens(negatives)
    np.testing.assert_array_equal(
        loss(tokens, *references, contrast=PAPER), loss(tokens, *references, contrast=CODE)
    )


def test_extreme_similarities_stay_exact():
    with jax.enable_x64(True):
        for positive, negative in ((1e6, -1e6), (-1e6, 1e6), (3.0, 3.0), (50.0, 0.0)):
            similarity = jnp.full(3, positive), jnp.full(2, negative)
            found = info_nce(*similarity, Contrast(temperature=1.0))
            exponent = negative - positive + np.log(2 / 3)
            assert float(found) == pytest.approx(np.logaddexp(0, exponent), rel=1e-12)


@pytest.mark.parametrize("temperature", [1e-4, 0.07, 1e4])
@pytest.mark.parametrize("contrast", [PAPER, CODE])
def test_gradients_are_finite_at_any_temperature_and_for_empty_tokens(temperature, contrast):
    tokens, positives, negatives = (jnp.float32(s) for s in sets())
    tokens = tokens.at[0].set(0).at[1, 2].set(positives[0, 2]).at[1, 3].set(-negatives[0, 3])
    references = unit_tokens(positives.at[0, 0].set(0)), unit_tokens(negatives)
    contrast = dataclasses.replace(contrast, temperature=temperature)
    for scale in (1e-30, 1.0, 1e30):
        value = loss(tokens * scale, *references, contrast=contrast)
        assert np.isfinite(value).all()
        slope = gradient(tokens * scale, *references, contrast=contrast)
        assert np.isfinite(slope).all()
        np.testing.assert_array_equal(slope[0], 0)


def test_the_loss_does_not_depend_on_the_embeddings_length():
    tokens, positives, negatives = (jnp.float32(s) for s in sets())
    references = unit_tokens(positives), unit_tokens(negatives)
    expected = loss(tokens, *references)
    for scale in (1e-30, 1e-3, 1e30):
        np.testing.assert_allclose(loss(tokens * scale, *references), expected, rtol=1e-5)


def test_references_in_half_the_memory_give_nearly_the_same_loss():
    tokens, positives, negatives = (jnp.float32(s) for s in sets(width=64))
    expected = loss(tokens, unit_tokens(positives), unit_tokens(negatives), contrast=CODE)
    halves = [unit_tokens(x, jnp.bfloat16) for x in (positives, negatives)]
    found = loss(tokens, *halves, contrast=CODE)
    assert found.dtype == jnp.float32
    assert (np.abs(found - expected) < 0.05 * expected).all()


@pytest.mark.parametrize("contrast", [PAPER, CODE_LANGUAGE])
def test_real_embeddings_of_high_quality_are_nearer_and_the_gradient_leads_there(
    real_data, contrast
):
    with h5py.File(real_data / "data" / "janus_quality_embeddings.h5") as file:
        positives, negatives = (file[key][:][:, None] for key in ("pos_features", "neg_features"))
    references = unit_tokens(jnp.asarray(positives[:27])), unit_tokens(jnp.asarray(negatives[:27]))
    held_out = [
        loss(jnp.asarray(x[27:]), *references, contrast=contrast) for x in (positives, negatives)
    ]
    assert held_out[0].max() < held_out[1].min()

    start = moved = jnp.asarray(negatives[27:])
    for _ in range(10):
        slope = gradient(moved, *references, contrast=contrast)
        moved = moved - 0.05 * slope / jnp.linalg.norm(slope, axis=-1, keepdims=True)

    def to_centre(x):
        return cosine(x[:, 0], positives[:27].mean(0))

    assert (to_centre(moved) > to_centre(start)).all()
    assert (loss(moved, *references, contrast=contrast) < held_out[1]).all()


def test_unusable_settings_are_named():
    for temperatures in ((0.0, None), (0.1, 0.0), (-1.0, None), (0.1, -0.1)):
        with pytest.raises(InputError, match=r"contrast.temperature: expected more than 0, found"):
            Contrast(*temperatures)
    with pytest.raises(InputError, match="expected one of token, image, found 'patch'"):
        Contrast(reduction="patch")
