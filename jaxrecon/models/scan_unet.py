"""U-Net that is fitted to one scan: batch normalisation, bilinear upsampling, residual.

Feng et al. 2025 (arXiv:2511.19641), section 2.4, with the details of the authors' released code.

Batch normalisation takes its statistics from each image by itself, in training and afterwards.
That is what the authors' code computes, which optimises one slice with the layers in training mode
and takes its result there too. Running averages would mix scans that differ, and statistics over
a batch would let a slice's result depend on its neighbours.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float

from jaxrecon.errors import InputError
from jaxrecon.models.complex_normalisation import channels_to_complex, complex_to_channels
from jaxrecon.models.convolution import Conv
from jaxrecon.models.unet import instance_statistics
from jaxrecon.models.upsampling import double_bilinear

PAPER_FEATURES = (64, 128, 256, 512, 1024)

STATISTICS = "statistics"
"""Name of each normalisation's `instance_statistics`, for policies of `jax.checkpoint`."""


class ImageNorm(nn.Module):
    """Batch normalisation with the statistics of one image, and a learned scale and bias.

    Equal to torch's `BatchNorm2d` in training mode on a batch of one.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Normalise; statistics are float32 whatever the dtype of `x`."""
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        return _normalise(x.astype(jnp.float32), scale, bias).astype(x.dtype)


@jax.custom_vjp
def _normalise(
    x: Float[Array, "batch height width channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
) -> Float[Array, "batch height width channels"]:
    """Normalised and scaled; its gradient as two sums, in half the passes over memory."""
    return _normalise_forward(x, scale, bias)[0]


def _normalise_forward(
    x: Array, scale: Array, bias: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    mean, inverse = checkpoint_name(instance_statistics(x), STATISTICS)
    return (x - mean) * inverse * scale + bias, (x, scale, mean, inverse)


def _normalise_backward(
    residuals: tuple[Array, Array, Array, Array], cotangent: Array
) -> tuple[Array, Array, Array]:
    x, scale, mean, inverse = residuals
    normal = (x - mean) * inverse
    axes = (1, 2)
    average = jnp.mean(cotangent, axes, keepdims=True)
    slope = jnp.mean(cotangent * normal, axes, keepdims=True)
    pixels = x.shape[1] * x.shape[2]
    return (
        scale * inverse * (cotangent - average - normal * slope),
        pixels * jnp.sum(slope, (0, 1, 2)),
        pixels * jnp.sum(average, (0, 1, 2)),
    )


_normalise.defvjp(_normalise_forward, _normalise_backward)


class ConvBlock(nn.Module):
    """Twice: 3 x 3 convolution without bias, normalisation, ReLU.

    Attributes:
        features: output channels of each convolution.
        dtype: dtype of the convolutions.
    """

    features: tuple[int, int]
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height width outputs"]:
        """Apply the block."""
        for layer, features in enumerate(self.features):
            x = Conv(features, dtype=self.dtype, name=f"conv{layer}")(x)
            x = nn.relu(ImageNorm(name=f"norm{layer}")(x))
        return x


class ResidualUNet(nn.Module):
    """U-Net on real channels whose output is added to its input.

    Maximum pooling by 2 (an odd last row or column is left out); bilinear upsampling by 2 that
    keeps the corners in place, zero-padded to the skip connection's size; a 3 x 3 convolution with
    bias at the end.

    Attributes:
        features: channels of the levels from the input down.
        halves_before_upsampling: the released code's variant: what is to be upsampled has half the
            channels of its level, the lowest level too, so that it meets as many in the skip.
        dtype: dtype of the convolutions (bfloat16 for mixed precision).
    """

    features: tuple[int, ...] = PAPER_FEATURES
    halves_before_upsampling: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Map images to images of the same size.

        Raises:
            InputError: an image is too small for so many poolings.
        """
        depth, (height, width) = len(self.features) - 1, x.shape[1:3]
        if min(height, width) < 2 ** (depth + 1):
            raise InputError(
                f"U-Net: expected images of at least {2 ** (depth + 1)} x {2 ** (depth + 1)} "
                f"pixels for {depth} poolings, found {height} x {width}"
            )
        divisor = 2 if self.halves_before_upsampling else 1
        skips, y = [], x
        for level, features in enumerate(self.features[:-1]):
            y = ConvBlock((features, features), self.dtype, name=f"down{level}")(y)
            skips.append(y)
            y = _max_pool(y)
        lowest = self.features[-1] // divisor
        y = ConvBlock((lowest, lowest), self.dtype, name="bottom")(y)
        for level in reversed(range(depth)):
            skip, features = skips[level], self.features[level]
            y = _fit(double_bilinear(y), skip.shape[1], skip.shape[2])
            y = jnp.concatenate([skip, y], axis=-1)
            pair = (features, features // divisor if level else features)
            y = ConvBlock(pair, self.dtype, name=f"up{level}")(y)
        head = Conv(x.shape[-1], use_bias=True, dtype=self.dtype, name="head")
        return x + head(y).astype(x.dtype)


class ScanUNet(nn.Module):
    """`ResidualUNet` on complex images of any scale: f(c x) = c f(x) for every c > 0.

    The image is divided by its root mean square, and the result multiplied by it: what the authors
    do with the mean and deviation of their training images. An empty image stays empty.

    Attributes:
        features: see `ResidualUNet`.
        halves_before_upsampling: see `ResidualUNet`.
        dtype: see `ResidualUNet`.
    """

    features: tuple[int, ...] = PAPER_FEATURES
    halves_before_upsampling: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, image: Complex[Array, "batch height width"]
    ) -> Complex[Array, "batch height width"]:
        """Map complex images to complex images of the same size."""
        channels = complex_to_channels(image)
        scale = _root_mean_square(channels)
        unet = ResidualUNet(
            self.features, self.halves_before_upsampling, dtype=self.dtype, name="unet"
        )
        refined = unet(channels / jnp.where(scale > 0, scale, 1))
        return channels_to_complex(refined * scale)


def _root_mean_square(x: Array) -> Array:
    """Of each image, kept as (batch, 1, 1, 1); its gradient is 0 for an empty image."""
    axes = (1, 2, 3)
    # Squares of small signals underflow in float32: scale by the largest value first. The result
    # does not depend on it, so neither does the gradient.
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axes, keepdims=True))
    square = jnp.mean(jnp.square(x / jnp.where(peak > 0, peak, 1)), axes, keepdims=True)
    root = jnp.sqrt(jnp.where(square > 0, square, 1)) * peak
    return jnp.where(square > 0, root, 0)


def _max_pool(x: Array) -> Array:
    """Maximum over 2 x 2 pixels, by comparing pairs.

    The gradient of `jnp.max` looks for the values equal to the maximum; where XLA computes them
    twice, in fusions that round differently, it may find none.
    """
    _, height, width, _ = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    rows = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def _fit(x: Array, height: int, width: int) -> Array:
    """Zero-pad to a size, the smaller margin first."""
    rows, columns = height - x.shape[1], width - x.shape[2]
    margins = (
        (0, 0),
        (rows // 2, rows - rows // 2),
        (columns // 2, columns - columns // 2),
        (0, 0),
    )
    return jnp.pad(x, margins)
