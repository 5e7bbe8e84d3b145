"""The image of undersampled k-space as it is: the baseline of every result."""

from jaxtyping import Array, Complex, Float

from jaxrecon.physics.coils import root_sum_of_squares
from jaxrecon.physics.fourier import ifft2c


def zero_filled(
    kspace: Complex[Array, "*batch coils height width"],
) -> Float[Array, "*batch height width"]:
    """Root sum of squares over the coils' images, with zeros where k-space was not sampled.

    Args:
        kspace: centred k-space, zero where not sampled.

    Returns:
        Magnitude images in the scale of the k-space.
    """
    return root_sum_of_squares(ifft2c(kspace))
