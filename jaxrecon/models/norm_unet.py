"""U-Net on complex images that does not depend on their scale: E2E-VarNet's refinement."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Complex

from jaxrecon.models.complex_normalisation import normalise_parts, restore_parts
from jaxrecon.models.unet import UNet

# Height and width are padded to a multiple of this, so that four poolings divide them.
PADDING_MULTIPLE = 16


def _padding(size: int) -> tuple[int, int]:
    missing = -size % PADDING_MULTIPLE
    return missing // 2, missing - missing // 2


class NormUNet(nn.Module):
    """U-Net between a normalisation and its inverse (Sriram et al. 2020, arXiv:2004.06688).

    Real and imaginary part are each brought to mean 0 and (unbiased) standard deviation 1 over the
    image, and back afterwards; hence f(c x) = c f(x) for any c > 0. An image that is constant zero
    maps to zero.

    Attributes:
        channels: channels of the U-Net's first level.
        pools: number of poolings.
        dtype: dtype of the convolutions.
    """

    channels: int = 18
    pools: int = 4
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, image: Complex[Array, "batch height width"]
    ) -> Complex[Array, "batch height width"]:
        """Map complex images to complex images of the same size."""
        _, height, width = image.shape
        x, normalisation = normalise_parts(image)
        top_bottom, left_right = _padding(height), _padding(width)
        x = jnp.pad(x, ((0, 0), top_bottom, left_right, (0, 0)))
        x = UNet(self.channels, self.pools, outputs=2, dtype=self.dtype, name="unet")(x)
        x = x[:, top_bottom[0] :, left_right[0] :][:, :height, :width]
        return restore_parts(x, normalisation)


def build_refinement(config: Mapping[str, Any], dtype: jnp.dtype) -> Callable[..., nn.Module]:
    """What makes E2E-VarNet's own refinement.

    Args:
        config: `channels` and `pools` of the U-Net.
        dtype: dtype of the convolutions.
    """
    return functools.partial(
        NormUNet, channels=config["channels"], pools=config["pools"], dtype=dtype
    )
