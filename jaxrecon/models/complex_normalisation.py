"""Complex images as two real channels of mean 0 and deviation 1, and back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float


class Normalisation(NamedTuple):
    """What `restore_parts` needs to undo `normalise_parts`.

    Attributes:
        mean: of the real and the imaginary part.
        spread: their deviation; 0 where a part is constant.
    """

    mean: Float[Array, "batch 1 1 2"]
    spread: Float[Array, "batch 1 1 2"]


def complex_to_channels(
    image: Complex[Array, "batch height width"],
) -> Float[Array, "batch height width 2"]:
    """Real and imaginary part as two channels."""
    return jnp.stack([image.real, image.imag], axis=-1)


def channels_to_complex(
    channels: Float[Array, "batch height width 2"],
) -> Complex[Array, "batch height width"]:
    """Inverse of `complex_to_channels`; computes in float32, or float64 where it is given."""
    channels = channels.astype(jnp.promote_types(channels.dtype, jnp.float32))
    return jnp.asarray(channels[..., 0] + 1j * channels[..., 1])


def normalise_parts(
    image: Complex[Array, "batch height width"],
) -> tuple[Float[Array, "batch height width 2"], Normalisation]:
    """Bring real and imaginary part each to mean 0 and unbiased standard deviation 1.

    Sriram et al. 2020 (arXiv:2004.06688), section 2.1. A constant part becomes zero.

    Args:
        image: complex images of any scale.

    Returns:
        The two channels, and what undoes the change.
    """
    _, height, width = image.shape
    x = complex_to_channels(image)
    mean = x.mean((1, 2), keepdims=True)
    centred = x - mean
    # Squares of small signals underflow in float32: scale by the largest value first. The result
    # does not depend on it, so neither does the gradient.
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(centred), (1, 2), keepdims=True))
    peak = jnp.where(peak > 0, peak, 1.0)
    scaled = centred / peak
    variance = jnp.sum(jnp.square(scaled), (1, 2), keepdims=True) / (height * width - 1)
    deviation = jnp.sqrt(jnp.where(variance > 0, variance, 1.0))
    spread = jnp.where(variance > 0, deviation * peak, 0.0)
    return scaled / deviation, Normalisation(mean, spread)


def restore_parts(
    channels: Float[Array, "batch height width 2"], normalisation: Normalisation
) -> Complex[Array, "batch height width"]:
    """Give two channels the mean and deviation of an image; computes in the image's precision."""
    channels = channels.astype(normalisation.spread.dtype)
    return channels_to_complex(channels * normalisation.spread + normalisation.mean)
