"""What `jaxrecon.embed` needs of a semantic prior: how it sees images before there is a file."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Complex, Float, Integer, PyTree

import jaxrecon.priors
from jaxrecon.plugin import find_module
from jaxrecon.priors.embeddings import Provenance
from jaxrecon.priors.semantic_prior import PLUGIN_FUNCTIONS

Embed = Callable[
    [PyTree, Complex[Array, "batch height width"], Integer[Array, " batch"]],
    tuple[Float[Array | np.ndarray, "rows tokens channels"], ...],
]


@dataclasses.dataclass(frozen=True, eq=False)
class Embedder:
    """A frozen encoder, ready to embed auxiliary images.

    Attributes:
        name: for logs, such as "weights/clip (openai/clip-vit-base-patch16)".
        provenance: what a file of its embeddings says of them, its levels among it; `details` are
            for the program to fill in.
        arrays: weights, on the host; the first argument of `embed`.
        embed: pure function of `arrays`, images of any scale and a whole number for each image that
            seeds what is drawn for it. Gives one array for each level; the rows of an image stand
            together, in the order of the images.
        rows_per_image: embeddings of one image.
        is_traceable: `embed` may be compiled; else it is called with arrays, and looks at what it
            computes before it computes more.
        answers: what the language model says of each image; None without one.
        notes: what is known once images were embedded, JSON values for the file's provenance.
        memory: an estimate of what it takes on the device, one line; "" without one.
    """

    name: str
    provenance: Provenance
    arrays: PyTree
    embed: Embed
    rows_per_image: int = 1
    is_traceable: bool = True
    answers: Callable[[PyTree, Complex[Array, "batch height width"]], Sequence[str]] | None = None
    notes: Callable[[], Mapping[str, Any]] = dict
    memory: str = ""


def open_embedder(config: Mapping[str, Any]) -> Embedder:
    """What embeds auxiliary images for the prior that an experiment names.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`; `name` is a module of `jaxrecon.priors`,
            or the dotted name of any module, that defines `open_prior` and `open_embedder`.

    Raises:
        InputError: there is no such module, or its weights are missing.
    """
    module = find_module(jaxrecon.priors, config["name"], PLUGIN_FUNCTIONS, field="prior.name")
    return module.open_embedder(config)
