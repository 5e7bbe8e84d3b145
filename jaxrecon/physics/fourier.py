"""Centred orthonormal Fourier transforms, and the FFT's native order that avoids their shifts.

The centred transforms are the convention of every public border. Inside a network that goes back
and forth between image and k-space many times, the shifts can be paid once: a circular shift of the
image by s = N // 2 pixels is a pointwise phase exp(-2 pi i m s / N) in k-space. `to_native_order`
reorders k-space once and takes that phase off, after which plain `ifft2_native` gives the very
image that `ifft2c` gives, in its natural spatial order. Whatever acts pointwise on k-space (masks,
data consistency) works in native order unchanged.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex

_AXES = (-2, -1)


def fft2c(image: Complex[Array, "*batch height width"]) -> Complex[Array, "*batch height width"]:
    """Centred orthonormal 2-D Fourier transform of the last two axes.

    The zero frequency and the image's centre both lie at index size // 2, for odd and even sizes.

    Args:
        image: complex images.

    Returns:
        Centred k-space of the same shape and dtype.
    """
    return jnp.fft.fftshift(fft2_native(jnp.fft.ifftshift(image, axes=_AXES)), axes=_AXES)


def ifft2c(kspace: Complex[Array, "*batch height width"]) -> Complex[Array, "*batch height width"]:
    """Inverse and adjoint of `fft2c`.

    Args:
        kspace: centred k-space.

    Returns:
        Complex images of the same shape and dtype.
    """
    return jnp.fft.fftshift(ifft2_native(jnp.fft.ifftshift(kspace, axes=_AXES)), axes=_AXES)


def fft2_native(
    image: Complex[Array, "*batch height width"],
) -> Complex[Array, "*batch height width"]:
    """Orthonormal 2-D Fourier transform to native order: `to_native_order(fft2c(image))`.

    Args:
        image: complex images in natural spatial order.

    Returns:
        Native-order k-space of the same shape and dtype, its zero frequency at index (0, 0).
    """
    return jnp.fft.fft2(image, axes=_AXES, norm="ortho")


def ifft2_native(
    kspace: Complex[Array, "*batch height width"],
) -> Complex[Array, "*batch height width"]:
    """Inverse and adjoint of `fft2_native`: `ifft2c(from_native_order(kspace))`.

    Args:
        kspace: native-order k-space, as `to_native_order` makes it.

    Returns:
        Complex images in natural spatial order.
    """
    return jnp.fft.ifft2(kspace, axes=_AXES, norm="ortho")


def to_native_order(
    kspace: Complex[Array, "*batch height width"],
) -> Complex[Array, "*batch height width"]:
    """Reorder centred k-space for the plain FFT and take off the shift's phase.

    For every size, odd or even: `ifft2_native(to_native_order(k)) == ifft2c(k)`. Magnitudes are
    moved, never changed, so masks and coil sums need only `native_order_mask`.

    Args:
        kspace: centred k-space.

    Returns:
        Native-order k-space of the same shape and dtype.
    """
    height, width = kspace.shape[-2:]
    rows = _shift_phase(height).astype(kspace.dtype)
    columns = _shift_phase(width).astype(kspace.dtype)
    return jnp.fft.ifftshift(kspace, axes=_AXES) * rows[:, None] * columns


def from_native_order(
    kspace: Complex[Array, "*batch height width"],
) -> Complex[Array, "*batch height width"]:
    """Inverse of `to_native_order`.

    Args:
        kspace: native-order k-space.

    Returns:
        Centred k-space of the same shape and dtype.
    """
    height, width = kspace.shape[-2:]
    rows = _shift_phase(height).conj().astype(kspace.dtype)
    columns = _shift_phase(width).conj().astype(kspace.dtype)
    return jnp.fft.fftshift(kspace * rows[:, None] * columns, axes=_AXES)


def native_order_mask(mask: Bool[Array, "*batch rows width"]) -> Bool[Array, "*batch rows width"]:
    """Reorder a centred sampling mask to go with native-order k-space.

    Args:
        mask: centred mask of whole columns (rows is 1) or of single samples (rows is the height).

    Returns:
        The mask in native order, of the same shape.
    """
    return jnp.fft.ifftshift(mask, axes=_AXES)


def _shift_phase(size: int) -> np.ndarray:
    """Phase that a circular shift by size // 2 pixels puts on the frequencies 0 .. size - 1."""
    # Reduced modulo the size in integers, so that the angle keeps its accuracy at any frequency.
    turns = (np.arange(size) * (size // 2) % size) / size
    phase = np.exp(-2j * np.pi * turns)
    # Even sizes alternate between +1 and -1: exactly, not to within the rounding of the sine.
    return phase if size % 2 else phase.real.round().astype(complex)
