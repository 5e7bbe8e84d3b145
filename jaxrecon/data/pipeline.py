"""Batches of a data set as a pure function of the training step."""

from collections.abc import Callable, Sequence

import grain
import jax
import numpy as np

from jaxrecon.data.examples import Example, example_mask, make_example
from jaxrecon.data.layouts import layout
from jaxrecon.data.plan import Bucket, Plan, group_slices, list_slices, make_plan, padded_coils
from jaxrecon.data.volume import RawSlice, Volume
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec, SamplingMask


class Pipeline:
    """Batches of undersampled slices.

    Element i of the training stream is batch i % batches_per_epoch of epoch
    i // batches_per_epoch, whatever the number of threads, worker processes or hosts: resuming is
    starting at step i. All slices of a batch have the same shape.

    Attributes:
        slices: what the `slice_id` of an example stands for.
        batches_per_epoch: batches in one pass over the data.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        masks: MaskSpec | None,
        *,
        batch_size: int,
        seed: int = 0,
        coil_multiple: int = 1,
        data_range: str = "volume",
        selects: Callable[[Volume, int], bool] | None = None,
        process_index: int | None = None,
        process_count: int | None = None,
    ):
        """Plan batches; no file is opened.

        Args:
            volumes: files with a target. Their known bad slices are left out.
            masks: undersamples the slices of fully sampled files.
            batch_size: slices in a batch, over all processes together.
            seed: of the shuffling, in [0, 2**32).
            coil_multiple: coils are filled up with zeros to a multiple of it, so that files of
                different coil counts share a batch.
            data_range: see `make_example`.
            selects: whether slice `index` of a volume is used; None for all.
            process_index: which process of a multi-host job this is; default as jax knows.
            process_count: processes of the job, each loading an equal share of every batch.

        Raises:
            InputError: no slices, a file without a target or a maximum, or sizes that do not fit.
        """
        self._process_index = jax.process_index() if process_index is None else process_index
        self._process_count = jax.process_count() if process_count is None else process_count
        if batch_size < 1 or batch_size % self._process_count:
            raise InputError(
                f"batch_size: expected a positive multiple of the {self._process_count} processes, "
                f"found {batch_size}"
            )
        if coil_multiple < 1:
            raise InputError(f"coil_multiple: expected at least 1, found {coil_multiple}")
        if not 0 <= seed < 2**32:
            raise InputError(f"seed: expected a whole number in [0, 2**32), found {seed}")
        for volume in volumes:
            if not volume.has_target:
                raise InputError(
                    f"{volume.path}: expected a target or fully sampled k-space, found neither"
                )
            if data_range == "volume" and volume.maximum is None:
                raise InputError(
                    f"{volume.path}: expected the maximum of the volume, found none: "
                    "fill in the index's maxima or take data_range = 'slice'"
                )
        self.slices = list_slices(volumes, selects)
        if not self.slices:
            raise InputError("data: expected at least one good slice, found none")
        self._groups = group_slices(self.slices, coil_multiple)
        self._masks = masks
        self._batch_size = batch_size
        self._coil_multiple = coil_multiple
        self._seed = seed
        self._data_range: str = data_range
        self.batches_per_epoch = len(self.evaluation_plan().slice_ids)

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The k-space shapes of the batches, each of which compiles a program of its own."""
        return tuple(self._groups)

    def epoch_plan(self, epoch: int) -> Plan:
        """The shuffled batches of one epoch, over all processes."""
        return make_plan(list(self._groups.values()), self._batch_size, (self._seed, epoch))

    def evaluation_plan(self) -> Plan:
        """The batches of one pass in order, over all processes."""
        return make_plan(list(self._groups.values()), self._batch_size, None)

    def training_batch(self, step: int) -> Example:
        """This process's share of element `step` of the training stream.

        Raises:
            InputError: a slice cannot be read or used.
        """
        epoch, position = divmod(step, self.batches_per_epoch)
        return self._load(self.epoch_plan(epoch), position, epoch)

    def evaluation_batch(self, position: int) -> Example:
        """This process's share of a batch of the evaluation plan, with the masks of epoch 0.

        Raises:
            InputError: a slice cannot be read or used.
        """
        return self._load(self.evaluation_plan(), position, 0)

    def training_batches(
        self, start: int, stop: int, *, threads: int = 2, workers: int = 0, prefetch: int = 2
    ) -> grain.DatasetIterator:
        """Iterate over the training stream from step `start` up to, not including, `stop`.

        Args:
            start: first step; a run resumes at the step it would take next.
            stop: step after the last.
            threads: threads that read, in each worker process; 0 to read when a batch is asked for.
            workers: worker processes; 0 to read in this one. HDF5 reads one file at a time in a
                process, so that workers are what speeds up reading.
            prefetch: batches each process keeps ready.

        Returns:
            The batches; `close()` it to end the worker processes at once.
        """
        return _iterate(self.training_batch, range(start, stop), threads, workers, prefetch)

    def evaluation_batches(
        self, *, threads: int = 2, workers: int = 0, prefetch: int = 2
    ) -> grain.DatasetIterator:
        """Iterate once over the evaluation plan; arguments as for `training_batches`."""
        steps = range(self.batches_per_epoch)
        return _iterate(self.evaluation_batch, steps, threads, workers, prefetch)

    def mask_of(self, slice_id: int, epoch: int = 0) -> SamplingMask:
        """The mask in force for a slice, as `training_batch` and `evaluation_batch` apply it.

        Raises:
            InputError: the file cannot be read (only files with masks of their own are).
        """
        volume = self.slices[slice_id].volume
        own = self._read(slice_id).mask if volume.sampled else None
        return example_mask(volume, own, self._draw(slice_id, epoch))

    def _draw(self, slice_id: int, epoch: int) -> SamplingMask | None:
        volume = self.slices[slice_id].volume
        if volume.sampled or self._masks is None:
            return None
        return self._masks.draw(volume.width, volume.name, self.slices[slice_id].index, epoch)

    def _read(self, slice_id: int) -> RawSlice:
        reference = self.slices[slice_id]
        return layout(reference.volume.layout).read_slice(reference.volume, reference.index)

    def _load(self, plan: Plan, position: int, epoch: int) -> Example:
        share = self._batch_size // self._process_count
        mine = slice(self._process_index * share, (self._process_index + 1) * share)
        slice_ids, weights = plan.slice_ids[position, mine], plan.weights[position, mine]
        # Repeats that fill a batch are read once.
        examples = {
            slice_id: self._example(slice_id, epoch) for slice_id in set(slice_ids.tolist())
        }
        ordered = [examples[slice_id] for slice_id in slice_ids.tolist()]
        batch = {key: np.stack([example[key] for example in ordered]) for key in ordered[0]}
        return {**batch, "weight": weights}

    def _example(self, slice_id: int, epoch: int) -> Example:
        volume = self.slices[slice_id].volume
        return make_example(
            volume,
            self._read(slice_id),
            self._draw(slice_id, epoch),
            coils=padded_coils(volume, self._coil_multiple),
            data_range=self._data_range,
            slice_id=slice_id,
        )


def _iterate(
    load: Callable[[int], Example], steps: range, threads: int, workers: int, prefetch: int
) -> grain.DatasetIterator:
    batches = grain.MapDataset.range(steps.start, steps.stop).map(load)
    reading = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=max(threads, prefetch) if threads else 0
    )
    iterable = batches.to_iter_dataset(reading)
    if workers:
        options = grain.MultiprocessingOptions(workers, per_worker_buffer_size=max(prefetch, 1))
        iterable = iterable.mp_prefetch(options)
    return iter(iterable)
