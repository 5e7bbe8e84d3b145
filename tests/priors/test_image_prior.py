import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.encoders.spec import CLIP_PIXELS, IMAGENET, ViTSpec
from jaxrecon.encoders.store import load_encoder, random_encoder
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop
from jaxrecon.priors import image_prior as module
from jaxrecon.priors.bank import LevelBank, load_bank
from jaxrecon.priors.contrastive import CODE, CODE_LEVEL_WEIGHTS, unit_tokens
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    check_embeddings,
    create_embeddings,
    require_same_encoder,
)
from jaxrecon.priors.image_prior import ImagePrior, mean_direction, provenance, relative_layers
from jaxrecon.priors.preprocessing import Preprocessing
from weight_conversion.dinov2 import convert_dinov2
from weight_conversion.encoder_program import convert_checkpoint

SPEC = ViTSpec(
    width=24,
    depth=4,
    heads=2,
    mlp_width=48,
    patch=4,
    image_size=20,
    class_token=True,
    embedding_norm=True,
    layer_scale=False,
    patch_bias=False,
    activation="quick_gelu",
    epsilon=1e-5,
)
LAYERS = relative_layers(SPEC.depth)
PRIOR = ImagePrior(VisionTransformer(SPEC, LAYERS, 20), Preprocessing(size=20), CODE)

embed = jax.jit(module.embed, static_argnums=0)
image_loss = jax.jit(module.image_loss, static_argnums=0)


@jax.jit
@jax.grad
def slope(image, encoder, bank):
    return jnp.sum(module.image_loss(PRIOR, encoder, bank, image)[0])


def images(count, seed=0, size=24):
    parts = np.random.default_rng(seed).normal(size=(2, count, size, size))
    return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)


@pytest.fixture(scope="module")
def encoder():
    return random_encoder(SPEC, CLIP_PIXELS, LAYERS, 20)


@pytest.fixture(scope="module")
def bank(encoder):
    levels = [embed(PRIOR, encoder.parameters, images(6, seed)) for seed in (1, 2)]
    return tuple(
        LevelBank(None, unit_tokens(p), unit_tokens(n)) for p, n in zip(*levels, strict=True)
    )


def test_layers_keep_their_relative_depth():
    assert relative_layers(24) == (1, 13, 24)
    assert relative_layers(12) == (1, 7, 12)
    assert relative_layers(4) == (1, 3, 4)


def test_embeddings_are_the_hidden_states_of_the_patches(encoder):
    image = images(2)
    found = embed(PRIOR, encoder.parameters, image)
    hidden = PRIOR.network.apply(
        {"frozen": encoder.parameters}, module.pixels(image, PRIOR.preprocessing)
    )
    for ours, theirs in zip(found, hidden, strict=True):
        assert ours.shape == (2, 25, 24)
        np.testing.assert_allclose(ours, theirs[:, 1:], atol=1e-5)
    without = ImagePrior(
        VisionTransformer(dataclasses.replace(SPEC, class_token=False), LAYERS, 20),
        Preprocessing(size=20),
    )
    weights = random_encoder(without.network.spec, CLIP_PIXELS, LAYERS, 20).parameters
    assert embed(without, weights, image)[0].shape == (2, 25, 24)


def test_the_loss_is_the_weighted_sum_over_the_levels(encoder, bank):
    total, levels = image_loss(PRIOR, encoder.parameters, bank, images(3))
    assert levels.shape == (3, 3)
    np.testing.assert_allclose(total, levels @ np.float32([0.005, 0.5, 1]), rtol=1e-6)
    other = dataclasses.replace(PRIOR, weights=CODE_LEVEL_WEIGHTS)
    total, _ = image_loss(other, encoder.parameters, bank, images(3))
    np.testing.assert_allclose(total, levels @ np.float32([0.01, 0.5, 1]), rtol=1e-6)


