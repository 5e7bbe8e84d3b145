"""What a fit needs of a network, whichever it is; a backbone is a module of this package.

A module "NAME" with `build_backbone(config) -> Backbone` is the backbone NAME: "inr", "unet" and
"unrolled" are three. Functions see one slice; the fit maps them over slices.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Complex, PyTree

import jaxrecon.scan_specific
from jaxrecon.errors import InputError
from jaxrecon.plugin import find_module
from jaxrecon.scan_specific.problem import Problem

Groups = dict[str, PyTree]
"""Trained parameters, by the name of a group that is trained together."""


class Made(NamedTuple):
    """What a network makes of a slice, in the scale of the problem.

    Attributes:
        judged: images that the data term looks at, summed.
        regularised: images that total variation looks at, summed.
        guided: images that the semantic prior looks at, averaged.
    """

    judged: Complex[Array, "judged height width"]
    regularised: Complex[Array, "regularised height width"]
    guided: Complex[Array, "guided height width"]


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """A network that is fitted to one slice.

    Attributes:
        init: from a random key and a slice's height and width to what is trained.
        frozen: parameters that are not trained, the same for all slices.
        prepare: what stays the same during steps that train only some groups: from all groups,
            `frozen` and the problem to a context.
        make: from the trained groups, the context, `frozen` and the problem to the images.
        result: from all groups, `frozen` and the problem to the image.
        rates: learning rate of each group, relative to the experiment's.
        guided_groups: groups that are trained once the regulariser is the experiment's own.
        over: see `terms.data_term`.
        holdout: fraction of the samples that is kept for the loss, and sigma of their density; None
            to use all samples on both sides.
        description: for logs, such as "INR, 8 layers of 256".
    """

    init: Callable[[Array, tuple[int, int]], Groups]
    prepare: Callable[[Groups, PyTree, Problem, tuple[str, ...]], PyTree]
    make: Callable[[Groups, PyTree, PyTree, Problem], Made]
    result: Callable[[Groups, PyTree, Problem], Complex[Array, "height width"]]
    rates: Mapping[str, float]
    guided_groups: tuple[str, ...]
    over: str
    description: str
    frozen: PyTree = None
    holdout: tuple[float, float] | None = None


def open_backbone(config: Mapping[str, Any]) -> Backbone:
    """The backbone that an experiment names.

    Args:
        config: `jaxrecon.scan_config.scan_config()` as a mapping.

    Raises:
        InputError: there is no such module, or a field is not usable.
    """
    if not config["learning_rate"] > 0:
        raise InputError(
            f"learning_rate: expected a number above 0, found {config['learning_rate']}"
        )
    name = config["backbone"]["name"]
    module = find_module(jaxrecon.scan_specific, name, ["build_backbone"], field="backbone.name")
    return module.build_backbone(config)


def require_positive(fields: Mapping[str, Any], names: Sequence[str]) -> None:
    """See that numbers of a backbone can be used.

    Args:
        fields: `config.backbone`.
        names: of fields that must be above 0.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if not fields[name] > 0:
            raise InputError(f"backbone.{name}: expected a number above 0, found {fields[name]}")
