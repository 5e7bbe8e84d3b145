"""End-to-end variational network (E2E-VarNet) with a pluggable refinement module.

Sriram et al. 2020, "End-to-End Variational Networks for Accelerated MRI Reconstruction"
(arXiv:2004.06688). With a foundation-model denoiser as refinement it is the unrolled network of
Hashmi et al. 2026 (arXiv:2604.22557), equations (4) and (5).
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Complex, Float, Int

from jaxrecon.models.build import refinement_factory
from jaxrecon.models.sensitivity import SensitivityNet
from jaxrecon.physics.coils import expand, reduce, root_sum_of_squares
from jaxrecon.physics.fourier import (
    fft2_native,
    ifft2_native,
    native_order_mask,
    to_native_order,
)
from jaxrecon.physics.sense import soft_data_consistency


class Cascade(nn.Module):
    """One unrolled step: soft data consistency and refinement of the combined image.

    k <- k - step * M (k - k0) - F S R(S^H F^-1 k), with a learned step that starts at 1.

    Attributes:
        refinement: makes the module R, which maps complex images (batch, height, width) to images
            of the same shape; it is called with the module's name.
    """

    refinement: Callable[..., nn.Module]

    @nn.compact
    def __call__(
        self,
        kspace: Complex[Array, "batch coils height width"],
        measured: Complex[Array, "batch coils height width"],
        mask: Bool[Array, "batch #height width"],
        maps: Complex[Array, "batch coils height width"],
    ) -> tuple[Complex[Array, "batch coils height width"], None]:
        """Update the estimate; the second result is what `lax.scan` stacks, nothing."""
        step = self.param("step", nn.initializers.ones, ())
        image = reduce(ifft2_native(kspace), maps)
        refined = self.refinement(name="refinement")(image)
        consistent = soft_data_consistency(kspace, measured, mask, step)
        return consistent - fft2_native(expand(refined, maps)), None


class VarNet(nn.Module):
    """Unrolled reconstruction of multi-coil k-space to a magnitude image.

    The cascades are one `lax.scan` over stacked parameters (leading axis of every leaf under
    `cascades`), each recomputed in the backward pass, so that compile time and memory do not grow
    with their number. A refinement's variables in the collection `frozen` are shared by all
    cascades instead of stacked.

    Attributes:
        refinement: makes the refinement module of a cascade, see `Cascade`.
        sensitivity: makes the network that estimates the maps; called with the module's name.
        cascades: number of unrolled steps.
    """

    refinement: Callable[..., nn.Module]
    sensitivity: Callable[..., nn.Module] = SensitivityNet
    cascades: int = 12

    @nn.compact
    def __call__(
        self,
        kspace: Complex[Array, "batch coils height width"],
        mask: Bool[Array, "batch #height width"],
        acs: Int[Array, " batch"],
    ) -> Float[Array, "batch height width"]:
        """Reconstruct.

        Args:
            kspace: centred undersampled k-space, zero where not sampled.
            mask: centred sampling mask; one row for masks of whole columns.
            acs: number of contiguous central columns that are fully sampled.

        Returns:
            Root sum of squares over the coils of the reconstructed images, in the input's scale.
        """
        measured = to_native_order(kspace)
        mask = native_order_mask(mask)
        maps = self.sensitivity(name="sensitivity")(measured, acs)
        scanned = nn.scan(
            nn.remat(Cascade, prevent_cse=False),
            variable_axes={"params": 0},
            variable_broadcast="frozen",
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast, nn.broadcast),
            length=self.cascades,
        )
        estimate, _ = scanned(self.refinement, name="cascades")(measured, measured, mask, maps)
        # The native order's phase has magnitude 1 per sample of k-space, and its image is already
        # in natural order: nothing is left to undo before the magnitude.
        return root_sum_of_squares(ifft2_native(estimate))


def build(config: Mapping[str, Any]) -> VarNet:
    """The network of a model configuration; its fields are those of `config.model`.

    Args:
        config: `cascades`, `dtype` ("float32" or "bfloat16", of the convolutions), `refinement`
            (see `refinement_factory`) and `sensitivity` (`channels`, `pools`).
    """
    dtype = jnp.dtype(config["dtype"])
    sensitivity = functools.partial(
        SensitivityNet,
        channels=config["sensitivity"]["channels"],
        pools=config["sensitivity"]["pools"],
        dtype=dtype,
    )
    return VarNet(
        refinement=refinement_factory(config["refinement"], dtype),
        sensitivity=sensitivity,
        cascades=config["cascades"],
    )
