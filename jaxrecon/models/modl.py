"""Unrolled network that alternates a denoiser and a least-squares step (MoDL).

Aggarwal et al. 2018, "MoDL: Model-Based Deep Learning Architecture for Inverse Problems"
(arXiv:1712.02862), as Feng et al. 2025 (arXiv:2511.19641) unroll it: a denoiser of its own and a
learned weight in each stage.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.models.convolution import CONVOLVED
from jaxrecon.models.scan_unet import STATISTICS, ScanUNet
from jaxrecon.physics.cg_sense import least_squares
from jaxrecon.physics.conjugate_gradient import OPERATED
from jaxrecon.physics.normal_equations import NormalEquations, normal_equations

_COSTLY = jax.checkpoint_policies.save_only_these_names(CONVOLVED, STATISTICS, OPERATED)


class Unrolled(NamedTuple):
    """What each stage made; the loss may look at all of it, the last image is the result.

    Attributes:
        images: after the least-squares step.
        refined: the denoiser's, before it.
    """

    images: Complex[Array, "stages batch height width"]
    refined: Complex[Array, "stages batch height width"]


class Stage(nn.Module):
    """z = D(x), then the x with the least |A x - k|^2 + w |x - z|^2.

    Attributes:
        denoiser: makes the module D, which maps complex images to complex images of the same shape;
            called with the module's name.
        iterations: of conjugate gradients, at most.
        initial_weight: w at first. Its magnitude counts, so that the problem stays convex when an
            optimiser steps across 0.
    """

    denoiser: Callable[..., nn.Module] = ScanUNet
    iterations: int = 20
    initial_weight: float = 0.01

    @nn.compact
    def __call__(
        self,
        image: Complex[Array, "batch height width"],
        equations: NormalEquations,
    ) -> tuple[Complex[Array, "batch height width"], Unrolled]:
        """One stage.

        Args:
            image: x, in the scale of the equations.
            equations: A^H A and A^H k.

        Returns:
            The new image, for the next stage, and what the stage made.
        """
        weight = jnp.abs(
            self.param("weight", nn.initializers.constant(self.initial_weight), (), jnp.float32)
        )
        refined = self.denoiser(name="denoiser")(image)
        solution = least_squares(equations, weight, refined, iterations=self.iterations)
        return solution, Unrolled(solution, refined)


class MoDL(nn.Module):
    """Unrolled reconstruction of one or more slices.

    The stages are one `lax.scan` over stacked parameters (leading axis of every leaf under
    `stages`), so that compile time does not grow with their number. What is cheap is recomputed in
    the backward pass: convolutions and products with A^H A are kept, which takes little more memory
    than keeping nothing.

    Attributes:
        denoiser: see `Stage`.
        stages: number of unrolled steps.
        iterations: see `Stage`.
        initial_weight: see `Stage`.
    """

    denoiser: Callable[..., nn.Module] = ScanUNet
    stages: int = 4
    iterations: int = 20
    initial_weight: float = 0.01

    @nn.compact
    def __call__(
        self,
        kspace: Complex[Array, "batch coils height width"],
        mask: Bool[Array, "batch #height width"],
        maps: Complex[Array, "batch coils height width"],
        start: Complex[Array, "batch height width"] | None = None,
    ) -> Unrolled:
        """Reconstruct.

        Args:
            kspace: centred k-space k; what lies outside the mask is ignored.
            mask: the samples that the least-squares step is to agree with.
            maps: sensitivity maps.
            start: the first stage's image, in the scale of the result; None for the zero-filled
                image of the samples in the mask. The authors' code starts from that of all
                acquired samples, those kept for the loss too.

        Returns:
            Every stage's images, in the scale of k-space.
        """
        equations = normal_equations(kspace, mask, maps)
        peak = equations.peak.astype(kspace.dtype)
        image = equations.target if start is None else start / peak

        def body(stage: Stage, carry: Array, _: None) -> tuple[Array, Unrolled]:
            return stage(carry, equations)

        scanned = nn.scan(
            nn.remat(body, prevent_cse=False, policy=_COSTLY),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.stages,
        )
        stage = Stage(self.denoiser, self.iterations, self.initial_weight, name="stages")
        _, made = scanned(stage, image, None)
        return Unrolled(made.images * peak, made.refined * peak)


def stage_parameters(
    denoiser: dict[str, Any], stages: int = 4, initial_weight: float = 0.01
) -> dict[str, Any]:
    """Parameters of a `MoDL` whose stages all start as one denoiser, trained by itself before.

    Args:
        denoiser: its parameters.
        stages: number of stages.
        initial_weight: of each.
    """
    repeat = functools.partial(jnp.repeat, repeats=stages, axis=0)
    stacked = jax.tree.map(lambda leaf: repeat(jnp.asarray(leaf)[None]), denoiser)
    weight: Float[Array, " stages"] = jnp.full(stages, initial_weight, jnp.float32)
    return {"stages": {"denoiser": stacked, "weight": weight}}
