"""Methods judged on data sets: numbers and pictures."""

import contextlib
import dataclasses
import functools
from collections.abc import Generator, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, PyTree, UInt8
from tqdm import tqdm

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.plan import SliceReference
from jaxrecon.metrics.protocol import FileScores, Protocol, SliceScores
from jaxrecon.metrics.results import Row
from jaxrecon.metrics.rows import Origin, result_rows
from jaxrecon.metrics.scoring import (
    ZERO_FILLED,
    Batch,
    HostBatch,
    Reconstruct,
    ScoredBatch,
    make_score_step,
    score_batch,
    score_batches,
    zero_filled_images,
)
from jaxrecon.physics.espirit import column_calibration, espirit_maps, fitting_kernel
from jaxrecon.physics.sampling import SamplingMask
from jaxrecon.training.compilation import CompiledByShape
from jaxrecon.training.datasets import TestSet
from jaxrecon.training.panel import draw_panel
from jaxrecon.training.parallel import DATA_AXIS, replicate, shard_batch
from jaxrecon.training.settings import Setting, file_masks, settings_of

Image = Float32[np.ndarray, "_ _"]


@dataclasses.dataclass(frozen=True, eq=False)
class JudgedMethod:
    """A way to reconstruct that is judged.

    Attributes:
        name: stands in results.
        reconstruct: pure function of the variables and a batch to magnitude images.
        variables: handed to it, so that programs do not hold them as constants.
        kind: methods of one name and kind differ in their variables alone and share programs.
        run: folder of its network; None for a method without one.
        needs_maps: whether the batch brings "maps", complex sensitivity maps like the k-space, by
            ESPIRiT from the calibration columns and at least 24 rows.
    """

    name: str
    reconstruct: Reconstruct
    variables: PyTree = dataclasses.field(default_factory=dict)
    kind: Hashable = None
    run: str | None = None
    needs_maps: bool = False


ZERO_FILLED_METHOD = JudgedMethod(ZERO_FILLED, zero_filled_images)


def network_reconstruction(model: nn.Module) -> Reconstruct:
    """A network as a function of its variables and a batch.

    Args:
        model: see `jaxrecon.models.build.build_model`.
    """

    def reconstruct(variables: PyTree, batch: Batch) -> Array:
        return model.apply(variables, batch["kspace"], batch["mask"], batch["acs"])

    return reconstruct


