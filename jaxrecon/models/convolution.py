"""Convolutions whose gradients are fast on every backend, inside and outside of `lax.scan`.

XLA:CPU computes the kernel gradient of a convolution through a generic path that is 10 to 20 times
slower inside a while loop (the backward pass of a scanned cascade) than outside. Here it is formed
from matrix products over the shifted taps; other backends keep their native gradient. Where
channels are many, a CPU takes Winograd's filtering instead: half the time.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxrecon.models import winograd

CONVOLVED = "convolved"
"""Name of what a `Conv` computes, for policies of `jax.checkpoint`: without the bias."""

# When Winograd's fewer products pay for their transforms on a CPU: from so many inputs times
# outputs on, earlier where the transformed image stays in the cache; for kernel gradients, whose
# products over taps are slow, soon, unless pixels are few.
_WINOGRAD_PRODUCTS = 256 * 128
_WINOGRAD_PRODUCTS_OF_FEW, _FEW_PIXELS = 64 * 64, 64 * 64
_WINOGRAD_GRADIENT_CHANNELS, _WINOGRAD_GRADIENT_PIXELS = 32, 256

# Channels, in or out, up to which all their shifts are laid side by side for one matrix product.
_NARROW_CHANNELS = 8

# Numbers that are multiplied at a time: both operands stay in a core's cache.
_VALUES_PER_BLOCK = 300_000

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# torch's default for convolutions, U(-1/sqrt(fan_in), 1/sqrt(fan_in)): the networks here are held
# against torch references, so they start from the same distribution.
uniform_fan_in = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def symmetric_uniform(bound: float) -> nn.initializers.Initializer:
    """Initial values drawn uniformly within -bound..bound."""

    def initialise(
        key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32, *_: object
    ) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialise


def _plain(
    x: Float[Array, "batch height width inputs"], kernel: Float[Array, "kh kw inputs outputs"]
) -> Float[Array, "batch height width outputs"]:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_LAYOUT)


def _fastest(
    x: Float[Array, "batch height width inputs"], kernel: Float[Array, "kh kw inputs outputs"]
) -> Float[Array, "batch height width outputs"]:
    if not _suits_winograd(x, kernel):
        return _plain(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=winograd.convolve_3x3, default=_plain)


def _image_gradient(
    cotangent: Float[Array, "batch height width outputs"],
    kernel: Float[Array, "kh kw inputs outputs"],
) -> Float[Array, "batch height width inputs"]:
    def plain(cotangent: Array, kernel: Array) -> Array:
        return _plain(cotangent, jnp.flip(kernel, (0, 1)).swapaxes(2, 3))

    if not _suits_winograd(cotangent, kernel):
        return plain(cotangent, kernel)
    return lax.platform_dependent(cotangent, kernel, cpu=winograd.image_gradient_3x3, default=plain)


def _suits_winograd(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "kh kw inputs outputs"]
) -> bool:
    is_small = x.size // x.shape[-1] <= _FEW_PIXELS
    least = _WINOGRAD_PRODUCTS_OF_FEW if is_small else _WINOGRAD_PRODUCTS
    return _has_winograd(kernel) and kernel.shape[2] * kernel.shape[3] >= least


def _has_winograd(kernel: Float[Array, "kh kw inputs outputs"]) -> bool:
    # Sums of bfloat16 values before the product would be rounded once more than the direct ones.
    return kernel.shape[:2] == (3, 3) and kernel.dtype != jnp.bfloat16


def _kernel_gradient_by_taps(
    x: Float[Array, "batch height width inputs"],
    cotangent: Float[Array, "batch height width outputs"],
    kernel_shape: Sequence[int],
) -> Float[Array, "kh kw inputs outputs"]:
    """Kernel gradient as one matrix product per tap, over blocks of image rows.

    Rows are zero-padded and laid end to end, so that a tap's shift in two dimensions becomes one
    offset along the flat pixel axis and every operand is a contiguous slice.
    """
    kernel_height, kernel_width, inputs, outputs = kernel_shape
    above, left = kernel_height // 2, kernel_width // 2
    batch, height, width, _ = x.shape
    row = width + kernel_width - 1
    rows = max(1, min(height, _VALUES_PER_BLOCK // (row * (inputs + outputs))))
    blocks = -(-height // rows)
    # Rows that fill the last block have a zero cotangent and add nothing.
    below = kernel_height - 1 - above + blocks * rows - height
    flat_x = jnp.pad(x, ((0, 0), (above, below), (left, kernel_width - 1 - left), (0, 0)))
    flat_x = flat_x.reshape(batch, -1, inputs)
    flat_x = jnp.pad(flat_x, ((0, 0), (0, kernel_width - 1), (0, 0)))
    flat_cotangent = jnp.pad(
        cotangent, ((0, 0), (0, blocks * rows - height), (0, kernel_width - 1), (0, 0))
    ).reshape(batch, -1, outputs)
    pixels = rows * row
    halo = (kernel_height - 1) * row + kernel_width - 1

    def add_block(
        total: Float[Array, "taps inputs outputs"], position: Array
    ) -> tuple[Float[Array, "taps inputs outputs"], None]:
        image, start = position // blocks, (position % blocks) * pixels
        zero = jnp.zeros_like(start)
        x_block = lax.dynamic_slice(flat_x, (image, start, zero), (1, pixels + halo, inputs))[0]
        g_block = lax.dynamic_slice(flat_cotangent, (image, start, zero), (1, pixels, outputs))[0]
        products = [
            jnp.matmul(
                x_block[tap_row * row + tap_column :][:pixels].T,
                g_block,
                preferred_element_type=jnp.float32,
            )
            for tap_row in range(kernel_height)
            for tap_column in range(kernel_width)
        ]
        return total + jnp.stack(products), None

    start = jnp.zeros((kernel_height * kernel_width, inputs, outputs), jnp.float32)
    total, _ = lax.scan(add_block, start, jnp.arange(batch * blocks))
    return total.reshape(kernel_shape)


def _kernel_gradient_of_narrow_side(
    x: Float[Array, "batch height width inputs"],
    cotangent: Float[Array, "batch height width outputs"],
    kernel_shape: Sequence[int],
) -> Float[Array, "kh kw inputs outputs"]:
    """Kernel gradient as one matrix product, over all shifts of whichever has fewer channels."""
    kernel_height, kernel_width, inputs, outputs = kernel_shape
    sizes = (kernel_height, kernel_width)
    if inputs <= outputs:
        shifts = _shifts(x, sizes).reshape(-1, kernel_height * kernel_width * inputs)
        return _transposed_product(shifts, cotangent.reshape(-1, outputs)).reshape(kernel_shape)
    # Shifting the cotangent the other way instead of the image leaves every sum as it is.
    shifts = _shifts(cotangent, sizes).reshape(-1, kernel_height * kernel_width * outputs)
    turned = _transposed_product(x.reshape(-1, inputs), shifts)
    turned = turned.reshape(inputs, kernel_height, kernel_width, outputs)
    return jnp.flip(turned, (1, 2)).transpose(1, 2, 0, 3)


def _shifts(
    x: Float[Array, "batch height width channels"], sizes: Sequence[int]
) -> Float[Array, "batch height width taps channels"]:
    """What every tap of a kernel sees at each pixel."""
    _, height, width, _ = x.shape
    margins = [(size // 2, size // 2) for size in sizes]
    padded = jnp.pad(x, ((0, 0), *margins, (0, 0)))
    shifts = [
        padded[:, row : row + height, column : column + width]
        for row in range(sizes[0])
        for column in range(sizes[1])
    ]
    return jnp.stack(shifts, axis=3)


def _transposed_product(
    left: Float[Array, "pixels rows"], right: Float[Array, "pixels columns"]
) -> Float[Array, "rows columns"]:
    return jnp.matmul(left.T, right, preferred_element_type=jnp.float32)


@jax.custom_vjp
def convolve(
    x: Float[Array, "batch height width inputs"], kernel: Float[Array, "kh kw inputs outputs"]
) -> Float[Array, "batch height width outputs"]:
    """Two-dimensional convolution (cross-correlation) of stride 1 with zero "SAME" padding.

    Args:
        x: images, channels last.
        kernel: odd height and width; same dtype as `x`.

    Returns:
        Images of the same height and width.
    """
    return _fastest(x, kernel)


def _convolve_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _fastest(x, kernel), (x, kernel)


def _convolve_backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = residuals

    def native(x: Array, cotangent: Array) -> Array:
        return jax.linear_transpose(lambda k: _plain(x, k), kernel)(cotangent)[0]

    def as_products(x: Array, cotangent: Array) -> Array:
        is_narrow = min(kernel.shape[2:]) <= _NARROW_CHANNELS
        by = _kernel_gradient_of_narrow_side if is_narrow else _kernel_gradient_by_taps
        return by(x, cotangent, kernel.shape).astype(kernel.dtype)

    is_wide = min(kernel.shape[2:]) >= _WINOGRAD_GRADIENT_CHANNELS
    is_large = x.shape[0] * x.shape[1] * x.shape[2] >= _WINOGRAD_GRADIENT_PIXELS
    by_winograd = _has_winograd(kernel) and is_wide and is_large
    on_cpu = winograd.kernel_gradient_3x3 if by_winograd else as_products
    kernel_gradient = lax.platform_dependent(x, cotangent, cpu=on_cpu, default=native)
    return _image_gradient(cotangent, kernel), kernel_gradient


convolve.defvjp(_convolve_forward, _convolve_backward)


class Conv(nn.Module):
    """Convolution of stride 1, zero padding, as a layer.

    Attributes:
        features: number of output channels.
        kernel_size: odd height and width of the kernel.
        use_bias: whether a bias is added.
        dtype: dtype of the computation; parameters are float32.
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height width features"]:
        """Apply the convolution."""
        inputs = x.shape[-1]
        shape = (*self.kernel_size, inputs, self.features)
        kernel = jnp.asarray(self.param("kernel", uniform_fan_in, shape), self.dtype)
        x = x.astype(self.dtype)
        x = x @ kernel[0, 0] if self.kernel_size == (1, 1) else convolve(x, kernel)
        x = checkpoint_name(x, CONVOLVED)
        if self.use_bias:
            bound = (inputs * self.kernel_size[0] * self.kernel_size[1]) ** -0.5
            bias = self.param("bias", symmetric_uniform(bound), (self.features,))
            x = x + jnp.asarray(bias, self.dtype)
        return x


