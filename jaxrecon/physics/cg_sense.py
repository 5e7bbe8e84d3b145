"""CG-SENSE: the least-squares image of multi-coil k-space.

References:
    Pruessmann et al. (2001), Advances in sensitivity encoding with arbitrary k-space trajectories.
    https://doi.org/10.1002/mrm.1241
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

from jaxrecon.physics.conjugate_gradient import conjugate_gradient
from jaxrecon.physics.normal_equations import NormalEquations, normal_equations


def cg_sense(
    kspace: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
    maps: Complex[Array, "*#batch coils height width"],
    *,
    regularisation: Float[Array, ""] | int | float = 0.01,
    iterations: int = 20,
    prior: Complex[Array, "*batch height width"] | None = None,
) -> Complex[Array, "*batch height width"]:
    """The image x with the least |A x - k|^2 + regularisation * |x - prior|^2.

    Args:
        kspace: centred k-space k; what lies outside the mask is ignored.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.
        maps: sensitivity maps.
        regularisation: weight of the image's energy. It is relative by nature: with normalised
            maps no eigenvalue of A^H A is larger than 1, whatever the scale of k-space.
        iterations: of conjugate gradients.
        prior: image to stay close to, in the scale of the result, and where the iterations start;
            zeros by default. A network's output makes this its data-consistency step.

    Returns:
        Complex images, differentiable in k-space, maps, regularisation and prior.
    """
    equations = normal_equations(kspace, mask, maps)
    peak = equations.peak.astype(kspace.dtype)
    weight = jnp.asarray(regularisation, kspace.dtype)
    start = None if prior is None else prior / peak
    return peak * least_squares(equations, weight, start, iterations=iterations)


def least_squares(
    equations: NormalEquations,
    weight: Inexact[Array, ""],
    prior: Complex[Array, "*batch height width"] | None,
    *,
    iterations: int,
) -> Complex[Array, "*batch height width"]:
    """The solution of (A^H A + weight) x = A^H k + weight * prior by conjugate gradients.

    Args:
        equations: A^H A and A^H k.
        weight: of the distance to the prior.
        prior: in the scale of the equations, and where the iterations start; None for zeros.
        iterations: of conjugate gradients.

    Returns:
        Complex images in the scale of the equations.
    """
    target = equations.target
    return conjugate_gradient(
        lambda image: equations.operator(image) + weight * image,
        target if prior is None else target + weight * prior,
        iterations=iterations,
        initial=prior,
        batch_dims=target.ndim - 2,
    )
