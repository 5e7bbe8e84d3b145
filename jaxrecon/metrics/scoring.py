"""Scoring a reconstruction and its zero-filled baseline over a data set."""

import contextlib
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Array, Int32, PyTree

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.metrics.protocols import FileScores, Protocol, SliceScores
from jaxrecon.physics.zero_filled import zero_filled

Batch = Mapping[str, Array]

ZERO_FILLED = "zero_filled"


def make_score_step(
    reconstruct: Mapping[str, Callable[[PyTree, Batch], Array]], protocol: Protocol
) -> Callable[[PyTree, Batch], dict[str, dict[str, Array]]]:
    """The function that scores one batch; jit it.

    Args:
        reconstruct: by method, a function of the network's variables and a batch to images.
        protocol: the judge.

    Returns:
        A function of variables and batch to scores by method, the zero-filled image always among
        them; `region` of the batch is int32 (batch, 2), see `judged_regions`.
    """

    def score_step(variables: PyTree, batch: Batch) -> dict[str, dict[str, Array]]:
        images = {ZERO_FILLED: zero_filled(batch["kspace"])}
        images |= {method: function(variables, batch) for method, function in reconstruct.items()}
        return {
            method: protocol.device_scores(
                image, batch["target"], batch["region"], batch["data_range"]
            )
            for method, image in images.items()
        }

    return score_step


def judged_regions(
    pipeline: Pipeline, protocol: Protocol, slice_ids: Int32[np.ndarray, " batch"]
) -> Int32[np.ndarray, "batch 2"]:
    """Height and width of each slice's judged region, at most its k-space's.

    Raises:
        InputError: a region is too small for the protocol.
    """
    regions = []
    for slice_id in slice_ids:
        volume = pipeline.slices[slice_id].volume
        height, width = protocol.region(volume)
        regions.append((min(height, volume.height), min(width, volume.width)))
    return np.array(regions, np.int32)


def score_data_set(
    score_step: Callable[[PyTree, Batch], Mapping[str, Mapping[str, Array]]],
    variables: PyTree,
    pipeline: Pipeline,
    protocol: Protocol,
    *,
    place: Callable[[Mapping[str, np.ndarray]], Batch],
    threads: int = 2,
    workers: int = 0,
    report: Callable[[int], None] | None = None,
) -> dict[str, list[FileScores]]:
    """Score every slice of a pipeline.

    Args:
        score_step: as `make_score_step` made it, compiled, its results on every process.
        variables: handed to it.
        pipeline: of the slices that the protocol selects, on this process.
        protocol: the judge.
        place: puts this process's share of a batch on the devices.
        threads: that read, see `Pipeline.evaluation_batches`.
        workers: processes that read.
        report: called after each batch with the number of slices scored so far.

    Returns:
        The files' metrics by method, the zero-filled image first.

    Raises:
        InputError: a slice cannot be read or judged.
    """
    rows: dict[str, list[SliceScores]] = {}
    plan = pipeline.evaluation_plan()
    done = 0
    batches = pipeline.evaluation_batches(threads=threads, workers=workers)
    with contextlib.closing(batches):
        for position, batch in enumerate(batches):
            regions = judged_regions(pipeline, protocol, batch["slice_id"])
            scores = jax.device_get(score_step(variables, place({**batch, "region": regions})))
            for place_in_batch, slice_id in enumerate(plan.slice_ids[position]):
                if not plan.weights[position, place_in_batch]:
                    continue
                reference = pipeline.slices[slice_id]
                for method, values in scores.items():
                    numbers = {name: float(value[place_in_batch]) for name, value in values.items()}
                    row = SliceScores(reference.volume.name, reference.index, numbers)
                    rows.setdefault(method, []).append(row)
                done += 1
            if report is not None:
                report(done)
    methods = sorted(rows, key=lambda method: (method != ZERO_FILLED, method))
    return {method: protocol.summarise(rows[method]) for method in methods}