def _depthwise_taps(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "3 3 channels"]
) -> Float[Array, "batch height width channels"]:
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [
        padded[:, row : row + height, column : column + width] * kernel[row, column]
        for row in range(3)
        for column in range(3)
    ]
    return sum(taps[1:], start=taps[0])


def _depthwise_kernel_gradient_by_rows(
    x: Float[Array, "batch height width channels"],
    cotangent: Float[Array, "batch height width channels"],
) -> Float[Array, "3 3 channels"]:
    """The nine sums of products together, row by row, so that a row is read once from memory."""
    _, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def add_row(
        total: Float[Array, "9 width channels"], row: Array
    ) -> tuple[Float[Array, "9 width channels"], None]:
        rows = lax.dynamic_slice_in_dim(padded, row, 3, axis=1)
        row_cotangent = lax.dynamic_slice_in_dim(cotangent, row, 1, axis=1)
        products = [
            rows[:, tap_row : tap_row + 1, column : column + width] * row_cotangent
            for tap_row in range(3)
            for column in range(3)
        ]
        return total + jnp.stack(products).astype(jnp.float32).sum((1, 2)), None

    start = jnp.zeros((9, width, channels), jnp.float32)
    total, _ = lax.scan(add_row, start, jnp.arange(height))
    return total.sum(1).reshape(3, 3, channels)


