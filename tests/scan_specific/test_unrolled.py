import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operator_checks import random_complex
from scan_problems import slices, small_unrolled, write_warm_start
from test_denoiser import shapes_of

from jaxrecon.errors import InputError
from jaxrecon.models.modl import stage_parameters
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.physics.cg_sense import cg_sense
from jaxrecon.scan_specific.fit import Fit, Programs
from jaxrecon.scan_specific.unrolled import build_backbone

HEIGHT, WIDTH = 23, 20
NETWORK = ScanUNet((4, 6))


def first(stacked):
    return jax.tree.map(lambda leaf: leaf[0], stacked)


@pytest.fixture(scope="module")
def fit():
    config = small_unrolled().to_dict()
    return Fit(config, build_backbone(config), None)


@pytest.fixture(scope="module")
def stacked(fit):
    return Programs(fit).problem(*slices(HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def one(stacked):
    return first(stacked)


@pytest.fixture(scope="module")
def groups(fit):
    return fit.backbone.init(jax.random.key(0), (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def make(fit):
    """Images that a slice makes of the first parameters."""
    function = jax.jit(fit.backbone.make)
    return lambda groups, problem: function(groups, None, None, problem)


def test_every_stage_s_images_are_judged_and_the_last_u_net_s_is_guided(make, groups, one):
    made = make(groups, one)
    shapes = [images.shape[0] for images in made]
    assert shapes == [4, 1, 1]
    np.testing.assert_array_equal(made.guided[0], made.judged[-1])
    np.testing.assert_array_equal(made.regularised, made.guided)


def test_all_stages_are_guided_where_the_experiment_says_so(make, groups, one):
    config = small_unrolled()
    config.backbone.guided_stages = "all"
    made = jax.jit(build_backbone(config.to_dict()).make)(groups, None, None, one)
    np.testing.assert_allclose(made.judged, make(groups, one).judged, atol=1e-5)
    np.testing.assert_array_equal(made.guided, made.judged[2:])
    np.testing.assert_array_equal(made.regularised, made.guided)


def test_stages_are_u_nets_and_least_squares_from_the_zero_filled_image(make, groups, one):
    made, image = make(groups, one), one.zero_filled[None]
    apply = jax.jit(NETWORK.apply)
    for stage in range(2):
        params = jax.tree.map(lambda leaf, s=stage: leaf[s], groups["weights"]["stages"])
        assert float(params["weight"]) == pytest.approx(0.01)
        refined = apply({"params": params["denoiser"]}, image)
        image = cg_sense(
            one.kspace[None],
            one.consistency_mask[None],
            one.maps[None],
            regularisation=0.01,
            iterations=6,
            prior=refined,
        )
        limit = 1e-5 * float(jnp.abs(image).max())
        np.testing.assert_allclose(made.judged[2 + stage], refined[0], atol=limit)
        np.testing.assert_allclose(made.judged[stage], image[0], atol=limit)


def test_samples_kept_for_the_loss_are_not_used_inside(make, groups, one):
    assert one.loss_mask.any()
    noise = 10 * random_complex(one.kspace.shape, 0)
    expected = make(groups, one)
    elsewhere = one._replace(kspace=jnp.where(one.consistency_mask, one.kspace, noise))
    jax.tree.map(np.testing.assert_array_equal, make(groups, elsewhere), expected)
    used = one._replace(kspace=jnp.where(one.loss_mask, one.kspace, noise))
    assert jnp.abs(make(groups, used).judged[0] - expected.judged[0]).max() > 0.1


def test_the_result_uses_all_samples(fit, groups, one):
    result = jax.jit(fit.backbone.result)
    expected = result(groups, None, one)
    noise = 10 * random_complex(one.kspace.shape, 0)
    for mask in (one.loss_mask, one.consistency_mask):
        other = one._replace(kspace=jnp.where(mask, one.kspace + noise, one.kspace))
        assert jnp.abs(result(groups, None, other) - expected).max() > 0.1
    not_sampled = one._replace(kspace=jnp.where(one.mask, one.kspace, jnp.nan))
    np.testing.assert_array_equal(result(groups, None, not_sampled), expected)
    # How the samples were divided does not matter any more.
    divided = one._replace(loss_mask=one.consistency_mask, consistency_mask=one.loss_mask)
    np.testing.assert_array_equal(result(groups, None, divided), expected)


def test_slices_of_one_mask_are_divided_alike_and_by_the_seed(fit, stacked):
    np.testing.assert_array_equal(stacked.loss_mask[0], stacked.loss_mask[1])
    kept, whole = (int(mask[0].sum()) for mask in (stacked.loss_mask, stacked.mask))
    assert kept == int(0.4 * whole * HEIGHT)
    config = small_unrolled(seed=1).to_dict()
    other = Programs(Fit(config, fit.backbone, None)).problem(*slices(HEIGHT, WIDTH))
    assert (other.loss_mask != stacked.loss_mask).any()


@pytest.fixture(scope="module")
def warm_config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    write_warm_start(folder, shapes_of(NETWORK))
    config = small_unrolled()
    config.backbone.warm_start, config.backbone.lora_rank = str(folder), 2
    return config


def test_a_warm_start_is_every_stage_s_u_net_and_stays(warm_config, fit, stacked, one):
    backbone = build_backbone(warm_config.to_dict())
    groups = backbone.init(jax.random.key(0), (HEIGHT, WIDTH))
    assert set(groups) == set(backbone.guided_groups) == {"lora", "steps"}
    np.testing.assert_allclose(groups["steps"], [0.01, 0.01])
    denoiser = jax.tree.map(lambda leaf: np.array(leaf[0]), backbone.frozen["stages"]["denoiser"])
    unrolled = {"weights": stage_parameters(denoiser, 2, 0.01)}
    expected = jax.jit(fit.backbone.result)(unrolled, None, one)
    found = jax.jit(backbone.result)(groups, backbone.frozen, one)
    np.testing.assert_array_equal(found, expected)

    before = jax.tree.map(np.array, backbone.frozen)
    *_, (state, moment) = Programs(Fit(warm_config.to_dict(), backbone, None)).run(stacked)
    jax.tree.map(np.testing.assert_array_equal, backbone.frozen, before)
    assert (state.groups["steps"] != 0.01).all()
    factors = jax.tree.leaves(state.groups["lora"], is_leaf=lambda x: hasattr(x, "b"))
    assert all((jnp.abs(one.b).max((0, -1, -2)) > 0).all() for one in factors)
    assert jnp.isfinite(moment.images).all()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_holdout_of_nothing_or_all_is_an_error(fraction):
    config = small_unrolled()
    config.backbone.holdout = fraction
    with pytest.raises(InputError, match=r"^backbone\.holdout: expected [^\n]*$"):
        build_backbone(config.to_dict())


@pytest.mark.parametrize(
    ("field", "value"),
    [("stages", 0), ("iterations", 0), ("holdout_sigma", 0.0), ("guided_stages", "first")],
)
def test_other_fields_that_make_no_network_are_errors(field, value):
    config = small_unrolled()
    config.backbone[field] = value
    with pytest.raises(InputError, match=rf"^backbone\.{field}: expected [^\n]*, found [^\n]*$"):
        build_backbone(config.to_dict())


def test_an_image_too_small_for_the_poolings_is_an_error():
    config = small_unrolled()
    config.backbone.features = (4, 6, 6, 6)
    fit = Fit(config.to_dict(), build_backbone(config.to_dict()), None)
    with pytest.raises(InputError) as caught:
        fit.start(1, (24, 12))
    assert re.fullmatch(r"U-Net: expected images of at least 16 x 16 .*", str(caught.value))
