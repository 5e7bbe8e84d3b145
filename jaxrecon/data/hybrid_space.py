"""A 3-D Cartesian scan as 2-D slices, by one Fourier transform along an axis sampled in full."""

import numpy as np
from jaxtyping import Bool, Complex64
from scipy import fft


def slices_of_volume(
    kspace: Complex64[np.ndarray, "coils readout width depth"],
    pattern: Bool[np.ndarray, "width depth"],
) -> tuple[
    Complex64[np.ndarray, "slices coils height columns"], Bool[np.ndarray, "height columns"], str
]:
    """Take one axis of 3-D k-space to image space, so that its positions can be solved one by one.

    Where the second phase encode (depth) is sampled alike for every phase encode and has no gap, it
    is depth: slices are (readout, width) with a mask of whole columns. Otherwise it is the readout,
    which is always complete: slices are (width, depth), undersampled in both directions.

    Args:
        kspace: centred, 0 where not sampled.
        pattern: the phase encodes that were sampled.

    Returns:
        k-space of the slices; the mask of each of them; and the axis, "depth" or "readout".
    """
    planes = np.any(pattern, axis=0)
    columns = np.any(pattern, axis=1)
    depth = np.flatnonzero(planes)
    is_separable = bool((pattern == (columns[:, None] & planes)).all())
    has_no_gap = depth.size == 0 or depth[-1] - depth[0] + 1 == depth.size
    if is_separable and has_no_gap:
        slices = np.moveaxis(_to_image_space(kspace, -1), -1, 0)
        height = kspace.shape[1]
        return (
            np.ascontiguousarray(slices),
            np.broadcast_to(columns, (height, len(columns))),
            "depth",
        )
    slices = np.moveaxis(_to_image_space(kspace, 1), 1, 0)
    return np.ascontiguousarray(slices), pattern, "readout"


def _to_image_space(
    kspace: Complex64[np.ndarray, "coils readout width depth"], axis: int
) -> Complex64[np.ndarray, "coils readout width depth"]:
    """Centred orthonormal inverse Fourier transform along one axis."""
    transformed = fft.ifft(fft.ifftshift(kspace, axes=axis), norm="ortho", axis=axis)
    return fft.fftshift(transformed, axes=axis)
