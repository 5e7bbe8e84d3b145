"""Coil sensitivity maps from the fully sampled centre of k-space: ESPIRiT.

Every patch of k-space lies, up to noise, in the span of a few kernels that the calibration region
fixes. Projecting a whole k-space on that span, patch by patch, is at each pixel r of the image a
small matrix over the coils, G(r) = (1 / K) sum_j a_j(r) a_j(r)^H with a_j the Fourier transform of
kernel j and K the points of a kernel. The sensitivities are its eigenvector of eigenvalue 1; where
the largest eigenvalue is smaller, no image was seen.

G is a trigonometric polynomial whose coefficients are the kernels' summed correlations, which are
no wider than two kernels. It is evaluated from these a few rows at a time: neither the kernels nor
G ever exist at the size of the image.

References:
    Uecker et al. (2014), ESPIRiT, an eigenvalue approach to autocalibrating parallel MRI: where
    SENSE meets GRAPPA. https://doi.org/10.1002/mrm.24751
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.errors import InputError
from jaxrecon.physics.mask_families import centre_start

SMALLEST_CALIBRATION = 6
"""Rows and columns below which no maps are found, however small the kernel."""

_LARGEST_KERNEL = 6
_FEWEST_ROWS = 24
_COILS_AT_ONCE = 8
# Some accelerators would multiply with 10 bits by default.
_einsum = functools.partial(jnp.einsum, precision="highest")


def espirit_maps(
    kspace: Complex[Array, "*batch coils height width"],
    calibration: tuple[int, int] = (24, 24),
    *,
    kernel: int = 6,
    threshold: Float[Array, ""] | int | float = 0.02,
    crop: Float[Array, ""] | int | float = 0.95,
    iterations: int = 100,
) -> Complex[Array, "*batch coils height width"]:
    """Sensitivity maps of ESPIRiT, 0 where there is no signal to tell them by.

    Args:
        kspace: centred k-space; only its calibration region is used, which has to be fully
            sampled (see `check_calibration`).
        calibration: rows and columns of the calibration region, in the centre of k-space.
        kernel: rows and columns of a patch of k-space.
        threshold: singular values of the calibration matrix that count as signal, relative to the
            largest one.
        crop: eigenvalue, from 0 to 1, up to which a pixel's maps are set to 0.
        iterations: power iterations for the eigenvectors.

    Returns:
        Maps whose root sum of squares is 1 or, outside the object, 0. They do not depend on the
        scale of k-space. Their phase is that of `eigenvalue_maps`.

    Raises:
        InputError: fewer than 2 coils, or sizes that do not fit in one another.
    """
    maps, eigenvalues = eigenvalue_maps(
        kspace, calibration, kernel=kernel, threshold=threshold, iterations=iterations
    )
    return jnp.where(eigenvalues[..., None, :, :] > crop, maps, 0)


def eigenvalue_maps(
    kspace: Complex[Array, "*batch coils height width"],
    calibration: tuple[int, int] = (24, 24),
    *,
    kernel: int = 6,
    threshold: Float[Array, ""] | int | float = 0.02,
    iterations: int = 100,
) -> tuple[Complex[Array, "*batch coils height width"], Float[Array, "*batch height width"]]:
    """ESPIRiT's largest eigenvalue and its eigenvector at every pixel.

    An eigenvector's phase is free. Here the coils' first principal component over the calibration
    region, a virtual coil that sees the whole object, has phase 0 everywhere.

    Args:
        kspace: centred k-space.
        calibration: rows and columns of the calibration region.
        kernel: rows and columns of a patch of k-space.
        threshold: singular values that count as signal, relative to the largest one.
        iterations: power iterations.

    Returns:
        Maps whose root sum of squares is 1 at every pixel, inside the object or not, and
        eigenvalues from 0 to 1. Both are 0 everywhere for a k-space of zeros.

    Raises:
        InputError: fewer than 2 coils, or sizes that do not fit in one another.
    """
    *batch, coils, height, width = kspace.shape
    if coils < 2:
        raise InputError(f"k-space for ESPIRiT: expected at least 2 coils, found {coils}")
    rows, columns = _calibration_region(height, width, calibration)
    if not 1 <= kernel <= min(calibration):
        raise InputError(
            f"ESPIRiT kernel: expected 1 to {min(calibration)} points to fit in the calibration "
            f"region, found {kernel}"
        )

    def of_slice(region: Array) -> tuple[Array, Array]:
        peak = jnp.max(jnp.abs(region))
        region = region / jnp.where(peak > 0, peak, 1).astype(region.dtype)
        correlations = _kernel_correlations(region, kernel, threshold)
        maps, eigenvalues = _eigenvectors(correlations, height, width, iterations)
        reference = _principal_coil(region)
        seen = _einsum("c,chw->hw", jnp.conj(reference), maps)
        magnitude = jnp.abs(seen)
        phase = jnp.where(magnitude > 0, seen / jnp.where(magnitude > 0, magnitude, 1), 1)
        return maps * jnp.conj(phase), eigenvalues

    regions = kspace[..., rows, columns].reshape(-1, coils, *calibration)
    # One slice after the other: each is enough work, and together they would need more memory.
    maps, eigenvalues = jax.lax.map(of_slice, regions)
    return maps.reshape(kspace.shape), eigenvalues.reshape(*batch, height, width)


def column_calibration(acs: int, height: int) -> tuple[int, int]:
    """Calibration region of a mask of whole columns: rows and columns.

    Its rows are sampled in full: at least 24 of them make up for few columns.

    Args:
        acs: fully sampled central columns.
        height: rows of k-space.
    """
    return min(max(acs, _FEWEST_ROWS), height), acs


def fitting_kernel(calibration: tuple[int, int]) -> int:
    """Rows and columns of a kernel that finds enough places in a calibration region, at most 6.

    Args:
        calibration: rows and columns, at least `SMALLEST_CALIBRATION` each.
    """
    return min(_LARGEST_KERNEL, min(calibration) // 2)


def check_calibration(
    mask: Bool[np.ndarray, "*batch rows width"],
    height: int,
    calibration: tuple[int, int] = (24, 24),
) -> None:
    """See that a mask samples the calibration region in full.

    For callers outside of `jax.jit`: a mask's values are not known inside.

    Args:
        mask: centred, true where k-space is sampled; one row for masks of whole columns.
        height: rows of k-space.
        calibration: rows and columns of the calibration region.

    Raises:
        InputError: a sample of the region is missing, or the region is larger than k-space.
    """
    *_, rows, width = mask.shape
    region = (..., *_calibration_region(height, width, calibration))
    sampled = np.broadcast_to(mask, (*mask.shape[:-2], height, width) if rows == 1 else mask.shape)
    missing = np.count_nonzero(~sampled[region])
    if missing:
        raise InputError(
            f"sampling mask: expected a fully sampled centre of {calibration[0]} x "
            f"{calibration[1]} for ESPIRiT, found {missing} of {sampled[region].size} samples "
            "missing"
        )


def _calibration_region(
    height: int, width: int, calibration: tuple[int, int]
) -> tuple[slice, slice]:
    rows, columns = calibration
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise InputError(
            f"calibration region: expected a size from 1 x 1 to {height} x {width}, the size of "
            f"k-space, found {rows} x {columns}"
        )
    # Where the masks put their fully sampled columns.
    top, left = centre_start(height, rows), centre_start(width, columns)
    return slice(top, top + rows), slice(left, left + columns)


def _kernel_correlations(
    region: Complex[Array, "coils rows columns"],
    kernel: int,
    threshold: Float[Array, ""] | int | float,
) -> Complex[Array, "coils coils lags lags"]:
    """sum_j sum_m k_jc(m + d) conj(k_jd(m)) / K over the kernels j that span the patches."""
    coils, rows, columns = region.shape
    corners = [
        np.arange(size - kernel + 1)[:, None] + np.arange(kernel) for size in (rows, columns)
    ]
    patches = region[:, corners[0][:, None, :, None], corners[1][None, :, None, :]]
    matrix = jnp.moveaxis(patches, 0, 2).reshape(-1, coils * kernel**2)
    _, singular_values, kernels = jnp.linalg.svd(matrix, full_matrices=False)
    is_signal = singular_values > threshold * singular_values[0]
    kernels = jnp.where(is_signal[:, None], kernels, 0).reshape(-1, coils, kernel, kernel)
    # Just wide enough for a correlation not to wrap around.
    lags = (2 * kernel - 1,) * 2
    spectra = jnp.fft.fft2(kernels, s=lags)
    power = _einsum("jcyx,jdyx->cdyx", spectra, jnp.conj(spectra))
    return jnp.fft.fftshift(jnp.fft.ifft2(power), axes=(-2, -1)) / kernel**2


def _eigenvectors(
    correlations: Complex[Array, "coils coils lags lags"], height: int, width: int, iterations: int
) -> tuple[Complex[Array, "coils height width"], Float[Array, "height width"]]:
    coils, _, lags, _ = correlations.shape
    vertical = jnp.asarray(_waves(height, lags), correlations.dtype)
    horizontal = jnp.asarray(_waves(width, lags), correlations.dtype)
    along_rows = _einsum("cdyx,xw->cdyw", correlations, horizontal)

    def of_row(waves: Array) -> tuple[Array, Array]:
        matrix = _einsum("cdyw,y->cdw", along_rows, waves)
        # The column of the strongest coil: the first power iteration from that coil alone, and
        # hence never orthogonal to an eigenvector that this coil takes part in.
        energy = _einsum("ccw->cw", matrix).real
        start = jnp.take_along_axis(matrix, jnp.argmax(energy, axis=0)[None, None, :], axis=1)

        def iterate(vector: Array, _: None) -> tuple[Array, None]:
            return _normalised(_times(matrix, vector)), None

        vector, _ = jax.lax.scan(iterate, _normalised(start[:, 0]), length=iterations)
        eigenvalue = jnp.sum(jnp.conj(vector) * _times(matrix, vector), axis=0).real
        return vector, eigenvalue

    # On a CPU as many rows at a time as its cache holds; other devices want more work at once.
    limit = 2**20 if jax.default_backend() == "cpu" else 2**28
    row_bytes = coils**2 * width * correlations.dtype.itemsize
    vectors, eigenvalues = jax.lax.map(
        of_row, vertical.T, batch_size=min(height, max(1, limit // row_bytes))
    )
    return jnp.moveaxis(vectors, 0, 1), eigenvalues


def _times(
    matrix: Complex[Array, "coils coils width"], vector: Complex[Array, "coils width"]
) -> Complex[Array, "coils width"]:
    # A sum of products over the long last axis, faster than many small matrix products; in parts,
    # as XLA's CPU compiler makes a much slower loop of a sum over more than about 16 coils.
    coils = len(vector)
    parts = [slice(first, first + _COILS_AT_ONCE) for first in range(0, coils, _COILS_AT_ONCE)]
    products = [jnp.sum(matrix[:, part] * vector[part], axis=1) for part in parts]
    return functools.reduce(jnp.add, products)


def _normalised(vector: Complex[Array, "coils width"]) -> Complex[Array, "coils width"]:
    power = jnp.sum(jnp.square(vector.real) + jnp.square(vector.imag), axis=0)
    return vector * jax.lax.rsqrt(jnp.maximum(power, jnp.finfo(power.dtype).tiny))


def _waves(size: int, lags: int) -> np.ndarray:
    """exp(2 pi i d r / size) of the lags d and the centred pixels r."""
    turns = np.outer(np.arange(lags) - lags // 2, np.arange(size) - size // 2) / size
    return np.exp(2j * np.pi * turns)


def _principal_coil(region: Complex[Array, "coils rows columns"]) -> Complex[Array, " coils"]:
    """First principal component over the coils; its strongest coil has phase 0."""
    covariance = _einsum("cyx,dyx->cd", region, jnp.conj(region))
    _, vectors = jnp.linalg.eigh(covariance)
    component = vectors[:, -1]
    strongest = component[jnp.argmax(jnp.abs(component))]
    return component * jnp.conj(strongest) / jnp.abs(strongest)
