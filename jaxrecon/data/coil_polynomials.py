"""Coil maps that are trigonometric polynomials, and the exact k-space of what they see.

A map S(y, x) = sum_pq C_pq exp(2 pi i (p y / Y + q x / X)) shifts frequencies: the Fourier
transform of S times an object is sum_pq C_pq F(v - p / Y, u - q / X), F being the object's. With
the periods Y and X twice the field of view, the shifted frequencies all lie on one grid, twice as
fine as k-space, so that the object's transform is evaluated once for all coils.

References:
    M. Guerquin-Kern, L. Lejeune, K. P. Pruessmann, M. Unser, Realistic analytical phantoms for
    parallel magnetic resonance imaging, IEEE Trans. Med. Imaging 31(3), 2012.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Complex128, Float64

from jaxrecon.data.ellipses import Ellipses, transform
from jaxrecon.data.encoding import Encoding

DEGREE = 4
"""Highest p and q. The fit is within about 1 %, and 5 % with readout oversampling; the maps are
what was fitted, so that their k-space is exact all the same."""

_FIT_POINTS = 64


@dataclasses.dataclass(frozen=True)
class CoilRing:
    """Receive coils around the body, and the phase of the object.

    In coordinates that run from -1 to 1 over the field of view, coil c at the angle t sees
    exp(-|r - distance (cos t, sin t)|^2 / spread) * exp(i (t + x cos t + y sin t)). The maps are
    divided by their root sum of squares and multiplied by exp(i (a0 + a1 x + a2 y + a3 x y)).

    Attributes:
        coils: how many.
        rotation: angle of the first, radians.
        distance: radius of the ring; the edge of the field of view is at 1.
        spread: squared width of a coil's profile.
        phase: a0 to a3, radians.
    """

    coils: int
    rotation: float = 0.0
    distance: float = 1.1
    spread: float = 1.2
    phase: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def maps(
        self, y: Float64[np.ndarray, " rows"], x: Float64[np.ndarray, " columns"]
    ) -> Complex128[np.ndarray, "coils rows columns"]:
        """The maps at rows `y` and columns `x`, with the object's phase; their RSS is 1."""
        rows, columns = y[:, None], x[None, :]
        angles = self.rotation + 2 * np.pi * np.arange(self.coils)[:, None, None] / self.coils
        cosine, sine = np.cos(angles), np.sin(angles)
        squared = (columns - self.distance * cosine) ** 2 + (rows - self.distance * sine) ** 2
        exponent = -squared / self.spread
        # The strongest coil as the reference, so that no sum of squares underflows.
        size = np.exp(exponent - exponent.max(axis=0))
        size /= np.sqrt((size**2).sum(axis=0))
        a0, a1, a2, a3 = self.phase
        turn = angles + columns * cosine + rows * sine
        turn = turn + (a0 + a1 * columns + a2 * rows + a3 * rows * columns)
        return size * np.exp(1j * turn)


def fit_polynomials(
    ring: CoilRing, oversampling: int
) -> Complex128[np.ndarray, "coils orders orders"]:
    """Least-squares fit of trigonometric polynomials to the maps of a ring of coils.

    Args:
        ring: the coils and the object's phase.
        oversampling: of the readout. With 2, the period is the height that k-space covers; there,
            the maps fade to 0 outside the field of view of the image.

    Returns:
        Coefficients C_pq of each coil, p (rows) and q (columns) from -DEGREE to DEGREE; the period
        is twice the image's field of view along both axes.
    """
    x = np.linspace(-1, 1, _FIT_POINTS)
    y = np.linspace(-oversampling, oversampling, _FIT_POINTS * oversampling)
    fading = np.cos(np.pi / 2 * np.clip(np.abs(y) - 1, 0, 1)) ** 2
    wanted = ring.maps(y, x) * fading[:, None]
    return _projector(oversampling) @ wanted @ _projector(1).T


def map_values(
    coefficients: Complex128[np.ndarray, "coils orders orders"],
    y: Float64[np.ndarray, " rows"],
    x: Float64[np.ndarray, " columns"],
) -> Complex128[np.ndarray, "coils rows columns"]:
    """Polynomial maps at points given in units of the image's field of view, 0 at its centre."""
    return _basis(2 * y) @ coefficients @ _basis(2 * x).T


def fine_transform(
    ellipses: Ellipses, encoding: Encoding
) -> Complex128[np.ndarray, "fine_rows fine_columns"]:
    """Fourier transform of ellipses on the grid that `coil_kspace` picks from.

    The grid is symmetric about frequency 0, with a spacing of one over twice the field of view. The
    transforms of several sets of ellipses may be added.
    """
    rows = np.arange(_last_index(encoding.rows, _stride(encoding)) + 1)
    last = _last_index(encoding.columns, 2)
    columns = np.arange(-last, last + 1)
    height, width = encoding.field_of_view
    half = transform(ellipses, rows / (2 * height), columns / (2 * width))
    # Intensities are real: the transform at -k is the conjugate of that at k.
    return np.concatenate([half[:0:-1, ::-1].conj(), half])


def coil_kspace(
    fine: Complex128[np.ndarray, "fine_rows fine_columns"],
    coefficients: Complex128[np.ndarray, "coils orders orders"],
    encoding: Encoding,
) -> Complex128[np.ndarray, "coils rows columns"]:
    """K-space of an object as coils with polynomial maps see it, exact.

    Args:
        fine: the object's transform, of `fine_transform`.
        coefficients: of the maps.
        encoding: the sampling grid, the one of `fine`.

    Returns:
        Samples scaled so that the centred orthonormal inverse FFT approximates map times intensity
        at the centre of each pixel.
    """
    orders = range(-DEGREE, DEGREE + 1)
    shifted = np.stack([fine[:, _picked(encoding.columns, 2, order)] for order in orders])
    total = np.zeros((len(coefficients), encoding.rows, encoding.columns), np.complex128)
    for number, order in enumerate(orders):
        rows = _picked(encoding.rows, _stride(encoding), order)
        total += np.tensordot(coefficients[:, number], shifted[:, rows], axes=1)
    height, width = encoding.field_of_view
    area = encoding.oversampling * height * width
    total *= np.sqrt(encoding.rows * encoding.columns) / area
    return total


def _stride(encoding: Encoding) -> int:
    """Steps of the fine grid between two rows of k-space."""
    return 2 // encoding.oversampling


def _last_index(size: int, stride: int) -> int:
    return stride * (size // 2) + DEGREE


def _picked(size: int, stride: int, order: int) -> slice:
    """Indices of the fine grid that hold the samples of k-space, shifted by `order`."""
    first = _last_index(size, stride) - stride * (size // 2) - order
    return slice(first, first + stride * (size - 1) + 1, stride)


def _basis(
    position: Float64[np.ndarray, " points"],
) -> Complex128[np.ndarray, "points orders"]:
    """exp(2 pi i p position / 4) for all orders p; the field of view spans -1 to 1."""
    return np.exp(0.5j * np.pi * position[:, None] * np.arange(-DEGREE, DEGREE + 1))


@functools.lru_cache(maxsize=4)
def _projector(oversampling: int) -> np.ndarray:
    points = np.linspace(-oversampling, oversampling, _FIT_POINTS * oversampling)
    # Over half a period the functions are nearly dependent: the cut-off keeps coefficients small.
    return np.linalg.pinv(_basis(points), rcond=1e-2)
