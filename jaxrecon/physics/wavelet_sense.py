"""SENSE reconstruction with few wavelet coefficients: L1-wavelet compressed sensing by FISTA.

References:
    Lustig, Donoho and Pauly (2007), Sparse MRI: the application of compressed sensing for rapid MR
    imaging. https://doi.org/10.1002/mrm.21391
    Beck and Teboulle (2009), A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems. https://doi.org/10.1137/080716542
    Figueiredo and Nowak (2003), An EM algorithm for wavelet-based image restoration (random
    shifts). https://doi.org/10.1109/TIP.2003.814255
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.physics.cropping import center_crop, center_pad
from jaxrecon.physics.normal_equations import normal_equations
from jaxrecon.physics.wavelet import inverse_wavelet_transform, is_detail, wavelet_transform


def wavelet_sense(
    kspace: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
    maps: Complex[Array, "*#batch coils height width"],
    *,
    regularisation: Float[Array, ""] | int | float = 0.002,
    iterations: int = 60,
    levels: int = 4,
    vanishing_moments: int = 4,
    cycle_spinning: bool = True,
) -> Complex[Array, "*batch height width"]:
    """The image x with the least |A x - k|^2 / 2 + regularisation * peak * |W x|_1.

    W gives the detail coefficients of `wavelet_transform`, the coarsest image is left alone; `peak`
    is the largest magnitude of the slice's zero-filled image A^H k, so that the result scales with
    k. An image whose sides are not multiples of 2**levels is the centre of a larger one, the rest
    of which no sample sees and the wavelets fill in.

    Args:
        kspace: centred k-space k; what lies outside the mask is ignored.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.
        maps: sensitivity maps.
        regularisation: weight of the coefficients, relative to the peak; 0.001 to 0.004 suit most
            scans, more for more noise.
        iterations: of FISTA.
        levels: levels of the wavelet transform.
        vanishing_moments: of the wavelet, 4 for db4.
        cycle_spinning: move the wavelets' grid at random from one iteration to the next, always
            alike for the same number of iterations. That takes away the grid's blocks and is the
            better image after 40 to 100 iterations; without it the iterations approach the one
            image with the least sum above.

    Returns:
        Complex images.
    """
    equations = normal_equations(kspace, mask, maps)
    height, width = kspace.shape[-2:]
    rows, columns = (_next_multiple(size, 2**levels) for size in (height, width))
    step = 1 / equations.bound
    threshold = step * jnp.asarray(regularisation, step.dtype) * is_detail(rows, columns, levels)
    step = step.astype(kspace.dtype)

    def shrink(image: Array, shift: Array) -> Array:
        moved = jnp.roll(image, shift, (-2, -1))
        coefficients = wavelet_transform(moved, levels=levels, vanishing_moments=vanishing_moments)
        moved = inverse_wavelet_transform(
            _soft_threshold(coefficients, threshold),
            levels=levels,
            vanishing_moments=vanishing_moments,
        )
        return jnp.roll(moved, -shift, (-2, -1))

    def iterate(carry: tuple[Array, Array], inputs: tuple[Array, Array]) -> tuple[tuple, None]:
        image, ahead = carry
        momentum, shift = inputs
        slope = equations.operator(center_crop(ahead, height, width)) - equations.target
        new_image = shrink(ahead - step * center_pad(slope, rows, columns), shift)
        ahead = new_image + momentum.astype(image.dtype) * (new_image - image)
        return (new_image, ahead), None

    start = center_pad(equations.target, rows, columns)
    momenta = jnp.asarray(_momenta(iterations), threshold.dtype)
    spread = 2**levels if cycle_spinning else 1
    shifts = jnp.asarray(np.random.RandomState(0).randint(spread, size=(iterations, 2)), jnp.int32)
    (image, _), _ = jax.lax.scan(iterate, (start, start), (momenta, shifts))
    return equations.peak.astype(image.dtype) * center_crop(image, height, width)


def _soft_threshold(
    values: Complex[Array, "*batch rows columns"], threshold: Float[Array, "*#batch rows columns"]
) -> Complex[Array, "*batch rows columns"]:
    energy = jnp.square(values.real) + jnp.square(values.imag)
    is_kept = energy > jnp.square(threshold)
    factor = 1 - threshold * jax.lax.rsqrt(jnp.where(is_kept, energy, 1))
    return values * jnp.where(is_kept, factor, 0).astype(values.dtype)


def _momenta(iterations: int) -> list[float]:
    """(t_i - 1) / t_(i + 1) with t_1 = 1 and t_(i + 1) = (1 + sqrt(1 + 4 t_i^2)) / 2."""
    momenta, t = [], 1.0
    for _ in range(iterations):
        following = (1 + (1 + 4 * t**2) ** 0.5) / 2
        momenta.append((t - 1) / following)
        t = following
    return momenta


def _next_multiple(size: int, divisor: int) -> int:
    return -(-size // divisor) * divisor
