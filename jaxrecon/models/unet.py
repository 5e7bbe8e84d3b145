"""U-Net of the fastMRI baselines (Zbontar et al. 2018, arXiv:1811.08839)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxrecon.models.convolution import Conv, UpConv

NORM_EPSILON = 1e-5
_NEGATIVE_SLOPE = 0.2


def instance_statistics(
    x: Float[Array, "batch height width channels"],
) -> tuple[Float[Array, "batch 1 1 channels"], Float[Array, "batch 1 1 channels"]]:
    """Mean of every channel of every image, and the reciprocal of its standard deviation.

    Args:
        x: float32 or wider.
    """
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=(1, 2), keepdims=True)
    return mean, jax.lax.rsqrt(variance + NORM_EPSILON)


def instance_norm(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width channels"]:
    """Normalise every channel of every image to mean 0 and variance 1, without learned scale.

    Statistics are float32 or wider whatever the dtype of `x` (Ulyanov et al. 2016,
    arXiv:1607.08022).
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean, inverse_deviation = instance_statistics(wide)
    return ((wide - mean) * inverse_deviation).astype(x.dtype)


def _norm_activation(x: Array) -> Array:
    return nn.leaky_relu(instance_norm(x), _NEGATIVE_SLOPE)


class ConvBlock(nn.Module):
    """Twice: 3 x 3 convolution, instance norm, leaky ReLU.

    Attributes:
        features: number of output channels.
        dtype: dtype of the convolutions.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height width features"]:
        """Apply the block."""
        for layer in range(2):
            x = Conv(self.features, dtype=self.dtype, name=f"conv{layer}")(x)
            x = _norm_activation(x)
        return x


def _average_pool(x: Float[Array, "batch height width channels"]) -> Array:
    """Mean over 2 x 2 pixels; an odd last row or column is left out, as in torch."""
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _reflect_to(x: Array, height: int, width: int) -> Array:
    """Grow by at most one row and column at the bottom and the right, by reflection."""
    rows, columns = height - x.shape[1], width - x.shape[2]
    if rows or columns:
        x = jnp.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="reflect")
    return x


class UNet(nn.Module):
    """Encoder and decoder with skip connections.

    Attributes:
        channels: channels of the first level; doubled at each pooling.
        pools: number of poolings. Height and width must be at least 2**(pools + 1), so that
            instance norm has more than one pixel at the lowest level.
        outputs: channels of the result.
        dtype: dtype of the convolutions (bfloat16 for mixed precision).
    """

    channels: int
    pools: int
    outputs: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height width outputs"]:
        """Map images to images of the same height and width."""
        features = [self.channels * 2**level for level in range(self.pools + 1)]
        skips = []
        for level in range(self.pools):
            x = ConvBlock(features[level], dtype=self.dtype, name=f"down{level}")(x)
            skips.append(x)
            x = _average_pool(x)
        x = ConvBlock(features[-1], dtype=self.dtype, name="bottom")(x)
        for level in reversed(range(self.pools)):
            skip = skips[level]
            x = UpConv(features[level], dtype=self.dtype, name=f"expand{level}")(x)
            x = _reflect_to(_norm_activation(x), skip.shape[1], skip.shape[2])
            x = jnp.concatenate([x, skip], axis=-1)
            x = ConvBlock(features[level], dtype=self.dtype, name=f"up{level}")(x)
        return Conv(self.outputs, (1, 1), use_bias=True, dtype=self.dtype, name="head")(x)
