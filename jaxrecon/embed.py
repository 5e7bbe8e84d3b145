r"""Embed auxiliary images, the references of a semantic prior: `python -m jaxrecon.embed`.

    python -m jaxrecon.embed --config experiments/semantic_inr.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee.h5

Reads fully sampled scans, undersamples them by the masks of `config.auxiliary.mask`, and writes
what the encoder of `config.prior` sees in both images of every slice. A reconstruction with the
same `config.prior` takes the file as `--config.prior.embeddings=priors/knee.h5`.
"""

import contextlib
import dataclasses
import functools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Array, PyTree
from ml_collections import config_flags
from tqdm import tqdm

from jaxrecon import command_line
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.plan import SliceReference
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import SamplingMask
from jaxrecon.priors import auxiliary
from jaxrecon.priors.contrastive import Contrast, contrast_of
from jaxrecon.priors.embedder import Embedder, open_embedder
from jaxrecon.priors.embeddings import (
    CLASSES,
    NEGATIVE,
    POSITIVE,
    EmbeddingFile,
    EmbeddingWriter,
    check_embeddings,
    create_embeddings,
)
from jaxrecon.priors.separation import separation
from jaxrecon.scan_specific.experiment_file import require_scan_experiment
from jaxrecon.training.auxiliary_data import open_auxiliary
from jaxrecon.training.compilation import use_compilation_cache
from jaxrecon.training.datasets import origin_of, training_masks
from jaxrecon.training.provenance import provenance

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Experiment: a file with get_config().", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File of embeddings to write (.h5).", required=True, flag_values=_FLAGS
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 4, "Slices at a time, two images each.", 1, flag_values=_FLAGS
)
_THREADS = flags.DEFINE_integer("threads", 2, "Threads that read.", 0, flag_values=_FLAGS)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the file.", flag_values=_FLAGS)
flags.mark_flag_as_required("config", flag_values=_FLAGS)


class Batch(NamedTuple):
    """Slices to be embedded.

    Attributes:
        arrays: what `Pipeline` made of them.
        slices: the slices, without the repeats that fill the batch.
        masks: their masks.
    """

    arrays: Mapping[str, np.ndarray]
    slices: Sequence[SliceReference]
    masks: Sequence[SamplingMask]


def main() -> None:
    """Run the program."""
    # ---- Which images ----------------------------------------------------------------------------
    config = command_line.configuration(_CONFIG)
    output = Path(_OUTPUT.value)
    require_scan_experiment(config, "--config")
    if output.exists() and not _OVERWRITE.value:
        raise InputError(f"--output: expected a new file, found {output}; --overwrite replaces it")
    chosen = config.auxiliary.to_dict()
    data = open_auxiliary(chosen)
    pipelines = auxiliary.plan_batches(
        data.volumes, data.slices, training_masks(chosen["mask"]), _BATCH_SIZE.value
    )
    acs = 0
    if chosen["positive"] == "tv":
        acs = auxiliary.smallest_calibration(
            {f"{file.path}, slice {index}": mask for (file, index), mask in data.masks.items()}
        )
    print(f"images: {data.description}; positives {chosen['positive']}")

    # ---- The encoder -----------------------------------------------------------------------------
    use_compilation_cache()
    embedder = open_embedder(config.prior.to_dict())
    contrast = contrast_of(config.prior.to_dict())
    print(f"encoder: {embedder.name}")
    if embedder.memory:
        print(f"memory: {embedder.memory}")
    details = {
        "auxiliary": chosen,
        "prior": config.prior.to_dict(),
        "seed": config.seed,
        "files": [volume.name for volume in data.volumes],
        "origin": origin_of(data.volumes[0]),
        "effective_acceleration": data.effective_acceleration,
        **provenance(),
    }
    about = dataclasses.replace(
        embedder.provenance, details={**embedder.provenance.details, **details}
    )

    # ---- Embed -----------------------------------------------------------------------------------
    start = time.perf_counter()
    undersampled = (POSITIVE, NEGATIVE) if chosen["positive"] == "tv" else (NEGATIVE,)
    seeds = np.random.default_rng(config.seed).integers(
        2**31, size=(len(data.masks), 2), dtype=np.uint32
    )
    step = _make_step(embedder, chosen["positive"], acs)
    answers: dict[str, Counter[str]] = {kind: Counter() for kind in CLASSES}
    weights = jax.device_put(embedder.arrays)
    with (
        create_embeddings(output, about) as writer,
        tqdm(total=len(data.masks), unit="slice", disable=None, leave=False) as bar,
    ):
        for batch in _batches(pipelines):
            count = len(batch.slices)
            mine, seeds = seeds[:count], seeds[count:]
            filled = np.resize(mine, (_BATCH_SIZE.value, 2))
            levels, said = step(weights, batch.arrays, filled, count)
            _append(writer, embedder, batch, levels, undersampled)
            for kind, texts in said.items():
                answers[kind].update(texts)
            bar.update(count)
        if embedder.answers is not None:
            writer.add_details({"answers": answers})
        writer.add_details(embedder.notes())
    seconds = time.perf_counter() - start

    # ---- What it is worth ------------------------------------------------------------------------
    file = check_embeddings(output)
    print(
        f"{output}: {file.images[POSITIVE]} positive and {file.images[NEGATIVE]} negative "
        f"embeddings at {len(file.shapes)} levels, {output.stat().st_size / 1e6:,.1f} MB, "
        f"in {seconds:.0f} s"
    )
    for kind, said in answers.items():
        if said:
            common = ", ".join(f"{text!r} {number}" for text, number in said.most_common(3))
            print(f"  answers to {kind}s: {common}{' and others' if len(said) > 3 else ''}")
    for name, value in embedder.notes().items():
        print(f"  {name}: {value}")
    for level in about.levels:
        print(_separation_line(file, level, contrast))


