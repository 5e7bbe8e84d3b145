import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pywt
from operator_checks import assert_adjoint, assert_linear, assert_unitary, random_complex

from jaxrecon.errors import InputError
from jaxrecon.physics.wavelet import inverse_wavelet_transform, is_detail, wavelet_transform


@pytest.mark.parametrize("vanishing_moments", [1, 2, 4])
@pytest.mark.parametrize(("size", "levels"), [((24, 40), 3), ((6, 10), 1)])
def test_equals_pywavelets(size, levels, vanishing_moments):
    image = random_complex((2, *size), 0)
    with warnings.catch_warnings():
        # Filters longer than the coarsest image; both continue it periodically.
        warnings.filterwarnings("ignore", message="Level value")
        coefficients = pywt.wavedec2(
            np.asarray(image, np.complex128),
            f"db{vanishing_moments}",
            mode="periodization",
            level=levels,
        )
    expected, _ = pywt.coeffs_to_array(coefficients, axes=(-2, -1))
    settings = {"levels": levels, "vanishing_moments": vanishing_moments}
    found = jax.jit(partial(wavelet_transform, **settings))(image)
    assert found.dtype == jnp.complex64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "levels", "vanishing_moments"),
    [((24, 16), 2, 4), ((16, 8), 3, 2), ((6, 10), 1, 6), ((7, 9), 0, 4)],
)
def test_is_unitary(size, levels, vanishing_moments):
    def forward(image):
        return wavelet_transform(image, levels=levels, vanishing_moments=vanishing_moments)

    def inverse(coefficients):
        return inverse_wavelet_transform(
            coefficients, levels=levels, vanishing_moments=vanishing_moments
        )

    shape = (2, *size)
    assert_linear(forward, shape)
    assert_unitary(forward, inverse, shape)
    assert_adjoint(forward, inverse, shape, shape)


def test_a_real_image_has_real_coefficients():
    image = random_complex((16, 32), 0).real
    coefficients = jax.eval_shape(wavelet_transform, image)
    assert coefficients.shape == (16, 32)
    assert coefficients.dtype == jnp.float32
    assert jax.eval_shape(inverse_wavelet_transform, image).dtype == jnp.float32


def test_a_flat_image_has_no_details():
    coefficients = np.asarray(jax.jit(wavelet_transform)(jnp.full((32, 48), 3.0)))
    details = is_detail(32, 48, 4)
    assert details.sum() == 32 * 48 - 2 * 3
    np.testing.assert_allclose(coefficients[details], 0, atol=1e-5)
    np.testing.assert_allclose(coefficients[~details], 3 * 2**4, rtol=1e-5)


@pytest.mark.parametrize("transform", [wavelet_transform, inverse_wavelet_transform])
def test_a_size_that_cannot_be_halved_is_refused(transform):
    message = "of 4 levels: expected sizes that are multiples of 16, found 32 x 40"
    with pytest.raises(InputError, match=message):
        jax.jit(transform)(jnp.zeros((3, 32, 40)))