@jax.custom_vjp
def convolve_depthwise(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "3 3 channels"]
) -> Float[Array, "batch height width channels"]:
    """3 x 3 convolution (cross-correlation) of every channel by itself, zero "SAME" padding.

    A sum of nine shifted products: that is bound by memory wherever it runs, and does not depend on
    how well a backend knows grouped convolutions. Left to itself, its gradient on a CPU costs
    nine padded copies; here it is the same sum with the kernel turned around.

    Args:
        x: images, channels last.
        kernel: same dtype as `x`.

    Returns:
        Images of the same size.
    """
    return _depthwise_taps(x, kernel)


def _depthwise_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _depthwise_taps(x, kernel), (x, kernel)


def _depthwise_backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = residuals

    def native(x: Array, cotangent: Array) -> Array:
        return jax.linear_transpose(lambda k: _depthwise_taps(x, k), kernel)(cotangent)[0]

    def by_rows(x: Array, cotangent: Array) -> Array:
        return _depthwise_kernel_gradient_by_rows(x, cotangent).astype(kernel.dtype)

    kernel_gradient = lax.platform_dependent(x, cotangent, cpu=by_rows, default=native)
    return _depthwise_taps(cotangent, jnp.flip(kernel, (0, 1))), kernel_gradient


convolve_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


class DepthwiseConv(nn.Module):
    """3 x 3 convolution of every channel by itself, zero padding, without bias, as a layer.

    Attributes:
        dtype: dtype of the computation; parameters are float32.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Apply the convolution."""
        kernel = self.param("kernel", symmetric_uniform(1 / 3), (3, 3, x.shape[-1]))
        return convolve_depthwise(x.astype(self.dtype), jnp.asarray(kernel, self.dtype))


class UpConv(nn.Module):
    """Transposed convolution, kernel 2 x 2 and stride 2, without bias.

    Its output pixels do not overlap, so it is one matrix product and a reshape: ten times faster to
    differentiate than the general transposed convolution.

    Attributes:
        features: number of output channels.
        dtype: dtype of the computation; parameters are float32.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch 2*height 2*width features"]:
        """Double height and width."""
        batch, height, width, inputs = x.shape
        # torch counts the fan-in of a transposed convolution over its *outputs*.
        bound = (4 * self.features) ** -0.5
        kernel = self.param("kernel", symmetric_uniform(bound), (2, 2, inputs, self.features))
        kernel = jnp.asarray(kernel, self.dtype)
        x = jnp.einsum("bhwi,pqio->bhpwqo", x.astype(self.dtype), kernel)
        return x.reshape(batch, 2 * height, 2 * width, self.features)
