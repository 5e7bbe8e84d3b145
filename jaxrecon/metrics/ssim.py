"""Structural similarity with 7 x 7 uniform windows, as the fastMRI and CMRxRecon challenges use."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32

from jaxrecon.errors import InputError
from jaxrecon.metrics.region import rectangle, region_bounds

WINDOW = 7
_SAMPLES = WINDOW * WINDOW
# Relative to the data range: (k1 L)^2 and (k2 L)^2 of the paper.
_C1 = 0.01**2
_C2 = 0.03**2


def ssim(
    image: Float32[Array, "batch height width"],
    target: Float32[Array, "batch height width"],
    data_range: Float32[Array, " batch"],
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Mean structural similarity of each image to its target.

    With u and v the windows' means and unbiased variances, a pixel's index is

        (2 u_x u_y + C1) (2 v_xy + C2) / ((u_x^2 + u_y^2 + C1) (v_x + v_y + C2)),

    averaged over the windows that lie wholly inside the image's valid region. It is computed as

        (1 - (u_x - u_y)^2 / (u_x^2 + u_y^2 + C1)) (1 - v_(x-y) / (v_x + v_y + C2)),

    which is the same but keeps float32 accuracy where x and y are alike, and takes one window sum
    less. Images are first divided by the data range, so that their scale does not matter, and
    variances are taken about each image's mean over its region, so that an offset does not cancel.

    Args:
        image: images to judge.
        target: what they should be.
        data_range: L, the range of values that the similarity is relative to, commonly the
            maximum of the target volume. Where it is not positive 1 stands in, so that an empty
            target gives no NaN.
        crop: rows and columns of each image's valid region, each at least 7; None for the whole
            image. What lies outside changes neither the value nor the gradient.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One mean per image, 1 for equal images; 0 where the region holds no window.

    Raises:
        InputError: the images are smaller than a window.

    References:
        Wang et al. (2004), Image quality assessment: from error visibility to structural
        similarity. https://doi.org/10.1109/TIP.2003.819861
    """
    batch, height, width = image.shape
    if min(height, width) < WINDOW:
        raise InputError(
            f"SSIM: expected images of at least {WINDOW} x {WINDOW} pixels, "
            f"found {height} x {width}"
        )
    first, size = region_bounds(batch, height, width, crop, start)
    valid = rectangle(height, width, first, size)
    scale = jnp.where(data_range > 0, data_range, 1)[:, None, None]
    # The inner where keeps gradients finite whatever fills the padding.
    x, x_mean = _centred(jnp.where(valid, image, 0) / scale, valid)
    y, y_mean = _centred(jnp.where(valid, target, 0) / scale, valid)

    # One pass over all four images is twice as fast as four.
    x_window, y_window, square, square_of_difference = jnp.split(
        _window_mean(jnp.concatenate([x, y, x * x + y * y, (x - y) ** 2])), 4
    )
    unbiased = _SAMPLES / (_SAMPLES - 1)
    variance = unbiased * (square - x_window**2 - y_window**2)
    variance_of_difference = unbiased * (square_of_difference - (x_window - y_window) ** 2)
    x_window += x_mean
    y_window += y_mean
    luminance = 1 - (x_window - y_window) ** 2 / (x_window**2 + y_window**2 + _C1)
    structure = 1 - variance_of_difference / (variance + _C2)

    windows = jnp.maximum(size - (WINDOW - 1), 0)
    inside = rectangle(height - WINDOW + 1, width - WINDOW + 1, first, windows)
    # Departures from 1 are summed: small numbers where the images are alike.
    departure = jnp.sum(jnp.where(inside, 1 - luminance * structure, 0), axis=(-2, -1))
    count = jnp.prod(windows, axis=-1).astype(departure.dtype)
    return jnp.where(count > 0, 1 - departure / jnp.maximum(count, 1), 0)


def _centred(
    image: Float[Array, "batch height width"], valid: Array
) -> tuple[Float[Array, "batch height width"], Float[Array, "batch 1 1"]]:
    """The image less its mean over the valid region (0 outside), and that mean."""
    axes = (-2, -1)
    count = jnp.maximum(jnp.sum(valid, axis=axes, keepdims=True, dtype=jnp.int32), 1)
    mean = jnp.sum(image, axis=axes, keepdims=True) / count.astype(image.dtype)
    # The result does not depend on the shift, so neither does its gradient.
    mean = jax.lax.stop_gradient(mean)
    return jnp.where(valid, image - mean, 0), mean


def _window_mean(image: Float[Array, "batch height width"]) -> Float[Array, "batch rows columns"]:
    return _sum_of_seven(_sum_of_seven(image, -1), -2) / _SAMPLES


def _sum_of_seven(image: Array, axis: int) -> Array:
    """Sums of 7 neighbours along an axis, by way of sums of 2, 3 and 6.

    These four additions, and their transpose in the gradient, take XLA's CPU backend a third of the
    time of reduce_window and a tenth of that of a convolution. A running sum would take as few but
    lose float32 accuracy.
    """

    def shifted(array: Array, offset: int, less: int) -> Array:
        length = image.shape[axis] - less
        return jax.lax.slice_in_dim(array, offset, offset + length, axis=axis)

    pairs = shifted(image, 0, 1) + shifted(image, 1, 1)
    threes = shifted(pairs, 0, 2) + shifted(image, 2, 2)
    sixes = shifted(threes, 0, 5) + shifted(threes, 3, 5)
    return shifted(sixes, 0, 6) + shifted(image, 6, 6)
