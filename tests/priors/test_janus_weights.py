import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_janus as reference
from flax import traverse_util

from jaxrecon.encoders.janus_store import random_janus
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.priors.embedder import open_embedder
from jaxrecon.priors.janus_weights import ARCHITECTURES, janus_spec, open_tower, open_weights
from jaxrecon.priors.preprocessing import Preprocessing, pixels
from jaxrecon.scan_config import prior_config
from jaxrecon.weight_store import write_weights

SPEC = reference.SMALL


@pytest.fixture(scope="module")
def janus():
    return random_janus(SPEC, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, janus):
    """As the converter would write it."""
    path = tmp_path_factory.mktemp("weights") / "janus"
    preprocessing = dataclasses.asdict(janus.statistics)
    spec = {"janus": SPEC.to_json(), "preprocessing": preprocessing, "source": "nobody/janus"}
    write_weights(path, traverse_util.flatten_dict(janus.parameters, sep="/"), spec)
    return path


def configuration(weights, **fields):
    config = prior_config()
    config.encoder.architecture, config.encoder.weights = "janus_pro_1b", str(weights)
    config.update(fields)
    return config.to_dict()


def test_the_folder_decides_the_architecture(folder):
    settings = configuration(folder)["encoder"]
    assert janus_spec(settings) == SPEC
    assert open_weights(settings, jnp.float32).folder == folder
    assert janus_spec(configuration("random")["encoder"]) == ARCHITECTURES["janus_pro_1b"]
    with pytest.raises(InputError, match="expected one of janus_pro_1b, janus_small, found 'x'"):
        janus_spec({**settings, "architecture": "x"})
    with pytest.raises(InputError, match=r"make them with: python -m weight_conversion.janus"):
        open_weights({**settings, "weights": "nowhere"}, jnp.float32)


def test_the_prior_from_images_takes_the_tower(folder, janus):
    embedder = open_embedder(configuration(folder, layers=(1, 2), level_weights=(0.5, 1.0)))
    assert embedder.name == f"vision tower of {folder} (nobody/janus)"
    assert embedder.provenance.levels == ("layer1", "layer2")
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 40, 40)), jnp.complex64)
    found = jax.jit(embedder.embed)(embedder.arrays, image, jnp.arange(2))
    network = VisionTransformer(SPEC.vision, (1, 2), SPEC.image_size)
    seen = pixels(image, Preprocessing(size=SPEC.image_size))
    expected = jax.jit(network.apply)({"frozen": janus.parameters["vision"]}, seen)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(jnp.abs(theirs).max()))


def test_the_tower_takes_other_image_sizes(folder):
    encoder = open_tower(configuration(folder)["encoder"], (2,), 48, jnp.float32)
    assert encoder.parameters["positions"].shape == (36, 24)
