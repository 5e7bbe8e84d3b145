import functools
import shutil

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.encoders import spec as spec_module
from jaxrecon.encoders.spec import CLIP_PIXELS, IMAGENET, PublishedEncoder, ViTSpec
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.sampling import MaskSpec
from jaxrecon.priors import semantic_prior
from jaxrecon.priors.embedder import open_embedder
from jaxrecon.priors.embeddings import NEGATIVE, POSITIVE, create_embeddings
from jaxrecon.priors.semantic_prior import open_prior
from jaxrecon.scan_config import prior_config
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
COUNTS = {POSITIVE: 9, NEGATIVE: 7}


@pytest.fixture(autouse=True, scope="module")
def _tiny():
    with pytest.MonkeyPatch.context() as patch:
        tiny = PublishedEncoder(SPEC, CLIP_PIXELS, "clip", "nobody/tiny")
        patch.setitem(spec_module.PUBLISHED, "tiny", tiny)
        yield


def configuration(path="", **fields):
    config = prior_config()
    config.encoder.architecture = "tiny"
    config.encoder.weights = "random"
    config.embeddings = str(path)
    config.update(fields)
    return config.to_dict()


def images(count, seed=0, size=24):
    parts = np.random.default_rng(seed).normal(size=(2, count, size, size))
    return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)


