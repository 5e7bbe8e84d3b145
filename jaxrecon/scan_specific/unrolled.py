"""Unrolled network: U-Nets and least-squares steps in turn, each stage with weights of its own.

Some of the samples are kept from the least-squares steps and judge every stage's images, those
before and those after its step, and the zero-filled image too (a constant, left out here).
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, PyTree

from jaxrecon.errors import InputError
from jaxrecon.models.modl import MoDL, Unrolled, stage_parameters
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.scan_specific.backbone import Backbone, Groups, Made, require_positive
from jaxrecon.scan_specific.denoiser import LORA, open_denoiser, smallest_image
from jaxrecon.scan_specific.problem import Problem

_STEPS = "steps"


def build_backbone(config: Mapping[str, Any]) -> Backbone:
    """The backbone of `jaxrecon.scan_config.unrolled_config`.

    Args:
        config: the experiment.

    Raises:
        InputError: a field or the warm start is not usable.
    """
    fields = config["backbone"]
    if not 0 < fields["holdout"] < 1:
        raise InputError(
            f"backbone.holdout: expected a fraction above 0 and below 1, found {fields['holdout']}"
        )
    require_positive(fields, ("stages", "iterations", "initial_weight", "holdout_sigma"))
    if fields["guided_stages"] not in ("last", "all"):
        raise InputError(
            f"backbone.guided_stages: expected last or all, found {fields['guided_stages']!r}"
        )
    denoiser = open_denoiser(fields)
    unet, group, stages = denoiser.network, denoiser.group, fields["stages"]
    guides_all = fields["guided_stages"] == "all"

    make_denoiser = functools.partial(
        ScanUNet, unet.features, unet.halves_before_upsampling, unet.dtype
    )
    weight = fields["initial_weight"]
    network = MoDL(make_denoiser, stages, fields["iterations"], weight)

    def arrange(key: Array, weights: dict[str, Any] | None) -> dict[str, Any]:
        if weights is not None:
            return stage_parameters(weights, stages, weight)
        one = smallest_image(unet)
        empty = (one[:, None], jnp.ones((1, 1, one.shape[-1]), bool), jnp.ones_like(one[:, None]))
        return jax.jit(network.init)(key, *empty)["params"]

    def init(key: Array, shape: tuple[int, int]) -> Groups:
        trained = denoiser.init(key, shape, arrange)
        if group != LORA:
            return {group: trained}
        # The weights of the least-squares steps are trained beside LoRA's differences.
        return {group: trained, _STEPS: jnp.full(stages, weight, jnp.float32)}

    frozen = None if denoiser.warm is None else arrange(jax.random.key(0), denoiser.warm)

    def unroll(groups: Groups, frozen: PyTree, problem: Problem, mask: Array) -> Unrolled:
        params = denoiser.parameters(groups[group], frozen)
        if _STEPS in groups:
            params = {"stages": {**params["stages"], "weight": groups[_STEPS]}}
        return network.apply(
            {"params": params},
            problem.kspace[None],
            mask[None],
            problem.maps[None],
            problem.zero_filled[None],
        )

    def prepare(groups: Groups, frozen: PyTree, problem: Problem, trained: tuple[str, ...]) -> None:
        del groups, frozen, problem, trained

    def make(groups: Groups, context: PyTree, frozen: PyTree, problem: Problem) -> Made:
        del context
        made = unroll(groups, frozen, problem, problem.consistency_mask)
        images, refined = made.images[:, 0], made.refined[:, 0]
        guided = refined if guides_all else refined[-1:]
        return Made(jnp.concatenate([images, refined]), guided, guided)

    def result(groups: Groups, frozen: PyTree, problem: Problem) -> Complex[Array, "height width"]:
        # Every sample that was acquired may be used now.
        return unroll(groups, frozen, problem, problem.mask).images[-1, 0]

    trained_groups = (group, _STEPS) if group == LORA else (group,)
    return Backbone(
        init=init,
        prepare=prepare,
        make=make,
        result=result,
        rates=dict.fromkeys(trained_groups, 1.0),
        guided_groups=trained_groups,
        over="all",
        description=f"{stages} stages of {denoiser.description}",
        frozen=frozen,
        holdout=(fields["holdout"], fields["holdout_sigma"]),
    )
