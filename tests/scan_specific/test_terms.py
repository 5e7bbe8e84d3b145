import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operator_checks import random_complex
from parallel_imaging import columns_mask, points_mask

from jaxrecon.physics.fourier import fft2c
from jaxrecon.scan_specific import terms

SIZES = [(24, 20), (17, 15)]
COILS = 3
data_term = jax.jit(terms.data_term, static_argnames="over")
total_variation = jax.jit(terms.total_variation)


def reference_data_term(images, kspace, mask, maps, over):
    """With the shifts where the definition has them, in double precision."""
    images, kspace, maps = (np.asarray(x, np.complex128) for x in (images, kspace, maps))
    height, width = kspace.shape[-2:]
    mask = np.broadcast_to(mask, (height, width))
    values = []
    for image in images:
        total = 0.0
        for samples, one in zip(kspace, maps, strict=True):
            found = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(one * image)))
            difference = found - np.sqrt(height * width) * samples
            total += np.abs(difference.real)[mask].sum() + np.abs(difference.imag)[mask].sum()
        count = height * width if over == "all" else mask.sum()
        values.append(total / (2 * len(kspace) * count))
    return np.array(values)


def inputs(height, width, is_points):
    kspace, maps = (random_complex((COILS, height, width), seed) for seed in (0, 1))
    mask = points_mask(height, width, 4) if is_points else columns_mask(width, 4)
    return random_complex((2, height, width), 2), kspace, mask, maps


@pytest.mark.parametrize("over", ["sampled", "all"])
@pytest.mark.parametrize("is_points", [False, True])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_data_term_is_its_definition(height, width, is_points, over):
    arguments = inputs(height, width, is_points)
    found = data_term(*arguments, over=over)
    expected = reference_data_term(*arguments, over)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("is_points", [False, True])
def test_the_gradient_of_the_data_term_is_its_definition_s(is_points):
    images, kspace, mask, maps = inputs(17, 20, is_points)
    whole = np.broadcast_to(mask, (17, 20))
    found = jax.grad(lambda x: data_term(x, kspace, mask, maps).sum())(images)
    for image, slope in zip(np.asarray(images, np.complex128), found, strict=True):
        expected = 0
        for samples, one in zip(np.asarray(kspace), np.asarray(maps, np.complex128), strict=True):
            made = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(one * image)))
            difference = made - np.sqrt(17 * 20) * samples
            signs = whole * (np.sign(difference.real) + 1j * np.sign(difference.imag))
            back = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(signs), norm="forward"))
            expected += one.conj() * back
        expected /= 2 * COILS * whole.sum()
        # JAX's gradient of a real function is the conjugate of its steepest ascent.
        limit = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(np.conj(slope), expected, rtol=0, atol=limit)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_an_image_that_agrees_with_its_samples_costs_nothing(height, width):
    image, _, mask, maps = inputs(height, width, is_points=True)
    kspace = fft2c(maps * image[0])
    cost, of_another = data_term(image, kspace, mask, maps)
    assert cost < 1e-5 * of_another
    # The samples count only where the mask is true.
    wrong = kspace + jnp.where(mask, 0, 100)
    assert data_term(image[:1], wrong, mask, maps)[0] == cost


@pytest.mark.parametrize("is_points", [False, True])
def test_what_was_not_sampled_is_ignored_by_value_and_gradient(is_points):
    images, kspace, mask, maps = inputs(17, 20, is_points)
    both = jax.value_and_grad(lambda x, k: data_term(x, k, mask, maps).sum())
    expected = both(images, jnp.where(mask, kspace, 0))
    found = both(images, jnp.where(mask, kspace, jnp.nan))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_without_samples_it_is_0_and_so_is_its_gradient():
    images, kspace, mask, maps = inputs(17, 20, is_points=True)
    found = jax.value_and_grad(lambda x: data_term(x, kspace, mask & False, maps).sum())(images)
    assert found[0] == 0
    assert (found[1] == 0).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_total_variation_is_its_definition(height, width):
    images = random_complex((2, 3, height, width), 4)
    expected = np.zeros((2, 3))
    exact = np.asarray(images, np.complex128)
    for part in (exact.real, exact.imag):
        expected += np.abs(part[..., 1:, :] - part[..., :-1, :]).sum((-2, -1))
        expected += np.abs(part[..., :, 1:] - part[..., :, :-1]).sum((-2, -1))
    found = total_variation(images)
    np.testing.assert_allclose(found, expected / ((height - 1) * (width - 1)), rtol=1e-5)


def test_total_variation_of_one_step_is_the_length_of_its_edge():
    image = jnp.zeros((11, 8), jnp.complex64).at[:, 5:].set(2 - 3j)
    assert float(total_variation(image)) == pytest.approx(11 * 5 / (10 * 7))


def test_a_constant_image_has_no_variation_and_finite_gradients():
    image = jnp.full((1, 11, 8), 0.3 - 0.2j, jnp.complex64)
    value, slope = jax.value_and_grad(lambda x: total_variation(x).sum())(image)
    assert value == 0
    assert jnp.isfinite(slope).all()


def test_gradients_at_empty_images_are_finite():
    images, kspace, mask, maps = inputs(17, 20, is_points=False)

    def loss(x):
        return (data_term(x, kspace, mask, maps) + total_variation(x)).sum()

    assert jnp.isfinite(jax.grad(loss)(0 * images)).all()
