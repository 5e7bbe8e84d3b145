"""Reconstructing and scoring a data set, batch by batch, beside its zero-filled baseline."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Complex64, Float32, PyTree, Shaped

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.plan import Plan, SliceReference
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocol import Protocol, SliceScores
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.zero_filled import zero_filled

Batch = Mapping[str, Array]
HostBatch = Mapping[str, Shaped[np.ndarray, "..."]]
Reconstruct = Callable[[PyTree, Batch], Array]
Image = Float32[np.ndarray, "_ _"]
Results = Mapping[str, Mapping[str, Any]]
Score = Callable[[HostBatch], Results]

ZERO_FILLED = "zero_filled"


def zero_filled_images(_variables: PyTree, batch: Batch) -> Array:
    """The zero-filled image as a method."""
    return zero_filled(batch["kspace"])


def make_score_step(
    reconstruct: Mapping[str, Reconstruct], protocol: Protocol
) -> Callable[[Mapping[str, PyTree], PyTree, Batch], dict[str, dict[str, Any]]]:
    """The function that reconstructs and scores one batch; jit it.

    Args:
        reconstruct: by method, a function of the method's variables and a batch to images.
        protocol: the judge.

    Returns:
        A function of the variables by method, the protocol's weights and a batch to, by method,
        the "images" and the "scores" by name. `region` of the batch is int32 (batch, 2), see
        `Protocol.region`.
    """

    def score_step(
        variables: Mapping[str, PyTree], weights: PyTree, batch: Batch
    ) -> dict[str, dict[str, Any]]:
        results = {}
        for method, function in reconstruct.items():
            images = function(variables.get(method, {}), batch)
            scores = protocol.device_scores(
                images, batch["target"], batch["region"], batch["data_range"], weights
            )
            results[method] = {"images": images, "scores": scores}
        return results

    return score_step


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredBatch:
    """What was found for the slices of one batch.

    Attributes:
        slices: the slices that count; repeats that fill a batch do not.
        scores: of each of them, by method.

    Images are there in jobs of one process only, whose batches are whole.
    """

    slices: Sequence[SliceReference]
    scores: Mapping[str, Sequence[SliceScores]]
    _places: Sequence[int]
    _batch: HostBatch
    _images: Mapping[str, Array]

    def target(self, number: int) -> Image:
        """The target of slice `number` of the batch, cut to the size of its file's target."""
        return self._cut(self._batch["target"][self._places[number]], number)

    def images(self, number: int) -> dict[str, Image]:
        """Every method's image of slice `number`, cut likewise; fetches them from the device."""
        place = self._places[number]
        return {
            method: self._cut(np.asarray(images)[place], number)
            for method, images in self._images.items()
        }

    def acs(self, number: int) -> int:
        """Calibration columns of slice `number`."""
        return int(self._batch["acs"][self._places[number]])

    def _cut(self, image: Image, number: int) -> Image:
        height, width = self._batch["crop"][self._places[number]]
        return center_crop(image, int(height), int(width))


def score_batches(
    score: Score,
    pipeline: Pipeline,
    protocol: Protocol,
    *,
    threads: int = 2,
    workers: int = 0,
) -> Generator[ScoredBatch, None, None]:
    """Score every slice of a pipeline, in the order of its evaluation plan.

    Args:
        score: what `make_score_step` made, compiled and with its variables, of a batch on the host;
            its results are on every process and may still be being computed.
        pipeline: of the slices that the protocol selects, on this process.
        protocol: the judge.
        threads: that read, see `Pipeline.evaluation_batches`.
        workers: processes that read.

    Yields:
        One entry per batch. While one is looked at, the device computes the next.

    Raises:
        InputError: a slice cannot be read or judged, or a method's scores are no numbers.
    """
    plan = pipeline.evaluation_plan()
    batches = pipeline.evaluation_batches(threads=threads, workers=workers)
    with contextlib.closing(batches):
        started = (
            (position, batch, _start(score, pipeline, protocol, batch))
            for position, batch in enumerate(batches)
        )
        for position, batch, results in _one_ahead(started):
            yield _finish(pipeline, plan, position, batch, results)


def score_batch(score: Score, pipeline: Pipeline, protocol: Protocol, position: int) -> ScoredBatch:
    """Score batch `position` of the evaluation plan alone; see `score_batches`."""
    batch = pipeline.evaluation_batch(position)
    results = _start(score, pipeline, protocol, batch)
    return _finish(pipeline, pipeline.evaluation_plan(), position, batch, results)


def _start(score: Score, pipeline: Pipeline, protocol: Protocol, batch: HostBatch) -> Results:
    slices = [pipeline.slices[slice_id] for slice_id in batch["slice_id"]]
    _require_not_undersampled(slices, batch)
    regions = [protocol.region(reference.volume) for reference in slices]
    return score({**batch, "region": np.array(regions, np.int32)})


def _finish(
    pipeline: Pipeline, plan: Plan, position: int, batch: HostBatch, results: Results
) -> ScoredBatch:
    places = np.flatnonzero(plan.weights[position]).tolist()
    slices = [pipeline.slices[plan.slice_ids[position, place]] for place in places]
    scores: dict[str, list[SliceScores]] = {}
    for method, result in results.items():
        values = jax.device_get(result["scores"])
        for reference, place in zip(slices, places, strict=True):
            numbers = {name: float(value[place]) for name, value in values.items()}
            for name, number in numbers.items():
                if math.isnan(number):
                    raise InputError(
                        f"{reference.volume.path}: expected a finite reconstruction of slice "
                        f"{reference.index} by {method}, found NaN in its {name}"
                    )
            found = SliceScores(reference.volume.name, reference.index, numbers)
            scores.setdefault(method, []).append(found)
    images = {method: result["images"] for method, result in results.items()}
    return ScoredBatch(slices, scores, places, batch, images)


def _one_ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, each handed on only once the next one is there."""
    held = None
    for item in items:
        if held is not None:
            yield held
        held = item
    if held is not None:
        yield held


def _require_not_undersampled(slices: Sequence[SliceReference], batch: HostBatch) -> None:
    """See that files without a mask of their own hold what the drawn mask keeps.

    Where columns are missing in between, the file is undersampled and its mask was lost: every
    figure made of it would be wrong. Columns missing on the sides are ordinary zero-filling.
    """
    for reference, kspace, mask in zip(slices, batch["kspace"], batch["mask"], strict=True):
        if reference.volume.sampled or len(mask) > 1:
            continue
        kept = np.flatnonzero(mask[0])
        # A few rows tell; all are looked at only where these seem empty.
        gaps = _gaps(kspace[:, ::64, kept]) and _gaps(kspace[..., kept])
        if gaps:
            raise InputError(
                f"{reference.volume.path}: expected fully sampled k-space, or undersampled k-space "
                f"with its mask, found {gaps} of the {len(kept)} columns to keep empty and no mask"
            )


def _gaps(kspace: Complex64[np.ndarray, "coils rows columns"]) -> int:
    """Number of columns without a sample that have columns with samples on both sides."""
    acquired = np.flatnonzero(kspace.any(axis=(0, 1)))
    return int(np.ptp(acquired)) + 1 - len(acquired) if len(acquired) else 0
