"""Sensitivity maps estimated from the calibration region by a network."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Complex, Int

from jaxrecon.models.norm_unet import NormUNet
from jaxrecon.physics.coils import normalise_maps
from jaxrecon.physics.fourier import ifft2_native


def acs_columns(acs: Int[Array, " batch"], width: int) -> Bool[Array, "batch 1 1 width"]:
    """The calibration columns in the FFT's native order.

    Args:
        acs: number of contiguous central columns that are fully sampled (auto-calibration signal).
        width: number of columns of k-space.

    Returns:
        True at the `acs` columns that start at (width - acs + 1) // 2 of centred k-space.
    """
    centred = (jnp.arange(width) + width // 2) % width
    first = (width - acs[:, None] + 1) // 2
    inside = (centred >= first) & (centred < first + acs[:, None])
    return inside[:, None, None, :]


class SensitivityNet(nn.Module):
    """Low-resolution coil images, refined one by one and divided by their root sum of squares.

    Sriram et al. 2020 (arXiv:2004.06688), section 2.2, with the number of calibration columns given
    rather than guessed from the mask.

    Attributes:
        channels: channels of the U-Net's first level.
        pools: number of poolings.
        dtype: dtype of the convolutions.
    """

    channels: int = 8
    pools: int = 4
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        kspace: Complex[Array, "batch coils height width"],
        acs: Int[Array, " batch"],
    ) -> Complex[Array, "batch coils height width"]:
        """Estimate the maps.

        Args:
            kspace: undersampled k-space in native order.
            acs: number of calibration columns of each example.

        Returns:
            Maps whose root sum of squares over the coils is 1, or 0 where all coils are 0.
        """
        batch, coils, height, width = kspace.shape
        calibration = jnp.where(acs_columns(acs, width), kspace, 0)
        images = ifft2_native(calibration).reshape(batch * coils, height, width)
        refine = NormUNet(self.channels, self.pools, dtype=self.dtype, name="norm_unet")
        maps = refine(images).reshape(batch, coils, height, width)
        return normalise_maps(maps)
