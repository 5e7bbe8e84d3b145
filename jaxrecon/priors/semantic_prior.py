"""What a reconstruction needs of a semantic prior, whichever encoder and evidence it is made of.

A prior is a module of `jaxrecon.priors` with `open_prior(config) -> SemanticPrior` and, for
`jaxrecon.embed`, `open_embedder(config) -> Embedder`: "image" and "language" are two.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Complex, Float, Float32, PyTree

import jaxrecon.priors
from jaxrecon.plugin import find_module

PLUGIN_FUNCTIONS = ("open_prior", "open_embedder")
"""What a module must define to be a prior; see `jaxrecon.priors.embedder` for the second."""


class PriorLoss(NamedTuple):
    """How far images are from what the prior wants.

    Attributes:
        total: the contrastive loss, its levels weighted and added.
        levels: each level's loss before it is weighted.
        embeddings: one vector for each image by level, to be kept along the path of a
            reconstruction.
    """

    total: Float[Array, " batch"]
    levels: Float[Array, "batch levels"]
    embeddings: dict[str, Float[Array, "batch width"]]


class References(NamedTuple):
    """Embeddings of the auxiliary images at one level, one vector for each image."""

    positives: Float32[np.ndarray, "positives width"]
    negatives: Float32[np.ndarray, "negatives width"]


@dataclasses.dataclass(frozen=True, eq=False)
class SemanticPrior:
    """A prior that is ready to be used.

    Attributes:
        name: for logs and results, such as "weights/clip (openai/clip-vit-base-patch16)" or "random
            encoder (seed 0)".
        is_random: its encoder is untrained.
        levels: names of the levels, low to high.
        arrays: weights and references, on the host; the first argument of `loss`.
        loss: pure function of `arrays` and images of any scale, differentiable in the images and
            equal for c x and x, c > 0.
        references: what the images' embeddings are compared with, by level, for figures.
        provenance: what made it, JSON values.
        answers: what the language model says of each image; None without one.
        redraw: other references of the same shapes, by a seed, where not all fit into memory; None
            where they do.
        memory: an estimate of what it takes on the device, one line; "" without one.
    """

    name: str
    is_random: bool
    levels: tuple[str, ...]
    arrays: PyTree
    loss: Callable[[PyTree, Complex[Array, "batch height width"]], PriorLoss]
    references: Mapping[str, References]
    provenance: Mapping[str, Any]
    answers: Callable[[PyTree, Complex[Array, "batch height width"]], Sequence[str]] | None = None
    redraw: Callable[[int], PyTree] | None = None
    memory: str = ""


def open_prior(config: Mapping[str, Any]) -> SemanticPrior:
    """The prior that an experiment names.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`; `name` is a module of `jaxrecon.priors` or
            the dotted name of any module, that defines `PLUGIN_FUNCTIONS`.

    Raises:
        InputError: there is no such module, its embeddings or weights are missing, or they do not
            belong together.
    """
    module = find_module(jaxrecon.priors, config["name"], PLUGIN_FUNCTIONS, field="prior.name")
    return module.open_prior(config)
