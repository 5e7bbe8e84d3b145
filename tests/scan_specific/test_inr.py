import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import RANGE, slices, small_inr

from jaxrecon.errors import InputError
from jaxrecon.models.siren import ImplicitImage, coordinate_grid
from jaxrecon.scan_specific.inr import build_backbone
from jaxrecon.scan_specific.problem import make_problem

HEIGHT, WIDTH = 23, 20


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(small_inr().to_dict())


@pytest.fixture(scope="module")
def groups(backbone):
    return jax.jit(backbone.init, static_argnums=1)(jax.random.key(0), (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def one():
    """A slice."""
    return jax.tree.map(lambda leaf: leaf[0], make_problem(*slices(HEIGHT, WIDTH)))


@pytest.fixture(scope="module")
def images(groups):
    """The network's image and the adapted one, in units of some peaks of the zero-filled one."""
    grid = coordinate_grid(HEIGHT, WIDTH)
    both = jax.jit(ImplicitImage(3, 16, 15.0, 6).apply)({"params": groups}, grid)
    return [RANGE * np.asarray(image) for image in both]


def test_what_is_trained_does_not_depend_on_the_size_of_the_image(backbone, groups):
    assert set(groups) == {"siren", "adaptor"}
    shapes = [
        jax.eval_shape(lambda key, s=shape: backbone.init(key, s), jax.random.key(0))
        for shape in ((HEIGHT, WIDTH), (640, 372))
    ]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, groups)
    assert shapes[0] == shapes[1]
    assert groups["siren"]["dense0"]["kernel"].shape == (2, 16)
    assert groups["siren"]["dense2"]["kernel"].shape == (16, 2)
    assert groups["adaptor"]["conv0"]["kernel"].shape == (3, 3, 2, 6)


def test_both_images_are_judged_and_regularised_while_both_networks_are_trained(
    backbone, groups, one, images
):
    context = backbone.prepare(groups, None, one, ("siren", "adaptor"))
    assert context is None
    made = jax.jit(backbone.make)(groups, context, None, one)
    expected = np.stack(images)
    for found in (made.judged, made.regularised):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(made.guided, expected[1:], atol=1e-6)


def test_the_adapted_image_alone_counts_while_the_adaptor_is_trained(backbone, groups, one, images):
    context = backbone.prepare(groups, None, one, backbone.guided_groups)
    # The context is the network's image: neither its parameters nor the slice are needed any more.
    made = jax.jit(backbone.make)({"adaptor": groups["adaptor"]}, context, None, one)
    for found in made:
        np.testing.assert_allclose(found, images[1][None], atol=1e-6)


def test_the_result_is_the_adapted_image(backbone, groups, one, images):
    found = jax.jit(backbone.result)(groups, None, one)
    np.testing.assert_allclose(found, images[1], atol=1e-6)


def test_the_adaptor_has_a_learning_rate_of_its_own(backbone):
    config = small_inr()
    assert backbone.guided_groups == ("adaptor",)
    assert backbone.rates["siren"] * config.learning_rate == pytest.approx(1e-4)
    assert backbone.rates["adaptor"] * config.learning_rate == pytest.approx(1e-3)
    assert (backbone.over, backbone.holdout, backbone.frozen) == ("sampled", None, None)


@pytest.mark.parametrize("field", ["layers", "features", "frequency", "adaptor_features", "range"])
def test_fields_that_make_no_network_are_errors(field):
    config = small_inr()
    config.backbone[field] = 0 * config.backbone[field]
    with pytest.raises(InputError, match=rf"^backbone\.{field}: expected [^\n]*, found 0[^\n]*$"):
        build_backbone(config.to_dict())
