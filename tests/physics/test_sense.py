import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sigpy.mri.linop
from operator_checks import assert_adjoint, assert_linear, inner, norm, random_complex

from jaxrecon.physics import sense

COILS = 4


def problem(height: int, width: int, whole_columns: bool, batch: tuple[int, ...] = ()):
    maps = random_complex((*batch, COILS, height, width), 0)
    rows = 1 if whole_columns else height
    mask = jnp.asarray(np.random.default_rng(1).random((*batch, rows, width)) < 0.4)
    return maps, mask


@pytest.mark.parametrize("whole_columns", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (9, 11)])
def test_equals_sigpy(size, whole_columns):
    maps, mask = problem(*size, whole_columns)
    reference = sigpy.mri.linop.Sense(
        np.asarray(maps), weights=np.broadcast_to(np.asarray(mask, np.float32), size)
    )
    image, kspace = random_complex(size, 2), random_complex((COILS, *size), 3)
    expected = reference(np.asarray(image))
    assert norm(sense.forward_operator(image, maps, mask) - expected) < 1e-5 * norm(expected)
    expected = reference.H(np.asarray(kspace))
    assert norm(sense.adjoint_operator(kspace, maps, mask) - expected) < 1e-5 * norm(expected)
    expected = reference.H(reference(np.asarray(image)))
    assert norm(sense.normal_operator(image, maps, mask) - expected) < 1e-5 * norm(expected)


@pytest.mark.parametrize("whole_columns", [True, False])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_adjoint(batch, whole_columns):
    maps, mask = problem(9, 12, whole_columns, batch)
    image_shape, kspace_shape = (*batch, 9, 12), (*batch, COILS, 9, 12)
    assert_linear(lambda x: sense.forward_operator(x, maps, mask), image_shape)
    assert_adjoint(
        lambda x: sense.forward_operator(x, maps, mask),
        lambda y: sense.adjoint_operator(y, maps, mask),
        image_shape,
        kspace_shape,
    )
    assert_adjoint(
        lambda x: sense.normal_operator(x, maps, mask),
        lambda x: sense.normal_operator(x, maps, mask),
        image_shape,
        image_shape,
    )
    image = random_complex(image_shape, 4)
    energy = inner(image, sense.normal_operator(image, maps, mask))
    expected = norm(sense.forward_operator(image, maps, mask)) ** 2
    assert abs(energy - expected) < 1e-5 * expected


def test_one_mask_and_one_set_of_maps_serve_a_batch():
    maps, mask = problem(6, 8, whole_columns=True)
    images = random_complex((3, 6, 8), 5)
    together = sense.forward_operator(images, maps, mask)
    for image, kspace in zip(images, together, strict=True):
        expected = sense.forward_operator(image, maps, mask)
        np.testing.assert_allclose(kspace, expected, rtol=0, atol=1e-6)


def test_nothing_outside_the_mask_reaches_the_image():
    maps, mask = problem(6, 8, whole_columns=True)
    kspace = random_complex((COILS, 6, 8), 6)
    spoiled = jnp.where(mask[None], kspace, jnp.nan)
    np.testing.assert_array_equal(
        sense.adjoint_operator(spoiled, maps, mask), sense.adjoint_operator(kspace, maps, mask)
    )


def test_soft_data_consistency_by_definition():
    _, mask = problem(6, 8, whole_columns=True, batch=(2,))
    kspace, measured = random_complex((2, COILS, 6, 8), 7), random_complex((2, COILS, 6, 8), 8)
    k, k0 = np.asarray(kspace), np.asarray(measured)
    expected = k - 0.3 * np.asarray(mask)[:, None] * (k - k0)
    found = sense.soft_data_consistency(kspace, measured, mask, 0.3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    hard = sense.soft_data_consistency(kspace, measured, mask, 1.0)
    np.testing.assert_allclose(hard, np.where(np.asarray(mask)[:, None], k0, k), rtol=0, atol=1e-6)


def test_soft_data_consistency_has_the_analytic_gradient_in_its_step():
    _, mask = problem(6, 8, whole_columns=True, batch=(2,))
    kspace, measured = random_complex((2, COILS, 6, 8), 9), random_complex((2, COILS, 6, 8), 10)

    def half_energy(step):
        found = sense.soft_data_consistency(kspace, measured, mask, step)
        return jnp.sum(jnp.square(found.real) + jnp.square(found.imag)) / 2

    with jax.numpy_dtype_promotion("strict"):
        gradient = jax.grad(half_energy)(jnp.float32(0.4))
    k, k0 = np.asarray(kspace, np.complex128), np.asarray(measured, np.complex128)
    residual = np.asarray(mask)[:, None] * (k - k0)
    expected = -np.vdot(residual, k - 0.4 * residual).real
    assert float(gradient) == pytest.approx(expected, rel=1e-5)
