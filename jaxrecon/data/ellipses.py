"""Ellipses of constant intensity and their exact Fourier transform."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Complex128, Float64
from scipy.special import j1


@dataclasses.dataclass(frozen=True, eq=False)
class Ellipses:
    """A sum of ellipses; where they overlap, their intensities add.

    Lengths are in units of the field of view; rows run down the image.

    Attributes:
        intensity: what each ellipse adds inside its border.
        centre: (row, column) position.
        semi_axes: along the direction `angle`, then across it.
        angle: radians from the column axis towards the row axis.
    """

    intensity: Float64[np.ndarray, " ellipses"]
    centre: Float64[np.ndarray, "ellipses 2"]
    semi_axes: Float64[np.ndarray, "ellipses 2"]
    angle: Float64[np.ndarray, " ellipses"]

    def __len__(self) -> int:
        return len(self.intensity)

    @classmethod
    def from_rows(
        cls, rows: Iterable[tuple[float, tuple[float, float], tuple[float, float], float]]
    ) -> "Ellipses":
        """Ellipses from tuples (intensity, (row, column), (along, across), angle)."""
        table = np.array([(level, *centre, *axes, angle) for level, centre, axes, angle in rows])
        table = table.astype(np.float64).reshape(-1, 6)
        return cls(table[:, 0], table[:, 1:3], table[:, 3:5], table[:, 5])


def transform(
    ellipses: Ellipses,
    row_frequencies: Float64[np.ndarray, " rows"],
    column_frequencies: Float64[np.ndarray, " columns"],
) -> Complex128[np.ndarray, "rows columns"]:
    """Continuous Fourier transform of ellipses on a grid of frequencies.

    The integral of intensity(y, x) * exp(-2 pi i (v y + u x)) is, for one ellipse of semi-axes
    a and b, intensity * a b * J1(2 pi K) / K * exp(-2 pi i (v y0 + u x0)), where K is the length
    of the frequency in the ellipse's own axes, each stretched by its semi-axis.

    Args:
        ellipses: the objects.
        row_frequencies: v, in cycles per unit of length.
        column_frequencies: u, likewise.

    Returns:
        The transform at each pair (v, u).

    References:
        C. G. Koay, J. E. Sarlls, E. Ozarslan, Three-dimensional analytical magnetic resonance
        imaging phantom in the Fourier domain, Magn. Reson. Med. 58, 2007 (here in 2-D).
    """
    total = np.zeros((len(row_frequencies), len(column_frequencies)), np.complex128)
    v = row_frequencies[:, None]
    u = column_frequencies[None, :]
    for intensity, (row, column), (along, across), angle in zip(
        ellipses.intensity, ellipses.centre, ellipses.semi_axes, ellipses.angle, strict=True
    ):
        cosine, sine = np.cos(angle), np.sin(angle)
        first = 2 * np.pi * along * (u * cosine + v * sine)
        second = 2 * np.pi * across * (v * cosine - u * sine)
        stretched = np.sqrt(first * first + second * second)
        # J1(q) / q is 1/2 - q^2/16 + ... : below 1e-7 its limit is exact in float64.
        np.maximum(stretched, 1e-7, out=stretched)
        amplitude = j1(stretched)
        amplitude /= stretched
        amplitude *= 2 * np.pi * intensity * along * across
        phase = np.exp(-2j * np.pi * row * v) * np.exp(-2j * np.pi * column * u)
        phase *= amplitude
        total += phase
    return total