def test_a_slice_s_loss_does_not_depend_on_the_others(encoder, bank):
    image = images(3)
    together, _ = image_loss(PRIOR, encoder.parameters, bank, image)
    for i in range(3):
        alone, _ = image_loss(PRIOR, encoder.parameters, bank, image[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences_and_lowers_the_loss(encoder, bank):
    image = images(1)
    gradient = slope(image, encoder.parameters, bank)
    direction = jnp.conj(gradient) / jnp.linalg.norm(gradient)

    def along(step):
        return float(image_loss(PRIOR, encoder.parameters, bank, image + step * direction)[0][0])

    expected = float(jnp.linalg.norm(gradient))
    step = 0.05
    assert (along(step) - along(-step)) / (2 * step) == pytest.approx(expected, rel=1e-3)
    for empty in (jnp.zeros_like(image), image.at[:, :8].set(0)):
        assert np.isfinite(slope(empty, encoder.parameters, bank)).all()


def test_mean_directions_are_of_length_1_or_less(encoder):
    tokens = embed(PRIOR, encoder.parameters, images(2))[1]
    found = mean_direction(tokens)
    unit = tokens / jnp.linalg.norm(tokens, axis=-1, keepdims=True)
    np.testing.assert_allclose(found, unit.mean(1), atol=1e-6)


def test_a_prior_whose_parts_do_not_fit_is_named():
    with pytest.raises(InputError, match=r"one for each of the layers \(1, 3, 4\), found \(1.0,\)"):
        dataclasses.replace(PRIOR, weights=(1.0,))
    with pytest.raises(InputError, match="the encoder's image size, 20 pixels, found 384"):
        dataclasses.replace(PRIOR, preprocessing=Preprocessing())


def test_random_encoders_of_another_depth_are_other_encoders(encoder, tmp_path):
    path = tmp_path / "priors.h5"
    with create_embeddings(path, provenance(PRIOR, encoder)) as writer:
        for kind, seed in ((POSITIVE, 0), (NEGATIVE, 1)):
            levels = [np.asarray(x) for x in embed(PRIOR, encoder.parameters, images(2, seed))]
            writer.append(kind, levels, ["one", "two"])
    file = check_embeddings(path)
    require_same_encoder(file, provenance(PRIOR, encoder))
    shallow = ImagePrior(
        VisionTransformer(SPEC, (1, 2, 3), 20), PRIOR.preprocessing, CODE, PRIOR.weights
    )
    with pytest.raises(
        InputError, match=r"of random encoder \(seed 0\), 3 layers, found .* 4 layers"
    ):
        require_same_encoder(file, provenance(shallow, encoder))


def test_a_real_encoder_tells_real_clean_images_from_undersampled_ones(real_data, tmp_path):
    source = real_data / "weights" / "dinov2-small-derived"
    convert_checkpoint(convert_dinov2, "dinov2 1", str(source), tmp_path / "dinov2")
    layers, size = relative_layers(12), 126
    encoder = load_encoder(tmp_path / "dinov2", layers, size)
    preprocessing = Preprocessing(size=size, statistics=IMAGENET)
    prior = ImagePrior(VisionTransformer(encoder.spec, layers, size), preprocessing, CODE)

    clean = np.load(real_data / "data" / "cardiac_sax.npz")["images"]
    clean = center_crop(clean, 128, 128)
    # A mask for each image: what undersampled images share is then not one pattern of aliasing.
    mask = np.random.default_rng(0).random((len(clean), 1, 128)) < 0.25
    mask[..., 58:70] = True
    kspace = np.fft.fftshift(np.fft.fft2(clean), axes=(1, 2)) * mask
    undersampled = np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)))
    train, test = np.arange(0, 80, 2), np.arange(90, 100)

    path = tmp_path / "priors.h5"
    with create_embeddings(path, provenance(prior, encoder)) as writer:
        for kind, data in ((POSITIVE, clean), (NEGATIVE, undersampled)):
            levels = embed(prior, encoder.parameters, jnp.asarray(data[train], jnp.complex64))
            writer.append(kind, [np.asarray(x) for x in levels], [f"image {i}" for i in train])
    file = check_embeddings(path)
    require_same_encoder(file, provenance(prior, encoder))
    for components in (None, (64, 128, 256)):
        bank = load_bank(file, prior.levels, components)
        (near, near_levels), (far, far_levels) = (
            image_loss(prior, encoder.parameters, bank, jnp.asarray(data[test], jnp.complex64))
            for data in (clean, undersampled)
        )
        assert (near < far).all()
        assert near_levels[:, 1].max() < far_levels[:, 1].min()
