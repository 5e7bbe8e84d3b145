"""Multi-coil k-space from finished images: simulated coils, phase and noise.

What such k-space lacks, real or analytic k-space has: its images hold no truncation or sampling
that the source image did not, so that reconstructing them is easier than it should be.
"""

import dataclasses

import numpy as np
from jaxtyping import Complex, Complex64, Float32, Shaped
from scipy import fft

from jaxrecon.data.coil_polynomials import CoilRing
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop, center_pad


@dataclasses.dataclass(frozen=True)
class ImageSettings:
    """How images become k-space; image n is a pure function of it, the image and n.

    Attributes:
        coils: receive coils.
        height: rows of the result's image; 0 keeps those of the source.
        width: columns, likewise.
        oversampling: of the readout: k-space covers this many times the image's height, 1 or 2.
        noise: standard deviation of the real and of the imaginary part of the complex white noise
            in each coil image; the brightest pixel of the source is 1.
        seed: of phase and noise, at least 0.
    """

    coils: int = 6
    height: int = 0
    width: int = 0
    oversampling: int = 1
    noise: float = 0.004
    seed: int = 0

    def __post_init__(self) -> None:
        if self.coils < 1:
            raise InputError(f"coils: expected at least 1, found {self.coils}")
        if (self.height or self.width) and min(self.height, self.width) < 8:
            raise InputError(f"matrix: expected at least 8 x 8, found {self.height} x {self.width}")
        if self.oversampling not in (1, 2):
            raise InputError(f"oversampling: expected 1 or 2, found {self.oversampling}")
        if not 0 <= self.noise < 1:
            raise InputError(f"noise: expected a number from 0 to below 1, found {self.noise}")
        if self.seed < 0:
            raise InputError(f"seed: expected at least 0, found {self.seed}")


def simulate_coils(
    n_coils: int, height: int, width: int
) -> Complex64[np.ndarray, "coils height width"]:
    """Sensitivity maps of coils on a ring around the field of view.

    With x and y from -1 to 1 along the columns and rows, coil c at the angle t = 2 pi c / n_coils
    sees exp(-((x - 1.1 cos t)^2 + (y - 1.1 sin t)^2) / 1.2) with the phase t + x cos t + y sin t.

    Args:
        n_coils: how many.
        height: rows.
        width: columns.

    Returns:
        Maps divided by their root sum of squares, which so is 1 everywhere.
    """
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    return CoilRing(n_coils).maps(y, x).astype(np.complex64)


def resize(
    image: Shaped[np.ndarray, "rows columns"], height: int, width: int
) -> Shaped[np.ndarray, "height width"]:
    """Bring an image to another matrix, as if its k-space had been sampled up to another limit.

    K-space is cropped or zero-padded around its centre and scaled so that intensities are kept.

    Args:
        image: float32 magnitudes or a complex64 image.
        height: rows of the result.
        width: columns of the result.

    Returns:
        An image of the same dtype; of a real image, the magnitude.
    """
    if image.shape == (height, width):
        return image
    kspace = _fft2c(image.astype(np.complex64))
    kspace = center_crop(kspace, min(height, image.shape[0]), min(width, image.shape[1]))
    kspace = center_pad(kspace, height, width)
    result = _ifft2c(kspace) * np.float32(np.sqrt(height * width / image.size))
    return result if np.iscomplexobj(image) else np.abs(result)


def image_kspace(
    image: Float32[np.ndarray, "rows columns"] | Complex64[np.ndarray, "rows columns"],
    settings: ImageSettings,
    index: int,
) -> Complex64[np.ndarray, "coils height width"]:
    """Fully sampled multi-coil k-space of one image.

    A magnitude image first gets the phase a0 + a1 x + a2 y + a3 x y with each coefficient drawn
    from -1.5 to 1.5; a complex image keeps its own.

    Args:
        image: the source, its brightest pixel about 1.
        settings: coils, matrix, noise and seed.
        index: number of the image, which with the seed decides on phase and noise.

    Returns:
        K-space whose centred orthonormal inverse FFT is map times image plus noise, with
        `oversampling` times the image's rows.
    """
    rng = np.random.default_rng((settings.seed, index))
    image = resize(image, settings.height or image.shape[0], settings.width or image.shape[1])
    height, width = image.shape
    if not np.iscomplexobj(image):
        a0, a1, a2, a3 = rng.uniform(-1.5, 1.5, 4)
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
        image = (image * np.exp(1j * (a0 + a1 * x + a2 * y + a3 * x * y))).astype(np.complex64)
    seen = simulate_coils(settings.coils, height, width) * image
    kspace = _fft2c(center_pad(seen, settings.oversampling * height, width))
    noise = rng.standard_normal((*kspace.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return kspace + np.float32(settings.noise) * noise


def _fft2c(image: Complex[np.ndarray, "*batch rows columns"]) -> np.ndarray:
    axes = (-2, -1)
    shifted = fft.ifftshift(image, axes=axes)
    return fft.fftshift(fft.fft2(shifted, norm="ortho", axes=axes), axes=axes)


def _ifft2c(kspace: Complex[np.ndarray, "*batch rows columns"]) -> np.ndarray:
    axes = (-2, -1)
    shifted = fft.ifftshift(kspace, axes=axes)
    return fft.fftshift(fft.ifft2(shifted, norm="ortho", axes=axes), axes=axes)
