"""3 x 3 convolutions with fewer multiplications: Winograd's minimal filtering.

Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308), the
variant F(2 x 2, 3 x 3): 16 products for 2 x 2 pixels instead of 36, all of them in 16 matrix
products over the channels. Its matrices hold nothing but 0, 1 and 1/2, so its rounding is that of
the direct sum. Worth it where channels are many: the transforms cost memory traffic.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Transforms of four input pixels, of three taps, and from four products to two output pixels:
# y = OUTPUT ((INPUT x) * (KERNEL k)), along each axis.
_INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))
_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OUTPUT = ((1, 1, 1, 0), (0, 1, -1, 1))

_Matrix = Sequence[Sequence[int | float]]
_Grid = list[list[Array]]


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


def _filter(x: Array, taps: _Grid, inputs_axis: int) -> Array:
    """Convolution with a kernel whose taps are matrices, their axis of inputs given."""
    batch, height, width, _ = x.shape

    def product(tile: Array, tap: Array) -> Array:
        return jax.lax.dot_general(tile, tap, (((3,), (inputs_axis,)), ((), ())))

    pairs = _transform(_OUTPUT, _each(product, _tiles(x), _transform(_KERNEL, taps)))
    image = jnp.stack([jnp.stack(row, 3) for row in pairs], 2)
    tall, wide = 2 * image.shape[1], 2 * image.shape[3]
    return image.reshape(batch, tall, wide, -1)[:, :height, :width]


def kernel_gradient_3x3(
    x: Float[Array, "batch height width inputs"],
    cotangent: Float[Array, "batch height width outputs"],
) -> Float[Array, "3 3 inputs outputs"]:
    """Gradient of `convolve_3x3` with respect to the kernel: the same transforms, transposed.

    Args:
        x: images, channels last.
        cotangent: of the result.
    """
    _, height, width, _ = x.shape
    padded = jnp.pad(cotangent, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    pairs = [[padded[:, row::2, column::2] for column in range(2)] for row in range(2)]
    spread = _transform(tuple(zip(*_OUTPUT, strict=True)), pairs)

    def product(tile: Array, cotangent: Array) -> Array:
        tile, cotangent = (a.reshape(-1, a.shape[-1]) for a in (tile, cotangent))
        return tile.T @ cotangent

    taps = _transform(tuple(zip(*_KERNEL, strict=True)), _each(product, _tiles(x), spread))
    return jnp.stack([jnp.stack(row) for row in taps])


def _tiles(x: Float[Array, "batch height width channels"]) -> _Grid:
    """Transformed 4 x 4 tiles, two pixels apart; each array is (batch, tiles, tiles, channels)."""
    _, height, width, _ = x.shape
    rows, columns = -(-height // 2), -(-width // 2)
    padded = jnp.pad(x, ((0, 0), (1, 2 * rows + 1 - height), (1, 2 * columns + 1 - width), (0, 0)))
    pixels = [
        [padded[:, a : a + 2 * rows : 2, b : b + 2 * columns : 2] for b in range(4)]
        for a in range(4)
    ]
    return _transform(_INPUT, pixels)


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
