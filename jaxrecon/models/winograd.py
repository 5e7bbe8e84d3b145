"""3 x 3 convolutions with fewer multiplications: Winograd's minimal filtering, for CPUs.

Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308): tiles
of the image and the kernel are transformed, multiplied in matrix products over the channels, and
transformed back. A tile of m x m results takes (m + 2)^2 products instead of 9 m^2: 2.25 times
fewer for m = 2, whose rounding is that of the direct sum; 4 times fewer for m = 4, whose rounding
is five times that (2e-6 of the root mean square with 256 channels). The transforms cost memory
traffic, so this is worth it where channels are many.
"""

import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_TAPS = 3

# Points at which the polynomials are multiplied (Toom and Cook), those with the least rounding:
# Barabasz et al. 2020, https://doi.org/10.1145/3412380.
_POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2)),
}

# Rows and columns, and channels, from which on large tiles pay.
_LARGE, _MANY = 32, 64

_Matrix = Sequence[Sequence[float]]
_Grid = list[list[Array]]


class _Transforms(NamedTuple):
    """y = output ((image x) * (kernel k)), along each axis."""

    tile: int
    image: _Matrix
    kernel: _Matrix
    output: _Matrix


def convolve_3x3(
    x: Float[Array, "batch height width inputs"], kernel: Float[Array, "3 3 inputs outputs"]
) -> Float[Array, "batch height width outputs"]:
    """Convolution (cross-correlation) of stride 1 with zero "SAME" padding.

    Args:
        x: images, channels last.
        kernel: same dtype as `x`.
    """
    return _filter(x, [list(row) for row in kernel], inputs_axis=0)


def image_gradient_3x3(
    cotangent: Float[Array, "batch height width outputs"],
    kernel: Float[Array, "3 3 inputs outputs"],
) -> Float[Array, "batch height width inputs"]:
    """Gradient of `convolve_3x3` with respect to the images.

    Args:
        cotangent: of the result.
        kernel: see `convolve_3x3`.
    """
    # The kernel is turned around tap by tap and transposed within the products: a transposed copy
    # of a wide kernel costs more than they do.
    return _filter(cotangent, [list(row[::-1]) for row in kernel[::-1]], inputs_axis=1)


def kernel_gradient_3x3(
    x: Float[Array, "batch height width inputs"],
    cotangent: Float[Array, "batch height width outputs"],
) -> Float[Array, "3 3 inputs outputs"]:
    """Gradient of `convolve_3x3` with respect to the kernel: the same transforms, transposed.

    Args:
        x: images, channels last.
        cotangent: of the result.
    """
    transforms = _transforms(x)
    _, height, width, _ = x.shape
    rest = (-height % transforms.tile, -width % transforms.tile)
    padded = jnp.pad(cotangent, ((0, 0), (0, rest[0]), (0, rest[1]), (0, 0)))
    spread = _transform_tiles(padded, _transposed(transforms.output), transforms.tile)

    def product(tile: Array, cotangent: Array) -> Array:
        tile, cotangent = (a.reshape(-1, a.shape[-1]) for a in (tile, cotangent))
        return tile.T @ cotangent

    products = _each(product, _tiles(x, transforms), spread)
    taps = _transform(_transposed(transforms.kernel), products)
    return jnp.stack([jnp.stack(row) for row in taps])


def _filter(x: Array, taps: _Grid, inputs_axis: int) -> Array:
    """Convolution with a kernel whose taps are matrices, their axis of inputs given."""
    transforms = _transforms(x)
    batch, height, width, _ = x.shape

    def product(tile: Array, tap: Array) -> Array:
        return lax.dot_general(tile, tap, (((3,), (inputs_axis,)), ((), ())))

    products = _each(product, _tiles(x, transforms), _transform(transforms.kernel, taps))
    pixels = _transform(transforms.output, products)
    image = jnp.stack([jnp.stack(row, 3) for row in pixels], 2)
    _, rows, tile, columns, _, outputs = image.shape
    image = image.reshape(batch, rows * tile, columns * tile, outputs)
    return image[:, :height, :width]


def _tiles(x: Array, transforms: _Transforms) -> _Grid:
    """Transformed, overlapping tiles; each array is (batch, tiles, tiles, channels)."""
    _, height, width, _ = x.shape
    margins = [(1, 1 + -size % transforms.tile) for size in (height, width)]
    padded = jnp.pad(x, ((0, 0), *margins, (0, 0)))
    return _transform_tiles(padded, transforms.image, transforms.tile)


def _transform_tiles(x: Array, matrix: _Matrix, tile: int) -> _Grid:
    """The matrix along both axes of tiles of its width, `tile` pixels apart."""
    size = len(matrix[0])
    rows, columns = ((pixels - size) // tile + 1 for pixels in x.shape[1:3])

    def starts(count: int, first: int) -> slice:
        return slice(first, first + (count - 1) * tile + 1, tile)

    lines = _combine(matrix, [x[:, starts(rows, first)] for first in range(size)])
    # Kept from being computed anew for each of the sums below.
    lines = lax.optimization_barrier(lines)
    return [
        _combine(matrix, [line[:, :, starts(columns, first)] for first in range(size)])
        for line in lines
    ]


def _transform(matrix: _Matrix, grid: _Grid) -> _Grid:
    """The matrix along both axes of a grid of arrays."""
    columns = [_combine(matrix, list(column)) for column in zip(*grid, strict=True)]
    return [_combine(matrix, list(row)) for row in zip(*columns, strict=True)]


def _combine(matrix: _Matrix, arrays: list[Array]) -> list[Array]:
    """Sums of arrays, one for each row of the matrix."""
    sums = []
    for row in matrix:
        terms = [
            array if factor == 1 else factor * array
            for factor, array in zip(row, arrays, strict=True)
            if factor
        ]
        sums.append(sum(terms[1:], start=terms[0]))
    return sums


def _each(function: Callable[[Array, Array], Array], left: _Grid, right: _Grid) -> _Grid:
    return [
        [function(a, b) for a, b in zip(*rows, strict=True)]
        for rows in zip(left, right, strict=True)
    ]


def _transposed(matrix: _Matrix) -> _Matrix:
    return tuple(zip(*matrix, strict=True))


def _transforms(x: Array) -> _Transforms:
    _, height, width, channels = x.shape
    is_large = min(height, width) >= _LARGE and channels >= _MANY
    return _toom_cook(4 if is_large else 2)


@functools.cache
def _toom_cook(tile: int) -> _Transforms:
    """Transforms for `tile` results: products of polynomials by their values at points.

    The last point is infinity, where a polynomial's value is its leading coefficient.
    """
    points = _POINTS[tile]
    others = [[q for q in points if q != p] for p in points]
    # A transposed product of polynomials: values of taps and results, interpolation of the image.
    norms = [
        math.prod((p - q for q in rest), start=Fraction(1))
        for p, rest in zip(points, others, strict=True)
    ]
    output = [[p**power for p in points] + [Fraction(power == tile - 1)] for power in range(tile)]
    kernel = [
        [p**power / norm for power in range(_TAPS)] for p, norm in zip(points, norms, strict=True)
    ]
    kernel.append([Fraction(power == _TAPS - 1) for power in range(_TAPS)])
    image = [[*_coefficients(rest), Fraction(0)] for rest in others] + [_coefficients(points)]
    return _Transforms(
        tile, *(tuple(tuple(map(float, row)) for row in m) for m in (image, kernel, output))
    )


def _coefficients(roots: Sequence[Fraction]) -> list[Fraction]:
    """Of the monic polynomial with these roots, the constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [
            a - root * b for a, b in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)
        ]
    return found