class Evaluator:
    """Scores and draws reconstructions beside the zero-filled images.

    Methods given together share one program for each shape of k-space.
    """

    def __init__(self, mesh: Mesh):
        """Compile nothing before it is needed.

        Args:
            mesh: of the devices that share each batch.
        """
        self._mesh = mesh
        self._steps: dict[Hashable, CompiledByShape] = {}
        self._map_steps: dict[int, CompiledByShape] = {}  # by the number of calibration columns
        self._weights: dict[str, PyTree] = {}  # of protocols, by name

    @property
    def programs(self) -> int:
        """Number of programs compiled."""
        return sum(step.programs for step in self._all_steps)

    @property
    def compile_seconds(self) -> float:
        """Time spent on compiling."""
        return sum(step.seconds for step in self._all_steps)

    @property
    def _all_steps(self) -> list[CompiledByShape]:
        return [*self._steps.values(), *self._map_steps.values()]

    def _run(
        self, methods: Sequence[JudgedMethod], protocol: Protocol, batch: HostBatch
    ) -> dict[str, dict[str, Any]]:
        """Images and scores of a batch by method, being computed; see `make_score_step`."""
        key = (protocol.name, tuple((method.name, method.kind) for method in methods))
        if key not in self._steps:
            functions = {method.name: method.reconstruct for method in methods}
            # Results go to every device, so that every process of a multi-host job sees them.
            whole = NamedSharding(self._mesh, PartitionSpec())
            step = make_score_step(functions, protocol)
            self._steps[key] = CompiledByShape(step, out_shardings=whole)
            self._weights[protocol.name] = replicate(protocol.weights, self._mesh)
        variables = {method.name: method.variables for method in methods}
        weights, placed = self._weights[protocol.name], shard_batch(batch, self._mesh)
        if any(method.needs_maps for method in methods):
            placed["maps"] = self._sensitivity_maps(placed["kspace"], int(batch["acs"].min()))
        results = self._steps[key](variables, weights, placed)
        # A compiled program sorts what it returns by name.
        return {method.name: results[method.name] for method in methods}

    def _sensitivity_maps(self, kspace: Array, acs: int) -> Array:
        if acs not in self._map_steps:
            calibration = column_calibration(acs, kspace.shape[-2])
            estimate = functools.partial(
                espirit_maps, calibration=calibration, kernel=fitting_kernel(calibration)
            )
            split = NamedSharding(self._mesh, PartitionSpec(DATA_AXIS))
            self._map_steps[acs] = CompiledByShape(estimate, out_shardings=split)
        return self._map_steps[acs](kspace)

    def batches(
        self,
        methods: Sequence[JudgedMethod],
        pipeline: Pipeline,
        protocol: Protocol,
        *,
        label: str = "",
        done: int = 0,
        threads: int = 2,
        workers: int = 0,
    ) -> Generator[ScoredBatch, None, None]:
        """Reconstruct and score all slices, batch by batch; the zero-filled image comes first.

        Args:
            methods: what to judge beside the zero-filled image.
            pipeline: of the slices that the protocol selects.
            protocol: the judge.
            label: of the progress bar; empty for none.
            done: slices that the bar counts as done before.
            threads: that read.
            workers: processes that read.

        Raises:
            InputError: a slice cannot be read or judged, or a reconstruction is not finite.
        """
        score = functools.partial(self._run, [ZERO_FILLED_METHOD, *methods], protocol)
        scored = score_batches(score, pipeline, protocol, threads=threads, workers=workers)
        with contextlib.closing(scored), tqdm(
            total=done + len(pipeline.slices), initial=done, desc=label, unit="slice",
            disable=None if label else True, leave=False,
        ) as bar:  # fmt: skip
            for batch in scored:
                yield batch
                bar.update(len(batch.slices))

    def score(
        self,
        methods: Sequence[JudgedMethod],
        pipeline: Pipeline,
        protocol: Protocol,
        **options: Any,
    ) -> dict[str, list[FileScores]]:
        """Metrics of every file by method, the zero-filled image first; see `batches`."""
        found = _collect(self.batches(methods, pipeline, protocol, **options))
        return {method: protocol.summarise(scores) for method, scores in found.items()}

    def test(
        self,
        methods: Sequence[JudgedMethod],
        test_set: TestSet,
        *,
        batch_size: int,
        coil_multiple: int = 1,
        threads: int = 2,
        workers: int = 0,
    ) -> list[Row]:
        """Rows of results for one data set, one per setting and method.

        Args:
            methods: what to judge beside the zero-filled image.
            test_set: the data set.
            batch_size: slices at a time, over all devices and processes.
            coil_multiple: see `Pipeline`.
            threads: that read.
            workers: processes that read.

        Raises:
            InputError: a slice cannot be read or judged, or a reconstruction is not finite.
        """
        rows = []
        for setting in settings_of(test_set):
            pipeline = setting.pipeline(batch_size=batch_size, coil_multiple=coil_multiple)
            scores = _collect(
                self.batches(
                    methods,
                    pipeline,
                    test_set.protocol,
                    label=f"{test_set.name} {setting.name}",
                    threads=threads,
                    workers=workers,
                )
            )
            rows += rows_of(setting, pipeline.slices, file_masks(pipeline), scores, methods)
        return rows

    def panel(
        self, methods: Sequence[JudgedMethod], pipeline: Pipeline, protocol: Protocol, slices: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of a few slices, spread evenly over the pipeline's batches.

        Args:
            methods: the first of them is drawn beside the target and the zero-filled image.
            pipeline: of the slices to choose from.
            protocol: judges them; it shares its programs with scoring.
            slices: how many; fewer where there are fewer batches.
        """
        count = min(slices, pipeline.batches_per_epoch)
        positions = np.linspace(0, pipeline.batches_per_epoch - 1, count).round().astype(int)
        drawn: list[tuple[Image, Image, Image, str]] = []
        score = functools.partial(self._run, [ZERO_FILLED_METHOD, *methods], protocol)
        for position in positions:
            batch = score_batch(score, pipeline, protocol, int(position))
            images = batch.images(0)
            first = batch.slices[0]
            title = slice_title(first.volume.name, first.index)
            drawn.append((batch.target(0), images[methods[0].name], images[ZERO_FILLED], title))
        return draw_panel(*zip(*drawn, strict=True))

    def test_panel(
        self,
        methods: Sequence[JudgedMethod],
        test_set: TestSet,
        slices: int,
        *,
        batch_size: int,
        coil_multiple: int = 1,
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of a few slices of a data set at the first of its settings; see `panel`."""
        setting = settings_of(test_set)[0]
        pipeline = setting.pipeline(batch_size=batch_size, coil_multiple=coil_multiple)
        return self.panel(methods, pipeline, test_set.protocol, slices)


def rows_of(
    setting: Setting,
    slices: Sequence[SliceReference],
    masks: Mapping[str, SamplingMask],
    scores: Mapping[str, Sequence[SliceScores]],
    methods: Sequence[JudgedMethod],
) -> list[Row]:
    """Rows of results of one setting, one per method.

    Args:
        setting: the data set and its masks.
        slices: the judged slices.
        masks: of every file.
        scores: of every slice, by method.
        methods: that were judged.
    """
    test_set = setting.test_set
    return result_rows(
        scores,
        slices,
        masks,
        test_set.protocol,
        Origin(test_set.name, test_set.anatomy, test_set.subset, test_set.origin),
        acceleration=setting.acceleration,
        center_fraction=setting.center_fraction,
        runs={method.name: method.run for method in methods},
    )


def slice_title(file: str, index: int) -> str:
    """A slice's name over a picture, in two lines.

    Args:
        file: name of its file.
        index: its place in the file.
    """
    # The last two parts tell files apart: "P001/cine_sax.mat".
    return f"{'/'.join(file.split('/')[-2:])}\nslice {index}"


def _collect(batches: Iterable[ScoredBatch]) -> dict[str, list[SliceScores]]:
    scores: dict[str, list[SliceScores]] = {}
    for batch in batches:
        for method, found in batch.scores.items():
            scores.setdefault(method, []).extend(found)
    return scores
