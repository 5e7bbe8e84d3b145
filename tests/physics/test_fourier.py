import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operator_checks import assert_adjoint, assert_linear, assert_unitary, norm, random_complex

from jaxrecon.physics import fourier, sense

SIZES = [(8, 6), (8, 7), (9, 6), (9, 7), (1, 5), (16, 1), (132, 45)]
EVEN_ODD_AND_BOTH = [(8, 6), (9, 7), (8, 7)]


def centred_dft_matrix(size: int) -> np.ndarray:
    index = np.arange(size) - size // 2
    return np.exp(-2j * np.pi * np.outer(index, index) / size) / np.sqrt(size)


@pytest.mark.parametrize("size", SIZES)
def test_fft2c_equals_the_dense_centred_dft(size):
    height, width = size
    image = random_complex((2, height, width), 0)
    expected = centred_dft_matrix(height) @ np.asarray(image) @ centred_dft_matrix(width).T
    found = fourier.fft2c(image)
    assert found.dtype == jnp.complex64
    assert norm(found - expected) < 1e-6 * norm(image)


@pytest.mark.parametrize("size", EVEN_ODD_AND_BOTH)
def test_fft2c_is_unitary_and_ifft2c_its_adjoint(size):
    shape = (2, 3, *size)
    assert_linear(fourier.fft2c, shape)
    assert_unitary(fourier.fft2c, fourier.ifft2c, shape)
    assert_adjoint(fourier.fft2c, fourier.ifft2c, shape, shape)


@pytest.mark.parametrize("size", [(64, 48), (63, 49), (64, 49)])
def test_gaussian_becomes_the_analytic_gaussian(size):
    height, width = size
    a, b, shift = 7.0, 5.0, 3
    y = np.arange(height)[:, None] - height // 2
    x = np.arange(width) - width // 2
    image = np.exp(-np.pi * ((y / a) ** 2 + ((x - shift) / b) ** 2))
    v, u = y / height, x / width
    expected = a * b * np.exp(-np.pi * ((a * v) ** 2 + (b * u) ** 2) - 2j * np.pi * u * shift)
    expected /= np.sqrt(height * width)
    found = fourier.fft2c(jnp.asarray(image, jnp.complex64))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("size", SIZES)
def test_native_order_gives_the_centred_image_without_a_shift(size):
    kspace = random_complex((2, 3, *size), 1)
    native = fourier.to_native_order(kspace)
    image = np.fft.ifft2(np.asarray(native, np.complex128), norm="ortho")
    centred = np.asarray(fourier.ifft2c(kspace))
    assert norm(image - centred) < 1e-6 * norm(kspace)
    assert norm(fourier.ifft2_native(native) - centred) < 1e-6 * norm(kspace)
    assert norm(fourier.fft2_native(jnp.asarray(centred)) - native) < 1e-6 * norm(kspace)


@pytest.mark.parametrize("size", EVEN_ODD_AND_BOTH)
def test_native_order_is_a_unitary_change_of_order(size):
    shape = (2, *size)
    to_native, from_native = fourier.to_native_order, fourier.from_native_order
    assert_unitary(to_native, from_native, shape)
    assert_adjoint(to_native, from_native, shape, shape)
    kspace = random_complex(shape, 2)
    # The zero frequency lands at index 0 and keeps its value.
    centre = np.asarray(kspace)[:, size[0] // 2, size[1] // 2]
    np.testing.assert_array_equal(to_native(kspace)[:, 0, 0], centre)


def test_native_phase_keeps_float32_accuracy_at_large_odd_sizes():
    size = 4095
    kspace = jnp.ones((1, size), jnp.complex64)
    found = np.asarray(fourier.to_native_order(kspace))[0]
    # exp(-2 pi i m s / N) with s = (N - 1) / 2 equals (-1)^m exp(+i pi m / N).
    m = np.arange(size)
    expected = np.where(m % 2, -1, 1) * np.exp(1j * np.pi * m / size)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("size", [(8, 6), (9, 7)])
@pytest.mark.parametrize("whole_columns", [True, False])
def test_masks_follow_kspace_into_native_order(size, whole_columns):
    height, width = size
    rows = 1 if whole_columns else height
    mask = jnp.asarray(np.random.default_rng(0).random((2, rows, width)) < 0.4)
    native_mask = fourier.native_order_mask(mask)
    assert native_mask.shape == mask.shape
    kspace = random_complex((2, 3, height, width), 3)
    masked = jnp.where(mask[:, None], kspace, 0)
    native = jnp.where(native_mask[:, None], fourier.to_native_order(kspace), 0)
    np.testing.assert_allclose(native, fourier.to_native_order(masked), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 6), (9, 7)])
def test_data_consistency_is_the_same_in_both_orders(size):
    kspace, measured = random_complex((2, 3, *size), 4), random_complex((2, 3, *size), 5)
    mask = jnp.asarray(np.random.default_rng(1).random((2, 1, size[1])) < 0.5)
    step = jnp.float32(0.7)
    centred = sense.soft_data_consistency(kspace, measured, mask, step)
    native = sense.soft_data_consistency(
        fourier.to_native_order(kspace),
        fourier.to_native_order(measured),
        fourier.native_order_mask(mask),
        step,
    )
    assert norm(fourier.from_native_order(native) - centred) < 1e-6 * norm(centred)


def test_transforms_pass_under_strict_promotion_and_jit():
    with jax.numpy_dtype_promotion("strict"):
        kspace = random_complex((2, 9, 6), 6)
        native = jax.jit(fourier.to_native_order)(kspace)
        assert norm(jax.jit(fourier.from_native_order)(native) - kspace) < 1e-6 * norm(kspace)
