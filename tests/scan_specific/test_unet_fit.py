import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import slices, small_unet, write_warm_start
from test_denoiser import shapes_of

from jaxrecon.errors import InputError
from jaxrecon.models.lora import count
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.scan_specific.fit import Fit, Programs
from jaxrecon.scan_specific.problem import make_problem
from jaxrecon.scan_specific.unet import build_backbone

HEIGHT, WIDTH = 23, 20
NETWORK = ScanUNet((4, 6))


@pytest.fixture(scope="module")
def stacked():
    return make_problem(*slices(HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def one(stacked):
    return jax.tree.map(lambda leaf: leaf[0], stacked)


@pytest.fixture(scope="module")
def warm_config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    write_warm_start(folder, shapes_of(NETWORK))
    config = small_unet()
    config.backbone.warm_start, config.backbone.lora_rank = str(folder), 2
    config.backbone.lora_alpha = 3.0
    return config


@pytest.fixture(scope="module")
def warm(warm_config):
    return build_backbone(warm_config.to_dict())


def test_random_weights_are_all_trained_and_map_the_zero_filled_image(one):
    backbone = build_backbone(small_unet().to_dict())
    groups = backbone.init(jax.random.key(0), (HEIGHT, WIDTH))
    assert set(groups) == set(backbone.guided_groups) == set(backbone.rates) == {"weights"}
    assert backbone.frozen is None
    assert (backbone.over, backbone.holdout) == ("all", None)
    expected = jax.jit(NETWORK.apply)({"params": groups["weights"]}, one.zero_filled[None])
    context = backbone.prepare(groups, None, one, backbone.guided_groups)
    made = jax.jit(backbone.make)(groups, context, None, one)
    for found in made:
        np.testing.assert_allclose(found, expected, atol=1e-6)
    found = jax.jit(backbone.result)(groups, None, one)
    np.testing.assert_allclose(found, expected[0], atol=1e-6)


def test_lora_starts_as_the_frozen_network(warm, one):
    groups = warm.init(jax.random.key(0), (HEIGHT, WIDTH))
    assert set(groups) == set(warm.guided_groups) == {"lora"}
    assert warm.description == "U-Net 4 6, warm start, LoRA of rank 2"
    expected = jax.jit(NETWORK.apply)({"params": warm.frozen}, one.zero_filled[None])[0]
    found = jax.jit(warm.result)(groups, warm.frozen, one)
    np.testing.assert_array_equal(found, expected)


def test_lora_of_a_fit_is_the_written_weights_and_a_difference_of_low_rank(
    warm, warm_config, stacked
):
    before = jax.tree.map(np.array, warm.frozen)
    *_, (state, moment) = Programs(Fit(warm_config.to_dict(), warm, None)).run(stacked)
    jax.tree.map(np.testing.assert_array_equal, warm.frozen, before)
    assert set(state.groups) == {"lora"}
    lora = state.groups["lora"]
    assert 0 < count(lora) // 2 < sum(leaf.size for leaf in jax.tree.leaves(before))
    # By hand, in double precision: the kernel of one slice, W + (alpha / rank) A B.
    for index in range(2):
        params = jax.tree.map(np.asarray, before)

        def adapt(weights, factors, index=index):
            if hasattr(factors, "a"):
                a, b = np.float64(factors.a[index]), np.float64(factors.b[index])
                assert np.abs(b).max() > 0
                return np.float32(weights + (3 / a.shape[-1]) * (a @ b).reshape(weights.shape))
            return {
                name: adapt(weights[name], factors[name]) if name in factors else weights[name]
                for name in weights
            }

        params = adapt(params, lora)
        network = jax.jit(NETWORK.apply)({"params": params}, stacked.zero_filled[index][None])[0]
        own = jax.tree.map(lambda leaf, i=index: leaf[i], (state.groups, stacked))
        found = jax.jit(warm.result)(own[0], warm.frozen, own[1])
        np.testing.assert_allclose(found, network, atol=1e-5 * float(jnp.abs(network).max()))
    assert jnp.isfinite(moment.images).all()


def test_an_image_too_small_for_the_poolings_is_an_error():
    config = small_unet()
    config.backbone.features = (4, 6, 6, 6)
    fit = Fit(config.to_dict(), build_backbone(config.to_dict()), None)
    with pytest.raises(InputError) as caught:
        fit.start(1, (24, 12))
    assert re.fullmatch(r"U-Net: expected images of at least 16 x 16 .*", str(caught.value))
