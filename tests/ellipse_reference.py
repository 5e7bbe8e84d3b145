"""Ellipses by plain formulas and numerical integration, to compare the analytic ones with."""

import numpy as np

from jaxrecon.data.ellipses import Ellipses


def intensity(ellipses: Ellipses, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sum of the intensities of all ellipses that hold each point."""
    total = np.zeros(np.broadcast_shapes(y.shape, x.shape))
    for level, (row, column), (along, across), angle in zip(
        ellipses.intensity, ellipses.centre, ellipses.semi_axes, ellipses.angle, strict=True
    ):
        turned = np.exp(-1j * angle) * ((x - column) + 1j * (y - row))
        total += level * ((turned.real / along) ** 2 + (turned.imag / across) ** 2 < 1)
    return total


def nodes(ellipses: Ellipses, radial: int = 60, turns: int = 120):
    """Points (y, x) and weights whose sum integrates smooth functions over the ellipses.

    Gauss-Legendre along the radius of the unit disc, trapezoid (exact for trigonometric
    polynomials) around it, mapped to each ellipse: the error falls exponentially.
    """
    r, weight = np.polynomial.legendre.leggauss(radial)
    r, weight = (r + 1) / 2, weight / 2
    phi = 2 * np.pi * np.arange(turns) / turns
    disc = (r[:, None] * np.exp(1j * phi)).ravel()
    area = np.repeat(weight * r, turns) * 2 * np.pi / turns
    points, weights = [], []
    for level, (row, column), (along, across), angle in zip(
        ellipses.intensity, ellipses.centre, ellipses.semi_axes, ellipses.angle, strict=True
    ):
        place = np.exp(1j * angle) * (along * disc.real + 1j * across * disc.imag)
        points.append(np.stack([place.imag + row, place.real + column]))
        weights.append(level * along * across * area)
    y, x = np.concatenate(points, axis=1)
    return y, x, np.concatenate(weights)
