"""Resampling of image axes as matrices, with the pixel grids of torch and PIL.

Output pixel i of m has its centre at (i + 1/2) n/m - 1/2 of the n input pixels. The weights are
made on the host in float64: float32 grid positions alone would cost an error of 1e-5.
"""

import numpy as np
from jaxtyping import Float


def _centres(inputs: int, outputs: int) -> Float[np.ndarray, " outputs"]:
    return (np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5


def bilinear_matrix(inputs: int, outputs: int) -> Float[np.ndarray, "outputs inputs"]:
    """Weights of antialiased bilinear resampling.

    The triangle is widened by the factor of a reduction and its weights sum to 1 at the borders
    too, as in torch's `interpolate(mode="bilinear", antialias=True)` and PIL's `BILINEAR`.

    Args:
        inputs: pixels before.
        outputs: pixels after.
    """
    support = max(inputs / outputs, 1.0)
    distance = np.abs(_centres(inputs, outputs)[:, None] - np.arange(inputs)) / support
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def bicubic_matrix(inputs: int, outputs: int) -> Float[np.ndarray, "outputs inputs"]:
    """Weights of bicubic resampling with a = -0.75, without antialiasing.

    Keys 1981, "Cubic convolution interpolation for digital image processing". Pixels outside are
    those of the border, as in torch's `interpolate(mode="bicubic")`.

    Args:
        inputs: pixels before.
        outputs: pixels after.
    """
    a = -0.75
    centres = _centres(inputs, outputs)
    first = np.floor(centres).astype(int)
    weights = np.zeros((outputs, inputs))
    for tap in range(-1, 3):
        t = np.abs(centres - (first + tap))
        near = ((a + 2) * t - (a + 3)) * t**2 + 1
        far = a * (((t - 5) * t + 8) * t - 4)
        column = np.clip(first + tap, 0, inputs - 1)
        np.add.at(weights, (np.arange(outputs), column), np.where(t <= 1, near, far))
    return weights


def resample_positions(
    positions: Float[np.ndarray, "positions width"], grid: int, *, class_token: bool
) -> Float[np.ndarray, "resampled width"]:
    """Bring learned position embeddings to another grid of patches, bicubically.

    Args:
        positions: of a square grid in row-major order.
        grid: patches along each side afterwards.
        class_token: the first position is the class token's, and stays as it is.

    Returns:
        float32 positions of `grid * grid` patches, after the class token's if there is one; the
        same values where the grid is the same.
    """
    head, patches = np.split(positions, [int(class_token)])
    side = round(len(patches) ** 0.5)
    if side != grid:
        matrix = bicubic_matrix(side, grid)
        square = patches.astype(np.float64).reshape(side, side, -1)
        square = np.einsum("ai,bj,ijw->abw", matrix, matrix, square, optimize=True)
        patches = square.reshape(grid * grid, -1)
    return np.concatenate([head, patches]).astype(np.float32)
