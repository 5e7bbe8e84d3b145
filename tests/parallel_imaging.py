"""A small simulated multi-coil scan for tests of parallel imaging."""

import jax.numpy as jnp
import numpy as np
from operator_checks import norm

from jaxrecon.data.simulation import ImageSettings, image_kspace, simulate_coils


def phantom(height: int, width: int) -> np.ndarray:
    """Float32 magnitude image of a few discs inside a dark border."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    discs = [(0.0, 0.0, 0.8, 0.5), (0.2, 0.3, 0.3, 0.5), (-0.3, -0.2, 0.35, -0.3)]
    image = sum(value * ((x - u) ** 2 + (y - v) ** 2 < r**2) for u, v, r, value in discs)
    return image.astype(np.float32)


def scan(height: int, width: int, coils: int, slices: int = 0, noise: float = 0.002):
    """Fully sampled k-space (*slices, coils, height, width) and its maps (coils, height, width)."""
    settings = ImageSettings(coils=coils, noise=noise)
    image = phantom(height, width)
    kspace = [image_kspace(image, settings, index) for index in range(slices or 1)]
    stacked = np.stack(kspace) if slices else kspace[0]
    return jnp.asarray(stacked), jnp.asarray(simulate_coils(coils, height, width))


def columns_mask(width: int, acs: int, every: int = 3) -> jnp.ndarray:
    """Every so many-th column and a fully sampled centre, (1, width)."""
    mask = np.zeros((1, width), bool)
    mask[:, ::every] = True
    start = (width - acs + 1) // 2
    mask[:, start : start + acs] = True
    return jnp.asarray(mask)


def points_mask(height: int, width: int, acs: int, fraction: float = 0.4) -> jnp.ndarray:
    """Random points and a fully sampled centre, (height, width)."""
    mask = np.random.default_rng(0).random((height, width)) < fraction
    top, left = (height - acs + 1) // 2, (width - acs + 1) // 2
    mask[top : top + acs, left : left + acs] = True
    return jnp.asarray(mask)


def relative_error(found, expected) -> float:
    """|found - expected| / |expected|."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return norm(found - expected) / norm(expected)
