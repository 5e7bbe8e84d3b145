"""Implicit neural representation: a SIREN, and a convolutional adaptor after it.

Both images are in units of some peaks of the zero-filled image, so that the adaptor's last
activation, which ends at 1, does not clip what is brighter than the zero-filled image ever is.

With total variation both are trained, each of their images judged and regularised by itself; with
the experiment's own regulariser the adaptor alone is (the released code of arXiv:2511.19641).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PyTree

from jaxrecon.models.complex_normalisation import channels_to_complex
from jaxrecon.models.siren import Adaptor, ImplicitImage, Siren, coordinate_grid
from jaxrecon.scan_specific.backbone import Backbone, Groups, Made, require_positive
from jaxrecon.scan_specific.problem import Problem

_SIREN, _ADAPTOR = "siren", "adaptor"


def build_backbone(config: Mapping[str, Any]) -> Backbone:
    """The backbone of `jaxrecon.scan_config.inr_config`.

    Args:
        config: the experiment.

    Raises:
        InputError: a field is not usable.
    """
    fields = config["backbone"]
    require_positive(fields, ("layers", "features", "frequency", "adaptor_features", "range"))
    sizes = (fields["layers"], fields["features"])
    siren = Siren(*sizes, frequency=fields["frequency"])
    adaptor = Adaptor(fields["adaptor_features"])
    peaks = fields["range"]
    both = ImplicitImage(*sizes, fields["frequency"], fields["adaptor_features"])

    def init(key: Array, shape: tuple[int, int]) -> Groups:
        # The shapes of the parameters do not depend on the image's.
        del shape
        return dict(both.init(key, coordinate_grid(4, 4))["params"])

    def channels(groups: Groups, problem: Problem) -> Float[Array, "1 height width 2"]:
        grid = coordinate_grid(*problem.zero_filled.shape[-2:])
        return siren.apply({"params": groups[_SIREN]}, grid)[None]

    def prepare(groups: Groups, frozen: PyTree, problem: Problem, trained: tuple[str, ...]) -> Any:
        del frozen
        return None if _SIREN in trained else channels(groups, problem)

    def adapted(groups: Groups, values: Array) -> Complex[Array, "1 height width"]:
        return peaks * channels_to_complex(adaptor.apply({"params": groups[_ADAPTOR]}, values))

    def make(groups: Groups, context: PyTree, frozen: PyTree, problem: Problem) -> Made:
        del frozen
        if context is not None:
            image = adapted(groups, context)
            return Made(image, image, image)
        values = channels(groups, problem)
        image = adapted(groups, values)
        images = jnp.concatenate([peaks * channels_to_complex(values), image])
        return Made(images, images, image)

    def result(groups: Groups, frozen: PyTree, problem: Problem) -> Complex[Array, "height width"]:
        del frozen
        return adapted(groups, channels(groups, problem))[0]

    return Backbone(
        init=init,
        prepare=prepare,
        make=make,
        result=result,
        rates={
            _SIREN: 1.0,
            _ADAPTOR: fields["adaptor_learning_rate"] / config["learning_rate"],
        },
        guided_groups=(_ADAPTOR,),
        over="sampled",
        description=f"INR, {sizes[0]} layers of {sizes[1]}, adaptor of {adaptor.features}",
    )