def _batches(pipelines: Sequence[Pipeline]) -> Iterator[Batch]:
    """All slices, a batch at a time."""
    for pipeline in pipelines:
        plan = pipeline.evaluation_plan()
        read = pipeline.evaluation_batches(threads=_THREADS.value)
        with contextlib.closing(read):
            for arrays, numbers, counts in zip(read, plan.slice_ids, plan.weights, strict=True):
                # Repeats fill a batch at its end.
                numbers = numbers[counts > 0].tolist()
                yield Batch(
                    arrays,
                    [pipeline.slices[number] for number in numbers],
                    [pipeline.mask_of(number) for number in numbers],
                )


def _make_step(embedder: Embedder, positive: str, acs: int) -> Any:
    """Both images of every slice: their embeddings, and what is said of them.

    One compiled program for each shape of the batch; two where the embedder is not traceable, and
    then it sees no repeats that fill a batch.
    """

    @functools.partial(jax.jit, static_argnames="crop")
    def images_of(kspace: Array, mask: Array, target: Array, crop: tuple[int, int]) -> Any:
        if positive == "tv":
            return auxiliary.total_variation_and_zero_filled(kspace, mask, acs, crop)
        return auxiliary.target_and_zero_filled(kspace, target, crop)

    @functools.partial(jax.jit, static_argnames="crop")
    def compute(
        weights: PyTree, kspace: Array, mask: Array, target: Array, seeds: Array,
        crop: tuple[int, int],
    ) -> tuple[Array | np.ndarray, ...]:  # fmt: skip
        both = jnp.concatenate(images_of(kspace, mask, target, crop))
        return embedder.embed(weights, both, seeds.T.reshape(-1))

    def step(
        weights: PyTree, arrays: Mapping[str, np.ndarray], seeds: np.ndarray, count: int
    ) -> tuple[Any, Mapping[str, Sequence[str]]]:
        rows, columns = arrays["crop"][0].tolist()
        fields = [arrays[name] for name in ("kspace", "mask", "target")]
        said: Sequence[str] = ()
        if embedder.is_traceable:
            levels = compute(weights, *fields, seeds, (rows, columns))
        else:
            both = jnp.concatenate([x[:count] for x in images_of(*fields, (rows, columns))])
            levels = embedder.embed(weights, both, jnp.asarray(seeds[:count].T.reshape(-1)))
            if embedder.answers is not None:
                said = embedder.answers(weights, both)
        return (
            [(level[: len(level) // 2], level[len(level) // 2 :]) for level in levels],
            {POSITIVE: said[:count], NEGATIVE: said[count:]},
        )

    return step


def _append(
    writer: EmbeddingWriter,
    embedder: Embedder,
    batch: Batch,
    levels: Sequence[tuple[Array | np.ndarray, Array | np.ndarray]],
    undersampled: Sequence[str],
) -> None:
    """Write a batch, without the repeats that fill it; masks go with the classes they made."""
    repeats = embedder.rows_per_image
    rows = len(batch.slices) * repeats
    sources = [f"{source.volume.name}, slice {source.index}" for source in batch.slices]
    masks = [
        f"{mask.family}, R = {mask.acceleration:g}, effective {mask.effective_acceleration:.2f}, "
        f"ACS {mask.acs}"
        for mask in batch.masks
    ]
    for place, kind in enumerate((POSITIVE, NEGATIVE)):
        writer.append(
            kind,
            [np.asarray(pair[place])[:rows] for pair in levels],
            np.repeat(sources, repeats).tolist(),
            np.repeat(masks, repeats).tolist() if kind in undersampled else (),
        )


def _separation_line(file: EmbeddingFile, level: str, contrast: Contrast) -> str:
    tokens, width = file.shapes[level]
    found = separation(file, level, contrast)
    cosines = ", ".join(
        f"{name} {value:.3f}"
        for name, value in (
            ("of positives", found.positives),
            ("of negatives", found.negatives),
            ("between them", found.between),
        )
        if value is not None
    )
    line = f"  {level}: {tokens} tokens of {width}; mean cosine {cosines}"
    if found.held_out is None:
        return line
    held = found.held_out
    return (
        f"{line}; held-out loss of positives {held.positive:.3g}, of negatives "
        f"{held.negative:.3g}, positive nearer in {held.nearer:.0%} of pairs"
    )


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
