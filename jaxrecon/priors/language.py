"""The prior from images and language as a plug-in: a configuration becomes a model that is asked.

Feng et al. 2025, arXiv:2511.19641. The references are embeddings of a few auxiliary images, each
under many perturbations of the prompt (`jaxrecon.priors.language_embedding`); the reconstruction is
seen with the plain prompt (`jaxrecon.priors.language_prior`).
"""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float32, Integer, PyTree

from jaxrecon.encoders.janus import Janus
from jaxrecon.encoders.janus_memory import gradient_memory
from jaxrecon.encoders.janus_prompt import IMAGE, image_question, open_tokenizer
from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.encoders.janus_store import JanusWeights
from jaxrecon.errors import InputError
from jaxrecon.priors.bank import Bank, bank_bytes, load_bank
from jaxrecon.priors.contrastive import contrast_of, contrastive_loss
from jaxrecon.priors.embedder import Embedder
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    EmbeddingFile,
    Provenance,
    require_same_encoder,
)
from jaxrecon.priors.image import open_embeddings, read_references, require_choice
from jaxrecon.priors.image_prior import mean_direction
from jaxrecon.priors.janus_weights import janus_spec, open_weights
from jaxrecon.priors.language_embedding import (
    Answering,
    Perturbing,
    answers,
    perturbed_embeddings,
)
from jaxrecon.priors.language_prior import LEVEL, LanguagePrior, embed
from jaxrecon.priors.preprocessing import Preprocessing
from jaxrecon.priors.projection import project
from jaxrecon.priors.semantic_prior import PriorLoss, SemanticPrior

DTYPES = ("float32", "bfloat16")

# What must be the same in a file of embeddings, beside the model and its pixels.
_PROMPT, _TOKENS = "prompt", "prompt_tokens"


class _Opened(NamedTuple):
    """What `open_prior` and `open_embedder` share."""

    prior: LanguagePrior
    weights: JanusWeights
    answering: Answering
    provenance: Provenance
    memory: str


def open_prior(config: Mapping[str, Any]) -> SemanticPrior:
    """The prior from images and language.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`.

    Returns:
        The prior. Its `arrays` are {"encoder": weights, "bank": `jaxrecon.priors.bank.Bank`}.

    Raises:
        InputError: there is no prompt, or another setting is not usable; weights, tokenizer or
            embeddings are missing or damaged; the embeddings are those of another model, of other
            pixels or of another prompt; one class of them is empty.
    """
    file = open_embeddings(config["embeddings"])
    prior, weights, answering, about, memory = _open(config)
    _require_same_prompt(file, about)
    require_same_encoder(file, about)
    components = tuple(int(count) for count in config["components"]) or None
    bank = load_bank(file, (LEVEL,), components)
    contrast = contrast_of(config)

    def loss(arrays: PyTree, images: Complex[Array, "batch height width"]) -> PriorLoss:
        tokens = embed(prior, arrays["encoder"], images)
        (level,) = arrays["bank"]
        total = contrastive_loss(
            project(tokens, level.projection),
            jnp.asarray(level.positives),
            jnp.asarray(level.negatives),
            contrast,
        )
        return PriorLoss(total, total[:, None], {LEVEL: mean_direction(tokens)})

    def say(arrays: PyTree, images: Complex[Array, "batch height width"]) -> list[str]:
        return answers(prior, answering, arrays["encoder"], images)

    return SemanticPrior(
        name=weights.description,
        is_random=weights.sha256 is None,
        levels=(LEVEL,),
        arrays={"encoder": weights.parameters, "bank": bank},
        loss=loss,
        references={LEVEL: read_references(file, LEVEL)},
        provenance={
            **dataclasses.asdict(about),
            "details": file.provenance.details,
            "prompt": config["prompt"],
            "embeddings": str(file.path),
            "images": file.images,
            "images_at_once": _counts(bank),
            "reference_bytes": bank_bytes(bank),
            "components": list(components or ()),
            "contrast": dataclasses.asdict(contrast),
            "dtype": config["encoder"]["dtype"],
        },
        answers=say,
        memory=memory,
    )


