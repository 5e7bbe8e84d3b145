"""End-to-end mapping: a U-Net from the zero-filled image to the reconstruction."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Complex, PyTree

from jaxrecon.scan_specific.backbone import Backbone, Groups, Made
from jaxrecon.scan_specific.denoiser import open_denoiser, smallest_image
from jaxrecon.scan_specific.problem import Problem


def build_backbone(config: Mapping[str, Any]) -> Backbone:
    """The backbone of `jaxrecon.scan_config.unet_config`.

    Args:
        config: the experiment.

    Raises:
        InputError: the warm start is not usable.
    """
    denoiser = open_denoiser(config["backbone"])
    network, group = denoiser.network, denoiser.group

    def arrange(key: Array, weights: dict[str, Any] | None) -> dict[str, Any]:
        if weights is not None:
            return weights
        return jax.jit(network.init)(key, smallest_image(network))["params"]

    def init(key: Array, shape: tuple[int, int]) -> Groups:
        return {group: denoiser.init(key, shape, arrange)}

    def refined(groups: Groups, frozen: PyTree, problem: Problem) -> Complex[Array, "1 h w"]:
        params = denoiser.parameters(groups[group], frozen)
        return network.apply({"params": params}, problem.zero_filled[None])

    def prepare(groups: Groups, frozen: PyTree, problem: Problem, trained: tuple[str, ...]) -> None:
        del groups, frozen, problem, trained

    def make(groups: Groups, context: PyTree, frozen: PyTree, problem: Problem) -> Made:
        del context
        image = refined(groups, frozen, problem)
        return Made(image, image, image)

    def result(groups: Groups, frozen: PyTree, problem: Problem) -> Complex[Array, "height width"]:
        return refined(groups, frozen, problem)[0]

    return Backbone(
        init=init,
        prepare=prepare,
        make=make,
        result=result,
        rates={group: 1.0},
        guided_groups=(group,),
        over="all",
        description=denoiser.description,
        frozen=denoiser.warm,
    )
