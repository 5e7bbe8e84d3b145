"""Orthonormal Daubechies wavelets on a periodic image.

References:
    Daubechies (1992), Ten lectures on wavelets, chapter 6. https://doi.org/10.1137/1.9781611970104
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Inexact

from jaxrecon.errors import InputError


def wavelet_transform(
    image: Inexact[Array, "*batch height width"], *, levels: int = 4, vanishing_moments: int = 4
) -> Inexact[Array, "*batch height width"]:
    """Two-dimensional orthonormal wavelet transform of an image that continues periodically.

    Args:
        image: real or complex images; height and width are multiples of 2**levels.
        levels: how often the coarse part is split again.
        vanishing_moments: of the wavelet, half the length of its filters: 1 is Haar's, 2 the
            wavelet also called D4 or db2, 4 the one called db4.

    Returns:
        Coefficients of the images' shape and dtype: in each level's top left quarter the coarser
        levels, to its right what varies along the columns, below what varies down the rows.

    Raises:
        InputError: the image's size is not a multiple of 2**levels.
    """
    height, width = image.shape[-2:]
    _check_size(height, width, levels)
    coefficients = image
    for level in range(levels):
        rows, columns = height >> level, width >> level
        coarse = coefficients[..., :rows, :columns]
        for axis in (image.ndim - 2, image.ndim - 1):
            coarse = _split(coarse, axis, vanishing_moments)
        coefficients = coefficients.at[..., :rows, :columns].set(coarse)
    return coefficients


def inverse_wavelet_transform(
    coefficients: Inexact[Array, "*batch height width"],
    *,
    levels: int = 4,
    vanishing_moments: int = 4,
) -> Inexact[Array, "*batch height width"]:
    """Inverse and adjoint of `wavelet_transform`.

    Args:
        coefficients: as `wavelet_transform` arranges them.
        levels: as there.
        vanishing_moments: as there.

    Returns:
        Images of the same shape and dtype.

    Raises:
        InputError: the size is not a multiple of 2**levels.
    """
    height, width = coefficients.shape[-2:]
    _check_size(height, width, levels)
    image = coefficients
    for level in reversed(range(levels)):
        rows, columns = height >> level, width >> level
        coarse = image[..., :rows, :columns]
        for axis in (image.ndim - 1, image.ndim - 2):
            coarse = _merge(coarse, axis, vanishing_moments)
        image = image.at[..., :rows, :columns].set(coarse)
    return image


def is_detail(height: int, width: int, levels: int) -> Bool[np.ndarray, "height width"]:
    """Which coefficients of `wavelet_transform` are details: all but the coarsest image.

    Args:
        height: rows, a multiple of 2**levels.
        width: columns, likewise.
        levels: levels of the transform.

    Returns:
        True at details.
    """
    detail = np.ones((height, width), bool)
    detail[: height >> levels, : width >> levels] = False
    return detail


def _check_size(height: int, width: int, levels: int) -> None:
    if levels < 0 or height % 2**levels or width % 2**levels:
        raise InputError(
            f"wavelet transform of {levels} levels: expected sizes that are multiples of "
            f"{2**levels}, found {height} x {width}"
        )


def _split(signal: Array, axis: int, vanishing_moments: int) -> Array:
    """Low-pass half and high-pass half along an axis, counted from the first one."""
    half = signal.shape[axis] // 2
    # Even and odd samples, moved so that a coefficient lies near the samples it is made of, and
    # continued for the filters' length.
    moved = jnp.roll(signal, vanishing_moments - 1, axis)
    pairs = moved.reshape(*signal.shape[:axis], half, 2, *signal.shape[axis + 1 :])
    parities = [
        _continued(
            jax.lax.index_in_dim(pairs, parity, axis + 1, keepdims=False),
            axis,
            (0, vanishing_moments - 1),
        )
        for parity in (0, 1)
    ]
    halves = [
        sum(
            tap
            * jax.lax.slice_in_dim(parities[place % 2], place // 2, place // 2 + half, axis=axis)
            for place, tap in enumerate(taps)
        )
        for taps in _filters(vanishing_moments)
    ]
    return jnp.concatenate(halves, axis)


def _merge(halves: Array, axis: int, vanishing_moments: int) -> Array:
    """Inverse and adjoint of `_split`."""
    half = halves.shape[axis] // 2
    last = vanishing_moments - 1
    parts = [_continued(part, axis, (last, 0)) for part in jnp.split(halves, 2, axis)]
    parities = [
        sum(
            taps[2 * place + parity]
            * jax.lax.slice_in_dim(part, last - place, last - place + half, axis=axis)
            for taps, part in zip(_filters(vanishing_moments), parts, strict=True)
            for place in range(vanishing_moments)
        )
        for parity in (0, 1)
    ]
    signal = jnp.stack(parities, axis + 1).reshape(halves.shape)
    return jnp.roll(signal, 1 - vanishing_moments, axis)


def _continued(signal: Array, axis: int, margins: tuple[int, int]) -> Array:
    widths = [(0, 0)] * signal.ndim
    widths[axis] = margins
    return jnp.pad(signal, widths, mode="wrap")


@functools.cache
def _filters(vanishing_moments: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low-pass and high-pass filter, by factorising the filter's power spectrum.

    The power spectrum is 2 cos(w / 2)^(2 N) P(sin(w / 2)^2) with P(y) = sum_k C(N - 1 + k, k) y^k,
    k < N. Of each pair of its zeros, 1 / z and z, the filter takes the one inside the unit circle.
    """
    count = vanishing_moments
    polynomial = [math.comb(count - 1 + k, k) for k in range(count)]
    half_sums = 1 - 2 * np.roots(polynomial[::-1])
    zeros = [np.roots([1, -2 * half_sum, 1]) for half_sum in half_sums]
    inside = [pair[np.argmin(np.abs(pair))] for pair in zeros]
    low = np.poly([*inside, *[-1] * count]).real
    low *= np.sqrt(2) / low.sum()
    high = low[::-1] * (-1.0) ** np.arange(2 * count)
    return tuple(low.tolist()), tuple(high.tolist())
