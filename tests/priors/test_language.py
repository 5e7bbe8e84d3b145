import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference

from jaxrecon.encoders.janus_prompt import IMAGE
from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.errors import InputError
from jaxrecon.priors import janus_weights, language_embedding
from jaxrecon.priors.contrastive import CODE_LANGUAGE
from jaxrecon.priors.embedder import open_embedder
from jaxrecon.priors.embeddings import NEGATIVE, POSITIVE, create_embeddings
from jaxrecon.priors.semantic_prior import open_prior
from jaxrecon.scan_config import prior_config

PERTURBATIONS = 3
TINY = JanusSpec(
    reference.SMALL.vision,
    dataclasses.replace(reference.SMALL.language, depth=2, vocabulary=300),
)


@pytest.fixture(autouse=True, scope="module")
def _tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(janus_weights.ARCHITECTURES, "tiny", TINY)
        yield


def configuration(path="", **fields):
    config = prior_config()
    config.name = "language"
    config.encoder.architecture, config.encoder.weights = "tiny", "random"
    config.embeddings = str(path)
    config.prompt = "High or low?"
    config.perturbations, config.perturbation_std = PERTURBATIONS, 0.001
    config.temperature, config.negative_temperature = 0.1, 0.7
    config.reduction = "image"
    config.answer_tokens = 3
    config.update(fields)
    return config.to_dict()


def images(count, seed=0, size=36):
    parts = np.random.default_rng(seed).normal(size=(2, count, size, size))
    return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)


@pytest.fixture(scope="module")
def embedder(_tiny):
    return open_embedder(configuration())


@pytest.fixture(scope="module")
def raw(embedder):
    """Embeddings of three images of each class."""
    return {
        kind: embedder.embed(embedder.arrays, images(count, seed), jnp.arange(count))[0]
        for kind, count, seed in ((POSITIVE, 3, 1), (NEGATIVE, 3, 2))
    }


def write(path, embedder, raw):
    with create_embeddings(path, embedder.provenance) as writer:
        for kind, rows in raw.items():
            writer.append(kind, [rows], [f"{kind} {i}" for i in range(len(rows))])
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory, embedder, raw):
    return write(tmp_path_factory.mktemp("priors") / "quality.h5", embedder, raw)


def test_each_image_has_its_perturbed_embeddings(embedder, raw):
    assert embedder.rows_per_image == PERTURBATIONS
    assert raw[POSITIVE].shape == (9, 1, 32)
    assert raw[NEGATIVE].shape == (9, 1, 32)
    assert len(np.unique(raw[POSITIVE], axis=0)) == 9
    assert embedder.notes()["perturbations"] == {"kept": 18}
    said = embedder.answers(embedder.arrays, images(3))
    assert len(said) == 3
    assert all(isinstance(text, str) for text in said)
    assert embedder.memory.startswith("about 0.")


def test_an_image_s_embeddings_follow_its_seed(embedder, raw):
    turned = embedder.embed(embedder.arrays, images(3, 1)[::-1], jnp.arange(3)[::-1])[0]
    scale = np.abs(turned).max()
    np.testing.assert_allclose(turned[:3], raw[POSITIVE][6:], atol=1e-5 * scale)
    other = embedder.embed(embedder.arrays, images(3, 1), jnp.arange(3) + 3)[0]
    assert (np.abs(other - raw[POSITIVE]).max(axis=(1, 2)) > 1e-4 * scale).all()


