"""From a reconstruction to what a pretrained encoder expects to see."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxrecon.encoders.percentile import percentiles as percentiles_of
from jaxrecon.encoders.resampling import bilinear_matrix
from jaxrecon.encoders.spec import IMAGENET, PixelStatistics
from jaxrecon.errors import InputError


def scale_to_percentiles(
    magnitude: Float[Array, "batch height width"], percentiles: tuple[float, float] = (1.0, 99.0)
) -> Float[Array, "batch height width"]:
    """Bring each image's range between two percentiles to 0..1, and clip what lies outside.

    The result does not depend on the image's scale. An image without contrast (all zero, or
    constant) becomes zero. The gradient takes the percentiles' own dependence on the image into
    account, so it is that of the function as it stands: orthogonal to the image.

    Args:
        magnitude: float32, not negative.
        percentiles: lower and upper percentage.

    Raises:
        InputError: not 0 <= lower < upper <= 100.
    """
    lower, upper = percentiles
    if not 0 <= lower < upper <= 100:
        raise InputError(
            f"percentiles: expected 0 <= lower < upper <= 100, found {lower} and {upper}"
        )
    batch, height, width = magnitude.shape
    bounds = percentiles_of(magnitude.reshape(batch, height * width), (lower, upper))
    low, high = bounds[:, 0, None, None], bounds[:, 1, None, None]
    spread = high - low
    scaled = (magnitude - low) / jnp.where(spread > 0, spread, 1.0)
    return jnp.where(spread > 0, jnp.clip(scaled, 0.0, 1.0), 0.0)


def resize(
    images: Float[Array, "batch height width"], size: int
) -> Float[Array, "batch size size"]:
    """Resize to a square, bilinear and antialiased, as torch and PIL do (see `resampling`).

    Args:
        images: float32.
        size: pixels along each side afterwards.
    """
    _, height, width = images.shape
    rows = bilinear_matrix(height, size).astype(np.float32)
    columns = bilinear_matrix(width, size).astype(np.float32)
    # Accelerators would multiply in less than float32 by default.
    return jnp.einsum(
        "ai,bj,nij->nab", rows, columns, images, precision=jax.lax.Precision.HIGHEST, optimize=True
    )


def encoder_input(
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
    statistics: PixelStatistics = IMAGENET,
    size: int = 224,
    percentiles: tuple[float, float] = (1.0, 99.0),
) -> Float[Array, "batch size size 3"]:
    """Pixels for a vision encoder (Hashmi et al. 2026, arXiv:2604.22557, section 3.1).

    Magnitude, percentile scaling, three equal channels of size x size pixels, standardised. The
    result does not depend on the image's scale, and is differentiable.

    Args:
        image: complex64 or float32, any scale.
        statistics: of the channels; the paper takes ImageNet's for every encoder.
        size: side of the square the encoder sees, pixels; the aspect ratio is not kept.
        percentiles: become 0 and 1.

    Returns:
        float32.

    Raises:
        InputError: the percentiles are not usable.
    """
    pixels = resize(scale_to_percentiles(jnp.abs(image), percentiles), size)[..., None]
    mean = np.asarray(statistics.mean, np.float32)
    return (pixels - mean) / np.asarray(statistics.std, np.float32)