def smooth(count, seed=0, size=24):
    """Images of one blob each: unlike noise, they have something in common."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    shifts = np.random.default_rng(seed).uniform(-0.1, 0.1, size=(count, 2, 1, 1))
    blobs = np.exp(-((y - shifts[:, 0]) ** 2 + (x - shifts[:, 1]) ** 2) * 30)
    return jnp.asarray(blobs, jnp.complex64)


def write(path, config):
    """Embeddings of blobs as positives, of noise as negatives; raw ones are returned."""
    embedder = open_embedder(config)
    raw = {}
    with create_embeddings(path, embedder.provenance) as writer:
        for kind, made in ((POSITIVE, smooth), (NEGATIVE, images)):
            count = COUNTS[kind]
            levels = jax.jit(embedder.embed)(embedder.arrays, made(count, 1), jnp.arange(count))
            raw[kind] = [np.asarray(level) for level in levels]
            writer.append(kind, raw[kind], [f"{kind} {i}" for i in range(count)])
    return raw


@pytest.fixture
def path(tmp_path):
    return tmp_path / "priors.h5"


@pytest.fixture(scope="module")
def written(_tiny, tmp_path_factory):
    """A file of the default settings, and its raw embeddings."""
    path = tmp_path_factory.mktemp("priors") / "priors.h5"
    return path, write(path, configuration())


def test_a_prior_is_what_its_configuration_says(written):
    path, raw = written
    prior = open_prior(configuration(path))
    assert prior.name == "random encoder (seed 0)"
    assert prior.is_random
    assert prior.levels == ("layer1", "layer3", "layer4")
    assert prior.redraw is None
    assert prior.answers is None
    for position, level in enumerate(prior.levels):
        for kind, found in zip(raw, prior.references[level], strict=True):
            assert found.shape == (COUNTS[kind], 24)
            tokens = raw[kind][position].astype(np.float64)
            unit = tokens / np.linalg.norm(tokens, axis=-1, keepdims=True)
            np.testing.assert_allclose(found, unit.mean(1), atol=1e-5)


def test_the_loss_is_the_contrastive_loss_of_the_embeddings(path):
    config = configuration(path, reduction="image", negative_temperature=0.5, layers=[1, 2, 4])
    raw = write(path, config)
    prior = open_prior(config)
    image = images(2, seed=5)
    found = jax.jit(prior.loss)(prior.arrays, image)
    assert found.total.shape == (2,)
    assert found.levels.shape == (2, 3)
    embedder = open_embedder(config)
    hidden = jax.jit(embedder.embed)(embedder.arrays, image, jnp.arange(2))

    def directions(tokens):
        wide = np.asarray(tokens, np.float64)
        return wide / np.linalg.norm(wide, axis=-1, keepdims=True)

    for position, level in enumerate(("layer1", "layer2", "layer4")):
        ours = directions(hidden[position])
        np.testing.assert_allclose(found.embeddings[level], ours.mean(1), atol=1e-5)
        similar = {
            kind: np.einsum("btw,itw->bi", ours, directions(raw[kind][position])) / 25
            for kind in raw
        }
        pull = np.exp(similar[POSITIVE] / 0.07).sum(-1)
        push = np.exp(similar[NEGATIVE] / 0.5).sum(-1)
        expected = -np.log(pull / (pull + push))
        np.testing.assert_allclose(found.levels[:, position], expected, rtol=1e-5, atol=1e-7)
    weights = np.float32([0.005, 0.5, 1.0])
    np.testing.assert_allclose(found.total, found.levels @ weights, rtol=1e-6)


@pytest.mark.parametrize("preprocessing", ["peak", "percentiles"])
def test_the_loss_does_not_depend_on_scale_and_leads_from_negatives_to_positives(
    path, preprocessing
):
    config = configuration(path, preprocessing=preprocessing, components=[4, 6, 8])
    write(path, config)
    prior = open_prior(config)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def slope(image, arrays):
        total = prior.loss(arrays, image).total
        return total.sum(), total

    near, far = smooth(4, 7), images(4, 7)
    gradient, expected = slope(far, prior.arrays)
    assert slope(near, prior.arrays)[1].max() < expected.min()
    for scale in (1e-6, 1e6):
        np.testing.assert_allclose(slope(far * scale, prior.arrays)[1], expected, rtol=1e-5)
    # A function of the direction alone has no slope along its argument.
    along = jnp.sum(gradient * far, axis=(1, 2)).real
    size = jnp.linalg.norm(gradient, axis=(1, 2)) * jnp.linalg.norm(far, axis=(1, 2))
    assert (jnp.abs(along) < 1e-4 * size).all()
    step = 0.02 * jnp.linalg.norm(far) / jnp.linalg.norm(gradient)
    assert (slope(far - step * jnp.conj(gradient), prior.arrays)[1] < expected).all()


def test_references_that_do_not_fit_are_drawn_anew(written):
    path, _ = written
    whole = open_prior(configuration(path))
    size = whole.provenance["reference_bytes"]
    prior = open_prior(configuration(path, memory=size // 2))
    assert prior.provenance["images_at_once"] == {POSITIVE: 4, NEGATIVE: 3}
    assert len(prior.references["layer1"].positives) == COUNTS[POSITIVE]
    drawn = [prior.arrays, prior.redraw(0), prior.redraw(1)]
    shapes = [jax.tree.map(jnp.shape, arrays) for arrays in drawn]
    assert shapes[0] == shapes[1] == shapes[2]
    levels = [arrays["bank"][0].positives for arrays in drawn]
    np.testing.assert_array_equal(levels[0], levels[1])
    assert not np.array_equal(levels[0], levels[2])


def test_layers_image_size_and_statistics_can_be_chosen(path):
    config = configuration(
        path, layers=(0, 2), level_weights=(1.0, 2.0), image_size=16, statistics="imagenet"
    )
    write(path, config)
    prior = open_prior(config)
    assert prior.levels == ("layer0", "layer2")
    assert {key for key in prior.arrays["encoder"] if key.startswith("block")} == {
        "block0",
        "block1",
    }
    assert prior.arrays["bank"][0].positives.shape == (9, 16, 24)
    assert prior.provenance["preprocessing"]["mean"] == list(IMAGENET.mean)
    with pytest.raises(InputError, match="preprocessing size = 20, found 16"):
        open_prior({**config, "image_size": 0})


def test_half_precision_gives_nearly_the_same_loss(written):
    half = configuration(written[0])
    half["encoder"]["dtype"] = "bfloat16"
    priors = [open_prior(configuration(written[0])), open_prior(half)]
    found = [jax.jit(prior.loss)(prior.arrays, images(2, 3)).total for prior in priors]
    np.testing.assert_allclose(found[1], found[0], rtol=0.01)
    assert priors[1].arrays["encoder"]["block0"]["query"]["kernel"].dtype == jnp.bfloat16


def test_a_prior_of_another_encoder_is_refused(written):
    path, _ = written
    other = configuration(path)
    other["encoder"]["seed"] = 1
    with pytest.raises(InputError, match=r"of random encoder \(seed 1\), .* found .* \(seed 0\)"):
        open_prior(other)
    with pytest.raises(InputError, match="preprocessing name = percentiles, found peak"):
        open_prior(configuration(path, preprocessing="percentiles"))
    with pytest.raises(InputError, match="expected embeddings of layer0, layer4, found layer1"):
        open_prior(configuration(path, layers=(0, 4), level_weights=(1.0, 1.0)))


def test_an_empty_class_is_refused(path, written):
    shutil.copy(written[0], path)
    with h5py.File(path, "r+") as file:
        del file[NEGATIVE]
    with pytest.raises(InputError, match="images of both classes, found 9 positive and 0 negative"):
        open_prior(configuration(path))


def test_settings_that_are_not_usable_are_named(path):
    with pytest.raises(InputError, match=r"prior.embeddings: .* found none; make it with: python"):
        open_prior(configuration())
    with pytest.raises(InputError, match=r"nothing at .*priors.h5; make it with: .* --output /"):
        open_prior(configuration(path))
    cases = [
        ({"statistics": "mine"}, "prior.statistics: expected one of own, imagenet, found 'mine'"),
        ({"image_size": 22}, "a multiple of the patch .* 4 pixels, found 22"),
        ({"layers": (1, 5, 2)}, r"layers from 0 to 4 .* found \(1, 5, 2\)"),
        ({"level_weights": (1.0,)}, r"prior.level_weights: .* \(1, 3, 4\), found \(1.0,\)"),
        ({"preprocessing": "other"}, "expected one of peak, percentiles, found 'other'"),
        ({"temperature": 0.0}, "temperature: expected more than 0"),
    ]
    for fields, message in cases:
        with pytest.raises(InputError, match=message):
            open_embedder(configuration(**fields))
    for field, message in (
        ("architecture", "architecture: expected one of .* found 'no'"),
        ("dtype", "prior.encoder.dtype: expected one of float32, bfloat16, found 'no'"),
        ("weights", "expected converted weights in no, found none; make them with"),
    ):
        config = configuration()
        config["encoder"][field] = "no"
        with pytest.raises(InputError, match=message):
            open_embedder(config)


def test_modules_that_only_dispatch_are_no_priors():
    for name in ("semantic_prior", "embedder", "no"):
        with pytest.raises(InputError, match=f"prior.name: expected one of image.*'{name}'"):
            semantic_prior.open_prior({"name": name})


def test_a_real_encoder_leads_real_undersampled_images_to_clean_ones(real_data, tmp_path):
    source = real_data / "weights" / "dinov2-small-derived"
    convert_checkpoint(convert_dinov2, "dinov2 1", str(source), tmp_path / "dinov2")
    config = configuration(tmp_path / "priors.h5", preprocessing="percentiles", image_size=126)
    config["encoder"] |= {"architecture": "dinov2_vit_s14", "weights": str(tmp_path / "dinov2")}

    clean = np.load(real_data / "data" / "cardiac_sax.npz")["images"]
    clean = center_crop(clean, 128, 128)
    masks = MaskSpec("gaussian", (4,), acs=16, seed=0)
    pattern = np.stack([masks.draw(128, "cardiac", i).pattern for i in range(len(clean))])
    kspace = np.fft.fftshift(np.fft.fft2(clean), axes=(1, 2)) * pattern
    aliased = np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)))
    train, test = np.arange(80), np.arange(90, 100)

    embedder = open_embedder(config)
    compute = jax.jit(embedder.embed)
    with create_embeddings(tmp_path / "priors.h5", embedder.provenance) as writer:
        for kind, data in ((POSITIVE, clean), (NEGATIVE, aliased)):
            chosen = jnp.asarray(data[train], jnp.complex64)
            levels = compute(embedder.arrays, chosen, jnp.arange(len(train)))
            writer.append(kind, [np.asarray(x) for x in levels], [f"image {i}" for i in train])
    prior = open_prior(config)
    assert not prior.is_random
    assert prior.levels == ("layer1", "layer7", "layer12")
    assert [prior.references[level].positives.shape for level in prior.levels] == [(80, 384)] * 3

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def slope(image, arrays):
        found = prior.loss(arrays, image)
        return found.total.sum(), found

    near, far = (jnp.asarray(data[test], jnp.complex64) for data in (clean, aliased))
    held_out, (gradient, start) = slope(near, prior.arrays)[1], slope(far, prior.arrays)
    assert (held_out.total < start.total).all()
    assert held_out.levels[:, 1].max() < start.levels[:, 1].min()
    step = 0.01 * jnp.linalg.norm(far, axis=(1, 2)) / jnp.linalg.norm(gradient, axis=(1, 2))
    _, end = slope(far - step[:, None, None] * jnp.conj(gradient), prior.arrays)
    assert (end.total < start.total).all()
