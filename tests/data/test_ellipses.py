import numpy as np
import pytest
from ellipse_reference import intensity, nodes

from jaxrecon.data.ellipses import Ellipses, transform

ONE = Ellipses.from_rows([(0.7, (0.11, -0.07), (0.23, 0.08), 0.6)])
SEVERAL = Ellipses.from_rows(
    [
        (1.0, (0.0, 0.02), (0.4, 0.3), 0.1),
        (-0.4, (0.1, -0.05), (0.2, 0.01), 2.0),
        (0.3, (-0.12, 0.2), (0.004, 0.03), -1.2),
    ]
)
V = np.array([-9.5, -2.0, 0.0, 0.5, 3.25, 16.0])
U = np.array([-12.0, -0.5, 0.0, 1.0, 7.75])


def at(ellipses: Ellipses, v: float, u: float) -> complex:
    return complex(transform(ellipses, np.array([v]), np.array([u]))[0, 0])


@pytest.mark.parametrize("ellipses", [ONE, SEVERAL])
def test_transform_is_the_fourier_integral(ellipses):
    y, x, weights = nodes(ellipses)
    kernel = np.exp(-2j * np.pi * (V[:, None, None] * y + U[None, :, None] * x))
    np.testing.assert_allclose(transform(ellipses, V, U), kernel @ weights, rtol=0, atol=1e-12)


def test_transform_against_a_finely_rasterised_ellipse():
    # The sum over pixels is wrong at most where pixels straddle the border: perimeter * pixel
    # diagonal times the intensity bounds the error of an area; the kernel varies by less than
    # pi * |k| * pixel inside each pixel.
    size = 1500
    grid = (np.arange(size) + 0.5) / size - 0.5
    image = intensity(ONE, grid[:, None], grid[None, :])
    frequencies = np.array([-4.0, 0.0, 1.5])
    rows = np.exp(-2j * np.pi * frequencies[:, None] * grid)
    expected = rows @ image @ rows.T / size**2
    perimeter, area = 2 * np.pi * 0.23, np.pi * 0.23 * 0.08
    bound = 0.7 * (perimeter * np.sqrt(2) + area * np.pi * 6) / size
    error = np.abs(transform(ONE, frequencies, frequencies) - expected).max()
    assert error < bound
    assert bound < 0.05 * np.abs(expected).max()


def test_zero_frequency_is_the_area():
    disc = Ellipses.from_rows([(2.0, (0.3, 0.1), (0.2, 0.2), 0.0)])
    assert at(disc, 0.0, 0.0) == pytest.approx(2 * np.pi * 0.2**2, rel=1e-12)
    assert at(ONE, 0.0, 0.0) == pytest.approx(0.7 * np.pi * 0.23 * 0.08, rel=1e-12)


def test_disc_vanishes_at_the_zeros_of_its_bessel_function():
    first_zero = 3.8317059702075123
    disc = Ellipses.from_rows([(1.0, (0.0, 0.0), (0.2, 0.2), 0.0)])
    assert abs(at(disc, 0.0, first_zero / (2 * np.pi * 0.2))) < 1e-15


def test_translation_is_a_phase():
    shift = np.array([0.05, -0.21])
    moved = Ellipses(ONE.intensity, ONE.centre + shift, ONE.semi_axes, ONE.angle)
    phase = np.exp(-2j * np.pi * (V[:, None] * shift[0] + U[None, :] * shift[1]))
    np.testing.assert_allclose(transform(moved, V, U), transform(ONE, V, U) * phase, atol=1e-14)


def test_rotation_rotates_the_frequencies():
    centred = Ellipses(ONE.intensity, 0 * ONE.centre, ONE.semi_axes, ONE.angle)
    turned = Ellipses(ONE.intensity, 0 * ONE.centre, ONE.semi_axes, ONE.angle + 0.9)
    frequency = 4.0 - 3.0j
    rotated = frequency * np.exp(0.9j)
    expected = at(centred, frequency.imag, frequency.real)
    assert at(turned, rotated.imag, rotated.real) == pytest.approx(expected, rel=1e-10)


def test_scaling_scales_frequencies_inversely_and_the_area_squared():
    scaled = Ellipses(ONE.intensity, 1.7 * ONE.centre, 1.7 * ONE.semi_axes, ONE.angle)
    expected = 1.7**2 * transform(ONE, 1.7 * V, 1.7 * U)
    np.testing.assert_allclose(transform(scaled, V, U), expected, atol=1e-14)


def test_real_object_has_a_hermitian_transform_and_none_is_zero():
    np.testing.assert_allclose(
        transform(SEVERAL, -V, -U), transform(SEVERAL, V, U).conj(), atol=1e-15
    )
    assert not transform(Ellipses.from_rows([]), V, U).any()
