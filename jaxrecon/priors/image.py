"""The prior from images as a plug-in: a configuration becomes an encoder and its references."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Integer, PyTree

from jaxrecon.encoders.spec import IMAGENET, PUBLISHED, PublishedEncoder
from jaxrecon.encoders.store import Encoder, open_encoder
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.priors.bank import Bank, bank_bytes, draw_images, load_bank
from jaxrecon.priors.contrastive import contrast_of
from jaxrecon.priors.embedder import Embedder
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    EmbeddingFile,
    check_embeddings,
    read_blocks,
    require_same_encoder,
)
from jaxrecon.priors.image_prior import (
    ImagePrior,
    embed,
    mean_direction,
    provenance,
    relative_layers,
    semantic_loss,
)
from jaxrecon.priors.janus_weights import ARCHITECTURES, janus_spec, open_tower
from jaxrecon.priors.preprocessing import Preprocessing
from jaxrecon.priors.semantic_prior import PriorLoss, References, SemanticPrior

STATISTICS = ("own", "imagenet")
DTYPES = ("float32", "bfloat16")


def open_prior(config: Mapping[str, Any]) -> SemanticPrior:
    """The prior from images.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`.

    Returns:
        The prior. Its `arrays` are {"encoder": weights, "bank": `jaxrecon.priors.bank.Bank`}, and
        what `redraw` gives stands in the place of all of them.

    Raises:
        InputError: a setting is not usable; weights or embeddings are missing or damaged; the
            embeddings are those of another encoder, or of other layers or pixels; one class of
            them is empty.
    """
    file = open_embeddings(config["embeddings"])
    prior, encoder = _open_encoder(config)
    require_same_encoder(file, provenance(prior, encoder))
    components = tuple(int(count) for count in config["components"]) or None
    whole = load_bank(file, prior.levels, components)
    memory = int(config["memory"])
    bank = draw_images(whole, memory, 0)

    def arrays_of(bank: Bank) -> dict[str, PyTree]:
        return {"encoder": encoder.parameters, "bank": bank}

    def redraw(seed: int) -> PyTree:
        return arrays_of(draw_images(whole, memory, seed))

    def loss(arrays: PyTree, images: Complex[Array, "batch height width"]) -> PriorLoss:
        embeddings = embed(prior, arrays["encoder"], images)
        total, levels = semantic_loss(prior, arrays["bank"], embeddings)
        vectors = (mean_direction(tokens) for tokens in embeddings)
        return PriorLoss(total, levels, dict(zip(prior.levels, vectors, strict=True)))

    return SemanticPrior(
        name=encoder.description,
        is_random=encoder.sha256 is None,
        levels=prior.levels,
        arrays=arrays_of(bank),
        loss=loss,
        references={level: read_references(file, level) for level in prior.levels},
        provenance={
            **dataclasses.asdict(provenance(prior, encoder, file.provenance.details)),
            "embeddings": str(file.path),
            "images": file.images,
            "images_at_once": {
                POSITIVE: len(bank[0].positives),
                NEGATIVE: len(bank[0].negatives),
            },
            "reference_bytes": bank_bytes(bank),
            "components": list(components or ()),
            "contrast": dataclasses.asdict(prior.contrast),
            "level_weights": list(prior.weights),
            "dtype": config["encoder"]["dtype"],
        },
        redraw=None if bank is whole else redraw,
    )


def open_embedder(config: Mapping[str, Any]) -> Embedder:
    """The encoder of the prior from images; `config.embeddings` need not be there.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`.

    Raises:
        InputError: a setting is not usable, or weights are missing or damaged.
    """
    prior, encoder = _open_encoder(config)

    def embed_images(
        arrays: PyTree,
        images: Complex[Array, "batch height width"],
        _seeds: Integer[Array, " batch"],
    ) -> tuple[Float[Array, "batch tokens channels"], ...]:
        return embed(prior, arrays, images)

    details = {"dtype": config["encoder"]["dtype"]}
    return Embedder(
        name=encoder.description,
        provenance=provenance(prior, encoder, details),
        arrays=encoder.parameters,
        embed=embed_images,
    )


def open_embeddings(name: str) -> EmbeddingFile:
    """The file of embeddings that an experiment names.

    Args:
        name: of the file; "" for none.

    Raises:
        InputError: there is none, or it is damaged; the message holds the command that makes it.
    """
    path = Path(name)
    if not name or not path.is_file():
        raise InputError(
            f"prior.embeddings: expected a file of embeddings, found "
            f"{f'nothing at {name}' if name else 'none'}; make it with: python -m jaxrecon.embed "
            f"--config EXPERIMENT.py --config.auxiliary.root=FOLDER --output {name or 'FILE.h5'}"
        )
    return check_embeddings(path)


def _open_encoder(config: Mapping[str, Any]) -> tuple[ImagePrior, Encoder]:
    """The prior without its references, and its encoder's weights."""
    settings = config["encoder"]
    require_choice("statistics", config["statistics"], STATISTICS)
    require_choice("encoder.dtype", settings["dtype"], DTYPES)
    is_tower = settings["architecture"] in ARCHITECTURES
    spec = janus_spec(settings).vision if is_tower else _published(settings).spec
    layers = tuple(int(layer) for layer in config["layers"]) or relative_layers(spec.depth)
    size = int(config["image_size"]) or spec.image_size
    dtype = jnp.dtype(settings["dtype"])
    weights = tuple(float(weight) for weight in config["level_weights"])
    if len(weights) != len(layers):
        raise InputError(
            f"prior.level_weights: expected one for each of the layers {layers}, found {weights}"
        )
    if is_tower:
        encoder = open_tower(settings, layers, size, dtype)
    else:
        encoder = open_encoder(
            settings["weights"], _published(settings), layers, size, dtype, int(settings["seed"])
        )
    statistics = IMAGENET if config["statistics"] == "imagenet" else encoder.statistics
    prior = ImagePrior(
        network=VisionTransformer(spec, layers, size, dtype),
        preprocessing=Preprocessing(config["preprocessing"], size, statistics),
        contrast=contrast_of(config),
        weights=weights,
    )
    return prior, encoder


def _published(settings: Mapping[str, Any]) -> PublishedEncoder:
    name = settings["architecture"]
    if name not in PUBLISHED:
        raise InputError(
            f"prior.encoder.architecture: expected one of {', '.join([*PUBLISHED, *ARCHITECTURES])}"
            f", found {name!r}"
        )
    return PUBLISHED[name]


def require_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    """See that a setting of the prior is one of some.

    Raises:
        InputError: it is another.
    """
    if value not in choices:
        raise InputError(f"prior.{field}: expected one of {', '.join(choices)}, found {value!r}")


def read_references(file: EmbeddingFile, level: str) -> References:
    """One vector for each auxiliary embedding, a few in memory at a time.

    Args:
        file: see `check_embeddings`.
        level: one of the file's.
    """

    def vectors(kind: str) -> np.ndarray:
        blocks = read_blocks(file, kind, level)
        return np.concatenate([np.asarray(_mean_direction(block)) for block in blocks])

    return References(vectors(POSITIVE), vectors(NEGATIVE))


_mean_direction = jax.jit(mean_direction)
