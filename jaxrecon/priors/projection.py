"""Principal components of embeddings: fitted on the host, applied on the device.

The authors' code of arXiv:2511.19641 compares embeddings after a projection on the first principal
components of positives and negatives together, one for each level; the paper does not mention it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from jaxrecon.errors import InputError


class Projection(NamedTuple):
    """A projection y = (x - mean) @ components.

    Attributes:
        mean: of the embeddings it was fitted on, float32.
        components: orthonormal columns, the largest variance first, float32. Each column's entry
            of largest magnitude is positive.
    """

    mean: Float[Array | np.ndarray, " width"]
    components: Float[Array | np.ndarray, "width size"]


def fit_projection(
    blocks: Iterable[Float[np.ndarray, "_ width"]], size: int, name: str = "projection"
) -> Projection:
    """Fit principal components, in float64 and one block at a time.

    The components are the eigenvectors of the covariance, which is summed over the blocks, so that
    embeddings never have to be in memory together.

    Args:
        blocks: embeddings; their order and their division do not matter.
        size: number of components.
        name: of the embeddings, for messages.

    Returns:
        The projection.

    Raises:
        InputError: there are not so many components in so many embeddings.
    """
    count = 0
    origin = total = np.zeros(0)
    products = np.zeros((0, 0))
    for block in blocks:
        rows = np.asarray(block, np.float64)
        if not len(rows):
            continue
        if count == 0:
            # Sums about a point among the data lose no digits to their mean.
            origin = rows.mean(axis=0)
            total = np.zeros_like(origin)
            products = np.zeros((origin.size, origin.size))
        shifted = rows - origin
        count += len(rows)
        total = total + shifted.sum(axis=0)
        products += shifted.T @ shifted
    width = origin.size
    if not 0 < size <= min(width, count - 1):
        raise InputError(
            f"{name}: expected 1 to {max(min(width, count - 1), 0)} principal components of "
            f"{count} embeddings of width {width}, found {size}"
        )
    centre = total / count
    covariance = products / count - np.outer(centre, centre)
    _, vectors = scipy.linalg.eigh(covariance, subset_by_index=(width - size, width - 1))
    vectors = vectors[:, ::-1]
    largest = np.argmax(np.abs(vectors), axis=0)
    signs = np.sign(vectors[largest, np.arange(size)])
    mean = (origin + centre).astype(np.float32)
    return Projection(mean, np.ascontiguousarray(vectors * signs, np.float32))


def project(
    tokens: Float[Array, "*batch width"], projection: Projection | None
) -> Float[Array, "*batch size"]:
    """Apply a projection.

    Args:
        tokens: embeddings.
        projection: as `fit_projection` made it; None leaves the embeddings as they are.
    """
    if projection is None:
        return tokens
    centred = tokens - projection.mean
    # Accelerators would multiply in less than float32 by default.
    return jnp.matmul(centred, projection.components, precision=jax.lax.Precision.HIGHEST)