def open_embedder(config: Mapping[str, Any]) -> Embedder:
    """What embeds auxiliary images under perturbed prompts; `config.embeddings` need not be there.

    The answers to the perturbed prompts are generated, and a perturbation after which an answer
    means something else is drawn anew, see `jaxrecon.priors.language_embedding.Perturbing`.

    Args:
        config: `config.prior` of `jaxrecon.scan_config`.

    Raises:
        InputError: there is no prompt, another setting is not usable, or weights or tokenizer are
            missing or damaged.
    """
    perturbing = _perturbing(config)
    prior, weights, answering, about, memory = _open(config)
    total: collections.Counter[str] = collections.Counter()

    def embed_images(
        arrays: PyTree,
        images: Complex[Array, "batch height width"],
        seeds: Integer[Array, " batch"],
    ) -> tuple[Float32[np.ndarray, "rows 1 channels"], ...]:
        found, counts = perturbed_embeddings(prior, answering, perturbing, arrays, images, seeds)
        total.update(counts)
        return (found,)

    def say(arrays: PyTree, images: Complex[Array, "batch height width"]) -> list[str]:
        return answers(prior, answering, arrays, images)

    details = {**about.details, "dtype": config["encoder"]["dtype"]}
    return Embedder(
        name=weights.description,
        provenance=dataclasses.replace(about, details=details),
        arrays=weights.parameters,
        embed=embed_images,
        rows_per_image=max(perturbing.count, 1),
        is_traceable=False,
        answers=say,
        notes=lambda: {"perturbations": dict(total)},
        memory=memory,
    )


def _open(config: Mapping[str, Any]) -> _Opened:
    settings = config["encoder"]
    require_choice("encoder.dtype", settings["dtype"], DTYPES)
    prompt = str(config["prompt"]).strip()
    if not prompt:
        raise InputError("prior.prompt: expected a question about an image, found none")
    if int(config["answer_tokens"]) < 1:
        raise InputError(
            f"prior.answer_tokens: expected at least 1, found {config['answer_tokens']}"
        )
    spec, dtype = janus_spec(settings), jnp.dtype(settings["dtype"])
    tokenizer = open_tokenizer(config["tokenizer"] or settings["weights"], spec)
    message = prompt if IMAGE in prompt else image_question(prompt)
    prompts = tokenizer.prompts([message])
    weights = open_weights(settings, dtype)
    size = int(config["image_size"]) or spec.image_size
    prior = LanguagePrior(
        network=Janus(spec, (spec.language.depth,), dtype, remat=True),
        preprocessing=Preprocessing(config["preprocessing"], size, weights.statistics),
        tokens=tuple(prompts.tokens[0].tolist()),
        slots=tuple(prompts.slots[0].tolist()),
    )
    answering = Answering(tokenizer.answers, tokenizer.end_token, int(config["answer_tokens"]))
    text = [
        token for token, is_image in zip(prior.tokens, prior.slots, strict=True) if not is_image
    ]
    about = Provenance(
        encoder=weights.description,
        encoder_sha256=weights.sha256,
        architecture=spec.to_json(),
        preprocessing=prior.preprocessing.to_json(),
        levels=(LEVEL,),
        details={_PROMPT: prompt, _TOKENS: text, "tokenizer": tokenizer.name},
    )
    return _Opened(prior, weights, answering, about, _memory(spec, len(prior.tokens), dtype))


def _memory(spec: JanusSpec, tokens: int, dtype: jnp.dtype) -> str:
    one, two = (gradient_memory(spec, n, tokens, dtype, images=n) for n in (1, 2))
    further = (two.total - one.total) / 1e9
    return f"{one} for one image; each further image at once {further:.2f} GB"


def _perturbing(config: Mapping[str, Any]) -> Perturbing:
    for field in ("perturbations", "perturbation_std", "draws"):
        if config[field] < 0:
            raise InputError(f"prior.{field}: expected 0 or more, found {config[field]}")
    return Perturbing(
        count=int(config["perturbations"]),
        std=float(config["perturbation_std"]),
        draws=int(config["draws"]),
        meanings=tuple(config["meanings"]),
    )


def _require_same_prompt(file: EmbeddingFile, expected: Provenance) -> None:
    details = file.provenance.details
    if LEVEL not in file.provenance.levels or _PROMPT not in details:
        raise InputError(
            f"{file.path}: expected embeddings of images with a prompt, found those of the levels "
            f"{', '.join(file.provenance.levels)}"
        )
    if details[_PROMPT] != expected.details[_PROMPT]:
        raise InputError(
            f"{file.path}: expected embeddings with the prompt {expected.details[_PROMPT]!r}, "
            f"found those with {details[_PROMPT]!r}"
        )
    if details.get(_TOKENS) != expected.details[_TOKENS]:
        raise InputError(
            f"{file.path}: expected embeddings with the tokens of "
            f"{expected.details['tokenizer']}, found those of {details.get('tokenizer')}"
        )


def _counts(bank: Bank) -> dict[str, int]:
    (level,) = bank
    return {POSITIVE: len(level.positives), NEGATIVE: len(level.negatives)}
