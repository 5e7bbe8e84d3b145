import fastmri
import jax
import jax.numpy as jnp
import numpy as np
import torch
from operator_checks import assert_adjoint, assert_linear, norm, random_complex

from jaxrecon.physics import coils

SHAPE = (2, 5, 7, 6)


def with_empty_pixel(seed: int) -> jax.Array:
    return random_complex(SHAPE, seed).at[:, :, 3, 2].set(0)


def test_reduce_is_the_adjoint_of_expand():
    maps = random_complex(SHAPE, 10)
    image_shape = (2, 7, 6)
    assert_linear(lambda x: coils.expand(x, maps), image_shape)
    assert_adjoint(
        lambda x: coils.expand(x, maps), lambda y: coils.reduce(y, maps), image_shape, SHAPE
    )


def test_expand_and_reduce_by_definition():
    maps, images = random_complex(SHAPE, 1), random_complex(SHAPE, 2)
    image = random_complex((2, 7, 6), 3)
    np.testing.assert_allclose(
        coils.expand(image, maps),
        np.einsum("bchw,bhw->bchw", np.asarray(maps), np.asarray(image)),
        rtol=1e-5,
    )
    expected = np.einsum("bchw,bchw->bhw", np.conj(np.asarray(maps)), np.asarray(images))
    np.testing.assert_allclose(coils.reduce(images, maps), expected, rtol=0, atol=1e-5)


def test_root_sum_of_squares_equals_fastmri():
    images = with_empty_pixel(4)
    as_pairs = torch.view_as_real(torch.from_numpy(np.array(images)))
    expected = fastmri.rss_complex(as_pairs, dim=1).numpy()
    found = coils.root_sum_of_squares(images)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(coils.root_sum_of_squares(jnp.abs(images)), expected, rtol=1e-6)


def test_root_sum_of_squares_has_the_analytic_gradient_and_none_at_zero():
    images = with_empty_pixel(5)
    gradient = jax.grad(lambda x: coils.root_sum_of_squares(x).sum())(images)
    magnitude = np.asarray(coils.root_sum_of_squares(images))[:, None]
    # JAX's gradient of a real function is d/d(real) - i d/d(imag).
    expected = np.conj(np.asarray(images)) / np.where(magnitude > 0, magnitude, 1)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-6)
    assert not np.any(np.asarray(gradient)[:, :, 3, 2])


def test_normalised_maps_have_unit_root_sum_of_squares_or_zero():
    raw = with_empty_pixel(6)
    maps = coils.normalise_maps(raw)
    magnitude = np.asarray(coils.root_sum_of_squares(maps))
    expected = np.ones((2, 7, 6))
    expected[:, 3, 2] = 0
    np.testing.assert_allclose(magnitude, expected, rtol=1e-6)
    np.testing.assert_allclose(
        maps * coils.root_sum_of_squares(raw)[:, None], raw, rtol=0, atol=1e-6
    )
    # Unit maps make reduce undo expand.
    image = random_complex((2, 7, 6), 7) * expected.astype(np.complex64)
    assert norm(coils.reduce(coils.expand(image, maps), maps) - image) < 1e-6 * norm(image)


def test_normalise_maps_does_not_see_the_scale():
    raw = random_complex(SHAPE, 8)
    for scale in (1e-9, 1e6):
        found = coils.normalise_maps(raw * jnp.complex64(scale))
        np.testing.assert_allclose(found, coils.normalise_maps(raw), rtol=0, atol=1e-6)


def test_normalise_maps_gradient_is_zero_where_all_coils_are_and_along_the_maps():
    raw = with_empty_pixel(9)
    weights = random_complex(SHAPE, 11)

    def loss(maps):
        return jnp.sum((weights * coils.normalise_maps(maps)).real)

    gradient = jax.grad(loss)(raw)
    assert np.isfinite(np.asarray(gradient)).all()
    assert not np.any(np.asarray(gradient)[:, :, 3, 2])
    # Invariance to scale: no change of the loss in the maps' own direction.
    radial = jnp.sum((gradient * raw).real, axis=1)
    np.testing.assert_allclose(radial, 0, atol=1e-5)
    assert norm(gradient) > 1
