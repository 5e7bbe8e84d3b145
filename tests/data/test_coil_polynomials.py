import numpy as np
import pytest
from ellipse_reference import nodes
from kspace_files import centred_ifft

from jaxrecon.data.coil_polynomials import (
    DEGREE,
    CoilRing,
    coil_kspace,
    fine_transform,
    fit_polynomials,
    map_values,
)
from jaxrecon.data.ellipses import Ellipses
from jaxrecon.data.encoding import Encoding
from jaxrecon.errors import InputError

OBJECT = Ellipses.from_rows(
    [
        (0.8, (0.02, -0.03), (0.36, 0.28), 0.3),
        (-0.5, (0.05, 0.1), (0.1, 0.05), 1.9),
        (0.4, (-0.15, -0.1), (0.03, 0.008), -0.7),
    ]
)
RING = CoilRing(coils=3, rotation=0.4, phase=(0.3, 1.5, -1.2, 0.9))


def uniform_map() -> np.ndarray:
    coefficients = np.zeros((1, 2 * DEGREE + 1, 2 * DEGREE + 1), complex)
    coefficients[0, DEGREE, DEGREE] = 1
    return coefficients


def test_ring_has_unit_root_sum_of_squares_and_the_phase_given():
    y, x = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
    maps = RING.maps(y, x)
    np.testing.assert_allclose(np.sqrt((np.abs(maps) ** 2).sum(axis=0)), 1, rtol=1e-12)
    ratio = maps / CoilRing(coils=3, rotation=0.4).maps(y, x)
    phase = 0.3 + 1.5 * x - 1.2 * y[:, None] + 0.9 * x * y[:, None]
    np.testing.assert_allclose(ratio, np.broadcast_to(np.exp(1j * phase), ratio.shape), rtol=1e-12)


def test_ring_follows_its_formula():
    y, x = np.array([0.3]), np.array([-0.8])
    angles = 0.4 + 2 * np.pi * np.arange(3) / 3
    distance = (x - 1.1 * np.cos(angles)) ** 2 + (y - 1.1 * np.sin(angles)) ** 2
    size = np.exp(-distance / 1.2)
    expected = (
        size
        / np.linalg.norm(size)
        * np.exp(1j * (angles + x * np.cos(angles) + y * np.sin(angles)))
    )
    maps = CoilRing(coils=3, rotation=0.4).maps(y, x)
    np.testing.assert_allclose(maps[:, 0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(("oversampling", "tolerance"), [(1, 0.02), (2, 0.08)])
def test_polynomials_fit_the_maps_inside_the_field_of_view(oversampling, tolerance):
    coefficients = fit_polynomials(RING, oversampling)
    points = np.linspace(-0.5, 0.5, 41)
    fitted, wanted = map_values(coefficients, points, points), RING.maps(2 * points, 2 * points)
    assert np.abs(fitted - wanted).max() < tolerance
    assert np.abs(coefficients).max() < 1


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding(16, 12),
        Encoding(15, 13),
        Encoding(12, 17, oversampling=2),
        Encoding(9, 14, oversampling=2, field_of_view=(1.2, 0.9)),
        Encoding(10, 16, field_of_view=(0.8, 1.3)),
    ],
)
def test_kspace_is_the_fourier_integral_of_map_times_object(encoding):
    coefficients = fit_polynomials(RING, encoding.oversampling)
    kspace = coil_kspace(fine_transform(OBJECT, encoding), coefficients, encoding)

    height, width = encoding.field_of_view
    y, x, weights = nodes(OBJECT)
    orders = np.arange(-DEGREE, DEGREE + 1)
    rows = np.exp(1j * np.pi * orders[:, None] * y / height)
    columns = np.exp(1j * np.pi * orders[:, None] * x / width)
    seen = np.einsum("cpq,pn,qn->cn", coefficients, rows, columns) * weights
    m = np.arange(encoding.rows) - encoding.rows // 2
    n = np.arange(encoding.columns) - encoding.columns // 2
    by_row = np.exp(-2j * np.pi * m[:, None] * y / (height * encoding.oversampling))
    by_column = np.exp(-2j * np.pi * n[:, None] * x / width)
    expected = np.einsum("cn,mn,kn->cmk", seen, by_row, by_column, optimize=True)
    expected *= np.sqrt(encoding.rows * encoding.columns)
    expected /= height * width * encoding.oversampling
    assert kspace.shape == (3, encoding.rows, encoding.columns)
    np.testing.assert_allclose(kspace, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("size", [255, 256])
def test_image_shows_map_times_intensity_at_pixel_centres(oversampling, size):
    """Far from edges; a map of steep phase would show a shift of a fraction of a pixel."""
    encoding = Encoding(size, size, oversampling)
    disc = Ellipses.from_rows([(0.8, (0.03, -0.02), (0.4, 0.3), 0.0)])
    coefficients = fit_polynomials(RING, oversampling)
    image = centred_ifft(coil_kspace(fine_transform(disc, encoding), coefficients, encoding))
    rows, columns = np.arange(-40, 40), np.arange(-50, 40)
    top, left = size * oversampling // 2 - 40, size // 2 - 50
    shown = image[:, top : top + 80, left : left + 90]
    expected = 0.8 * map_values(coefficients, rows / size, columns / size)
    assert np.abs(shown - expected).max() < 0.01


def test_edges_ring_as_truncated_kspace_does():
    """Gibbs: next to a jump, the truncated series overshoots by 9 % in one dimension."""
    encoding = Encoding(128, 128)
    disc = Ellipses.from_rows([(1.0, (0.0, 0.0), (0.31, 0.31), 0.0)])
    image = centred_ifft(coil_kspace(fine_transform(disc, encoding), uniform_map(), encoding))[0]
    assert 0.05 < image.real.max() - 1 < 0.15
    np.testing.assert_allclose(image.imag, 0, atol=1e-12)


def test_oversampling_and_folding():
    """An object that leaves the field of view folds over, unless the readout is oversampled."""
    tall = Ellipses.from_rows([(1.0, (0.55, 0.0), (0.2, 0.2), 0.0)])
    short = Encoding(64, 64)
    folded = centred_ifft(coil_kspace(fine_transform(tall, short), uniform_map(), short))[0].real
    long = Encoding(64, 64, oversampling=2)
    whole = centred_ifft(coil_kspace(fine_transform(tall, long), uniform_map(), long))[0].real
    # Row 0.55 is 3 pixels beyond the last row, folded to row 3.
    assert folded[3, 32] == pytest.approx(1, abs=0.05)
    assert whole[64 + 35, 32] == pytest.approx(1, abs=0.05)
    assert abs(whole[32 + 3, 32]) < 0.05


@pytest.mark.parametrize(
    "arguments",
    [
        {"height": 4, "width": 64},
        {"height": 64, "width": 64, "oversampling": 3},
        {"height": 64, "width": 64, "field_of_view": (0.0, 1.0)},
    ],
)
def test_impossible_encodings_are_refused(arguments):
    with pytest.raises(InputError, match="expected"):
        Encoding(**arguments)