def test_the_loss_is_the_contrastive_loss_with_the_plain_prompt(written, raw):
    prior = open_prior(configuration(written))
    assert (prior.name, prior.is_random) == ("random Janus (seed 0)", True)
    assert prior.levels == ("language",)
    assert prior.provenance["prompt"] == "High or low?"
    assert prior.provenance["contrast"] == dataclasses.asdict(CODE_LANGUAGE)
    assert json.dumps(prior.provenance)
    image = images(3, seed=5)
    found = jax.jit(prior.loss)(prior.arrays, image)
    plain = open_embedder(configuration(perturbations=0))
    assert plain.rows_per_image == 1
    (state,) = plain.embed(plain.arrays, image, jnp.arange(3))

    def directions(rows):
        wide = np.asarray(rows, np.float64)[:, 0]
        return wide / np.linalg.norm(wide, axis=-1, keepdims=True)

    ours = directions(state)
    np.testing.assert_allclose(found.embeddings["language"], ours, atol=1e-5)
    pull, push = (
        np.exp(ours @ directions(raw[kind]).T / temperature).sum(-1)
        for kind, temperature in ((POSITIVE, 0.1), (NEGATIVE, 0.7))
    )
    expected = -np.log(pull / (pull + push))
    np.testing.assert_allclose(found.total, expected, rtol=1e-5)
    np.testing.assert_array_equal(found.levels[:, 0], found.total)
    for kind, vectors in zip(raw, prior.references["language"], strict=True):
        np.testing.assert_allclose(vectors, directions(raw[kind]), atol=1e-5)
    assert prior.answers(prior.arrays, image) == plain.answers(plain.arrays, image)


def test_perturbations_that_change_the_answer_are_drawn_anew(monkeypatch):
    said = iter(
        [
            "High-quality",  # to the plain prompt
            *("low", "It is high.", "High", "none"),  # to the four perturbed ones
            *("high quality", "low", "low", "low"),  # to the first and the last, then repeats
            *("low",) * 4,  # to the last, drawn for the third time
        ]
    )
    monkeypatch.setattr(
        language_embedding,
        "_texts",
        lambda prior, answering, parameters, embeddings: [next(said) for _ in embeddings],
    )
    settings = {"perturbations": 4, "perturbation_std": 0.5, "meanings": ("high", "low")}

    def embedded(**fields):
        embedder = open_embedder(configuration(**settings | fields))
        (rows,) = embedder.embed(embedder.arrays, images(1), jnp.asarray([4]))
        return rows, embedder.notes()["perturbations"]

    checked, counts = embedded(draws=3)
    assert not list(said)
    assert counts == {"kept": 2, "redrawn": 1, "replaced": 1}
    unchecked, counts = embedded(draws=0)
    assert counts == {"unchecked": 4}
    plain, counts = embedded(perturbations=0)
    assert counts == {}
    np.testing.assert_array_equal(checked[1:3], unchecked[1:3])
    np.testing.assert_array_equal(checked[3], plain[0])
    for other in (unchecked[0], plain[0]):
        assert np.abs(checked[0] - other).max() > 0.01 * np.abs(plain).max()


def test_bad_input_is_named(tmp_path, written, embedder, raw):
    def refused(message, path=written, **fields):
        with pytest.raises(InputError, match=message):
            open_prior(configuration(path, **fields))

    refused("prior.prompt: expected a question about an image, found none", prompt=" ")
    refused(f"expected one {IMAGE} where the image belongs, found 2", prompt=f"{IMAGE} {IMAGE}")
    refused(
        "with the prompt 'Good or bad.', found those with 'High or low.'", prompt="Good or bad?"
    )
    refused("expected tokenizer/tokenizer.json or tokenizer.json", tokenizer=str(tmp_path))
    refused("prior.image_size: expected the model's, 32 pixels, found 64", image_size=64)
    refused("prior.answer_tokens: expected at least 1, found 0", answer_tokens=0)
    refused("prior.embeddings: expected a file of embeddings, found none", path="")
    other = configuration(written)
    other["encoder"]["architecture"] = "clip_vit_b16"
    with pytest.raises(InputError, match="expected one of janus_pro_1b, janus_small, tiny, found"):
        open_prior(other)
    other = configuration(written)
    other["encoder"]["seed"] = 1
    with pytest.raises(InputError, match=r"embeddings of random Janus \(seed 1\), found those of"):
        open_prior(other)
    with pytest.raises(InputError, match=r"prior.perturbation_std: expected 0 or more, found -1"):
        open_embedder(configuration(perturbation_std=-1.0))
    images_only = dataclasses.replace(
        embedder, provenance=dataclasses.replace(embedder.provenance, levels=("layer1",))
    )
    path = write(tmp_path / "images.h5", images_only, raw)
    refused("expected embeddings of images with a prompt, found those of the levels layer1", path)
    with pytest.raises(InputError, match="expected images of both classes"):
        write(tmp_path / "half.h5", embedder, {POSITIVE: raw[POSITIVE]})
