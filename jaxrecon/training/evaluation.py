"""A network judged on data sets: numbers and pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree, UInt8
from tqdm import tqdm

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.metrics.protocols import FileScores, Protocol
from jaxrecon.metrics.results import Row, result_rows
from jaxrecon.metrics.scoring import Batch, make_score_step, score_data_set
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.zero_filled import zero_filled
from jaxrecon.training.compilation import CompiledByShape
from jaxrecon.training.datasets import TestSet, evaluation_masks, evaluation_pipeline
from jaxrecon.training.panel import draw_panel
from jaxrecon.training.parallel import shard_batch


class Evaluator:
    """Scores and draws a network's reconstructions beside the zero-filled images.

    Attributes:
        method: name of the network in results.
    """

    def __init__(self, model: nn.Module, method: str, mesh: Mesh):
        """Wrap a network; nothing is compiled before it is needed.

        Args:
            model: see `jaxrecon.models.build.build_model`.
            method: its name in results.
            mesh: of the devices that share each batch.
        """
        self.method = method
        self._mesh = mesh

        def reconstruct(variables: PyTree, batch: Batch) -> Array:
            return model.apply(variables, batch["kspace"], batch["mask"], batch["acs"])

        def draw(variables: PyTree, batch: Batch) -> tuple[Array, Array]:
            return reconstruct(variables, batch), zero_filled(batch["kspace"])

        self._reconstruct = reconstruct
        self._draw = self._compiled(draw)
        self._score_steps: dict[str, CompiledByShape] = {}

    def _compiled(self, function: Callable[..., PyTree]) -> CompiledByShape:
        # Results go to every device, so that every process of a multi-host job sees them whole.
        whole = NamedSharding(self._mesh, PartitionSpec())
        return CompiledByShape(function, out_shardings=whole)

    @property
    def programs(self) -> int:
        """Number of programs compiled for scoring."""
        return sum(step.programs for step in self._score_steps.values())

    def score(
        self,
        variables: PyTree,
        pipeline: Pipeline,
        protocol: Protocol,
        *,
        label: str = "",
        threads: int = 2,
        workers: int = 0,
    ) -> dict[str, list[FileScores]]:
        """Metrics of every file by method, the zero-filled image among them.

        Args:
            variables: of the network.
            pipeline: of the slices that the protocol selects.
            protocol: the judge.
            label: of the progress bar; empty for none.
            threads: that read.
            workers: processes that read.
        """
        if protocol.name not in self._score_steps:
            step = make_score_step({self.method: self._reconstruct}, protocol)
            self._score_steps[protocol.name] = self._compiled(step)
        total = len(pipeline.slices)
        with tqdm(
            total=total, desc=label, unit="slice", disable=None if label else True, leave=False
        ) as bar:
            return score_data_set(
                self._score_steps[protocol.name],
                variables,
                pipeline,
                protocol,
                place=lambda batch: shard_batch(batch, self._mesh),
                threads=threads,
                workers=workers,
                report=lambda done: bar.update(done - bar.n),
            )

    def test(
        self,
        variables: PyTree,
        test_set: TestSet,
        *,
        batch_size: int,
        coil_multiple: int = 1,
        threads: int = 2,
        workers: int = 0,
    ) -> list[Row]:
        """Rows of results for one data set, one per method and acceleration.

        Args:
            variables: of the network.
            test_set: the data set.
            batch_size: slices at a time, over all devices and processes.
            coil_multiple: see `Pipeline`.
            threads: that read.
            workers: processes that read.
        """
        rows = []
        for masks in evaluation_masks(test_set.mask):
            pipeline = evaluation_pipeline(
                test_set.volumes,
                masks,
                test_set.protocol,
                batch_size=batch_size,
                coil_multiple=coil_multiple,
            )
            acceleration = float(masks.accelerations[0])
            scores = self.score(
                variables,
                pipeline,
                test_set.protocol,
                label=f"{test_set.name} R={acceleration:g}",
                threads=threads,
                workers=workers,
            )
            rows += result_rows(
                scores,
                pipeline,
                data_set=test_set.name,
                anatomy=test_set.anatomy,
                mask=masks.family,
                acceleration=acceleration,
                protocol=test_set.protocol.name,
            )
        return rows

    def panel(
        self, variables: PyTree, pipeline: Pipeline, slices: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of a few slices, spread evenly over the pipeline's batches.

        Args:
            variables: of the network.
            pipeline: of the slices to choose from.
            slices: how many; fewer where there are fewer batches.
        """
        count = min(slices, pipeline.batches_per_epoch)
        positions = np.linspace(0, pipeline.batches_per_epoch - 1, count).round().astype(int)
        drawn: list[Sequence[Any]] = []
        plan = pipeline.evaluation_plan()
        for position in positions:
            batch = pipeline.evaluation_batch(int(position))
            images = jax.device_get(self._draw(variables, shard_batch(batch, self._mesh)))
            reference = pipeline.slices[plan.slice_ids[position, 0]]
            height, width = batch["crop"][0]
            target, reconstruction, zeros = (
                center_crop(image[0], int(height), int(width))
                for image in (batch["target"], *images)
            )
            # The last two parts tell files apart: "P001/cine_sax.mat".
            name = "/".join(reference.volume.name.split("/")[-2:])
            title = f"{name}\nslice {reference.index}"
            drawn.append((target, reconstruction, zeros, title))
        return draw_panel(*zip(*drawn, strict=True))

    def test_panel(
        self, variables: PyTree, test_set: TestSet, slices: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of a few slices of a data set, at the first of its accelerations."""
        masks = evaluation_masks(test_set.mask)[0]
        pipeline = evaluation_pipeline(
            test_set.volumes, masks, test_set.protocol, batch_size=self._mesh.size, coil_multiple=1
        )
        return self.panel(variables, pipeline, slices)
