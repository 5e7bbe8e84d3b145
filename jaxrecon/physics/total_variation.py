"""SENSE reconstruction under total variation.

The iterations are those of Chen, Lan and Ouyang: a primal-dual method like Chambolle and Pock's,
with Nesterov's momentum for the data term. They need A^H A once per iteration and no inner solver.

References:
    Block, Uecker and Frahm (2007), Undersampled radial MRI with multiple coils: iterative image
    reconstruction using a total variation constraint. https://doi.org/10.1002/mrm.21236
    Chen, Lan and Ouyang (2014), Optimal primal-dual methods for a class of saddle point problems.
    https://doi.org/10.1137/130919362
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

from jaxrecon.physics.normal_equations import normal_equations

# Norm of the finite differences of a periodic image with even sides, an upper bound for others.
_DIFFERENCE_NORM = 8**0.5
# Steps of the dual against those of the image are best in the ratio of how far each has to go. The
# dual ends within `regularisation`, the image about this many times closer than its peak.
_PEAK_OVER_ERROR = 20


def total_variation_sense(
    kspace: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
    maps: Complex[Array, "*#batch coils height width"],
    *,
    regularisation: Float[Array, ""] | int | float = 0.002,
    iterations: int = 100,
    isotropic: bool = True,
) -> Complex[Array, "*batch height width"]:
    """The image x with the least |A x - k|^2 / 2 + regularisation * peak * TV(x).

    TV sums the magnitudes of the finite differences of `image_gradient` over the image; `peak` is
    the largest magnitude of the slice's zero-filled image A^H k, so that the result scales with k.

    Args:
        kspace: centred k-space k; what lies outside the mask is ignored.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.
        maps: sensitivity maps.
        regularisation: weight of the total variation, relative to the peak; 0.001 to 0.004 suit
            most scans, more for more noise.
        iterations: how many; the error falls at least like 1 / iterations.
        isotropic: whether a pixel's two differences form one vector, whose length counts (True),
            or count one by one (False).

    Returns:
        Complex images.
    """
    equations = normal_equations(kspace, mask, maps)
    target, bound = equations.target, equations.bound
    radius = jnp.asarray(regularisation, bound.dtype)
    ratio = _PEAK_OVER_ERROR * radius
    dual_step = ratio / _DIFFERENCE_NORM

    def iterate(carry: tuple, count: Array) -> tuple[tuple, None]:
        image, average, dual, ahead = carry
        weight = 2 / (count + 1)
        dual = _project(_add(dual, dual_step, image_gradient(ahead)), radius, isotropic)
        slope = equations.operator(_mix(average, image, weight)) - target - divergence(dual)
        step = count / (2 * bound + count * ratio * _DIFFERENCE_NORM)
        new_image = _add(image, -step, slope)
        average = _mix(average, new_image, weight)
        ahead = _add(new_image, count / (count + 1), new_image - image)
        return (new_image, average, dual, ahead), None

    start = (target, target, jnp.zeros_like(image_gradient(target)), target)
    counts = jnp.arange(1, iterations + 1, dtype=bound.dtype)
    (_, average, _, _), _ = jax.lax.scan(iterate, start, counts)
    return equations.peak.astype(average.dtype) * average


def image_gradient(
    image: Inexact[Array, "*batch height width"],
) -> Inexact[Array, "*batch 2 height width"]:
    """Differences to the next row and to the next column; the image continues periodically.

    Args:
        image: real or complex images.

    Returns:
        Differences down the rows, then those along the columns.
    """
    return jnp.stack([jnp.roll(image, -1, axis) - image for axis in (-2, -1)], axis=-3)


def divergence(
    field: Inexact[Array, "*batch 2 height width"],
) -> Inexact[Array, "*batch height width"]:
    """The negative adjoint of `image_gradient`.

    Args:
        field: one component down the rows and one along the columns.

    Returns:
        Images.
    """
    rows, columns = field[..., 0, :, :], field[..., 1, :, :]
    return rows - jnp.roll(rows, 1, -2) + columns - jnp.roll(columns, 1, -1)


def _project(field: Array, radius: Array, isotropic: bool) -> Array:
    """Move what is longer than the radius back to it."""
    energy = jnp.square(field.real) + jnp.square(field.imag)
    if isotropic:
        energy = jnp.sum(energy, axis=-3, keepdims=True)
    is_outside = energy > jnp.square(radius)
    factor = radius * jax.lax.rsqrt(jnp.where(is_outside, energy, 1))
    return field * jnp.where(is_outside, factor, 1).astype(field.dtype)


def _mix(average: Array, image: Array, weight: Array) -> Array:
    return _add(average, weight, image - average)


def _add(image: Array, factor: Array, other: Array) -> Array:
    return image + factor.astype(image.dtype) * other
