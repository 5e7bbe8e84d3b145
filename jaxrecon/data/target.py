"""The target image of a fully sampled k-space, computed on the host."""

import numpy as np
from jaxtyping import Complex64, Float32
from scipy import fft


def rss_target(
    kspace: Complex64[np.ndarray, "*batch coils height width"],
) -> Float32[np.ndarray, "*batch height width"]:
    """Root sum of squares of the coil images, sqrt(sum_c |F^-1 k_c|^2).

    F^-1 is the centred orthonormal inverse FFT. NumPy and SciPy rather than JAX, because worker
    processes of the input pipeline must not claim a device.

    Args:
        kspace: fully sampled multi-coil k-space.

    Returns:
        The magnitude image, in the units of `kspace`.
    """
    axes = (-2, -1)
    centred = fft.ifftshift(kspace, axes=axes)
    images = fft.ifft2(centred, norm="ortho", axes=axes, overwrite_x=True)
    squares = images.real**2 + images.imag**2
    return fft.fftshift(np.sqrt(squares.sum(axis=-3)), axes=axes)
