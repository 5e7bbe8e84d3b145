"""From a reconstruction to the pixels of a prior's encoder: paper B's way, and paper A's."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxrecon.encoders.preprocess import encoder_input
from jaxrecon.encoders.spec import SIGLIP_PIXELS, PixelStatistics
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop, center_pad

PREPROCESSINGS = ("peak", "percentiles")


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes pixels.

    Attributes:
        name: "peak": divided by its maximum, standardised, cropped or padded about its centre
            (Feng et al. 2025, arXiv:2511.19641); pixels keep their size. "percentiles": see
            `jaxrecon.encoders.preprocess.encoder_input` (Hashmi et al. 2026, arXiv:2604.22557);
            the image is resized.
        size: side of the square the encoder sees, pixels.
        statistics: that standardise the channels; 0.5 and 0.5 map 0..1 to -1..1.
        percentiles: of the magnitude that become 0 and 1, for "percentiles".
    """

    name: str = "peak"
    size: int = 384
    statistics: PixelStatistics = SIGLIP_PIXELS
    percentiles: tuple[float, float] = (1.0, 99.0)

    def __post_init__(self) -> None:
        if self.name not in PREPROCESSINGS:
            raise InputError(
                f"preprocessing.name: expected one of {', '.join(PREPROCESSINGS)}, "
                f"found {self.name!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """The fields that matter, as JSON values."""
        content: dict[str, Any] = {
            "name": self.name,
            "size": self.size,
            "mean": list(self.statistics.mean),
            "std": list(self.statistics.std),
        }
        if self.name == "percentiles":
            content["percentiles"] = list(self.percentiles)
        return content


def pixels(
    image: Complex[Array, "batch height width"] | Float[Array, "batch height width"],
    preprocessing: Preprocessing,
) -> Float[Array, "batch size size 3"]:
    """Pixels for a vision encoder; they do not depend on the image's scale.

    Args:
        image: complex64 or float32, any scale; it is differentiable, in empty images too.
        preprocessing: how.

    Returns:
        float32.

    Raises:
        InputError: the percentiles are not usable.
    """
    if preprocessing.name == "percentiles":
        return encoder_input(
            image, preprocessing.statistics, preprocessing.size, preprocessing.percentiles
        )
    return _peak_pixels(image, preprocessing.statistics, preprocessing.size)


def _peak_pixels(image: Array, statistics: PixelStatistics, size: int) -> Array:
    magnitude = jnp.abs(image)
    # The gradient of `jnp.max` looks for the values equal to the maximum; where XLA computes them
    # twice, in fusions that round differently, it may find none. A place is a place.
    flat = magnitude.reshape(len(magnitude), -1)
    place = jnp.argmax(flat, axis=-1, keepdims=True)
    peak = jnp.take_along_axis(flat, place, axis=-1)[..., None]
    scaled = magnitude / jnp.where(peak > 0, peak, 1)
    mean, std = (
        np.asarray(values, np.float32)[:, None, None]
        for values in (statistics.mean, statistics.std)
    )
    standardised = (scaled[:, None] - mean) / std
    # The zeros that pad come after: they are as bright as the statistics' mean.
    fitted = fit_square(standardised, size)
    return jnp.moveaxis(fitted, 1, -1)


def fit_square(images: Float[Array, "*batch height width"], size: int) -> jax.Array:
    """Crop or zero-pad each of the last two axes about its centre.

    Args:
        images: any size.
        size: pixels along both sides afterwards.
    """
    height, width = images.shape[-2:]
    cropped = center_crop(images, min(height, size), min(width, size))
    return center_pad(cropped, size, size)
