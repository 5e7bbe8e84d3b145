"""The multi-coil Cartesian forward operator A x = M F (S x) and what is built on it.

x is the image, S its expansion to coil images by sensitivity maps, F the centred orthonormal
Fourier transform and M the sampling mask, which has no coil axis: every coil is sampled alike.

References:
    Pruessmann et al. (2001), Advances in sensitivity encoding with arbitrary k-space trajectories.
    https://doi.org/10.1002/mrm.1241
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.physics import coils, fourier


def forward_operator(
    image: Complex[Array, "*batch height width"],
    maps: Complex[Array, "*#batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
) -> Complex[Array, "*batch coils height width"]:
    """Undersampled multi-coil k-space A x of an image x.

    Args:
        image: complex images.
        maps: sensitivity maps.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.

    Returns:
        Centred k-space, 0 where it is not sampled.
    """
    return _sampled(fourier.fft2c(coils.expand(image, maps)), mask)


def adjoint_operator(
    kspace: Complex[Array, "*batch coils height width"],
    maps: Complex[Array, "*#batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
) -> Complex[Array, "*batch height width"]:
    """Coil-combined image A^H k of a multi-coil k-space k, the zero-filled reconstruction.

    Args:
        kspace: centred k-space; what lies outside the mask is ignored.
        maps: sensitivity maps.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.

    Returns:
        Complex images.
    """
    return coils.reduce(fourier.ifft2c(_sampled(kspace, mask)), maps)


def normal_operator(
    image: Complex[Array, "*batch height width"],
    maps: Complex[Array, "*#batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
) -> Complex[Array, "*batch height width"]:
    """A^H A x, the self-adjoint operator that least-squares solvers apply.

    Args:
        image: complex images.
        maps: sensitivity maps.
        mask: centred, true where k-space is sampled; one row for masks of whole columns.

    Returns:
        Complex images.
    """
    return adjoint_operator(forward_operator(image, maps, mask), maps, mask)


def soft_data_consistency(
    kspace: Complex[Array, "*batch coils height width"],
    measured: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
    step: Float[Array, ""] | int | float,
) -> Complex[Array, "*batch coils height width"]:
    """One gradient step towards the measured samples: k - step * M (k - k0).

    Pointwise, hence right in any ordering of k-space that its three arrays share.

    Args:
        kspace: the current estimate k.
        measured: the measured k-space k0.
        mask: true where k0 was sampled; one row for masks of whole columns.
        step: step size; 1 puts the measured samples back, 0 leaves the estimate.

    Returns:
        The updated k-space.

    References:
        Sriram et al. (2020), End-to-end variational networks for accelerated MRI reconstruction.
        https://arxiv.org/abs/2004.06688
    """
    return kspace - jnp.asarray(step, kspace.dtype) * _sampled(kspace - measured, mask)


def _sampled(
    kspace: Complex[Array, "*batch coils height width"],
    mask: Bool[Array, "*#batch #height width"],
) -> Complex[Array, "*batch coils height width"]:
    # A selection, not a product: what was not sampled may be anything, NaN included.
    return jnp.where(mask[..., None, :, :], kspace, 0)
