"""Scoring one setting so that a killed evaluation goes on where it stopped."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.plan import SliceReference
from jaxrecon.metrics.example_images import ExampleImages, write_example
from jaxrecon.metrics.protocol import SliceScores
from jaxrecon.metrics.rows import in_order
from jaxrecon.metrics.scoring import ZERO_FILLED, ScoredBatch
from jaxrecon.training.datasets import evaluation_pipeline
from jaxrecon.training.evaluation import Evaluator, JudgedMethod
from jaxrecon.training.evaluation_folder import EXAMPLES, PARTIAL, RECONSTRUCTIONS, slug
from jaxrecon.training.image_store import ImageStore
from jaxrecon.training.partial_results import PartialResults
from jaxrecon.training.settings import Setting, file_masks


class SettingScores:
    """The scores of all methods in one setting, on disk batch by batch.

    Attributes:
        setting: the data set and its masks.
        methods: what is judged beside the zero-filled image.
        slices: all judged slices.
        masks: the mask of every file.
        examples: files of example images, relative to the evaluation's folder.
    """

    def __init__(
        self,
        folder: Path,
        setting: Setting,
        methods: Sequence[JudgedMethod],
        *,
        batch_size: int,
        coil_multiple: int,
        examples: int,
        save_reconstructions: bool,
    ):
        """Plan the work and draw all masks; nothing is written and no sample read.

        Args:
            folder: of the evaluation.
            setting: the data set and its masks.
            methods: what to judge beside the zero-filled image.
            batch_size: slices in a batch, over all devices.
            coil_multiple: see `Pipeline`.
            examples: slices whose images are kept for figures.
            save_reconstructions: whether to keep all images, in fastMRI's submission layout.

        Raises:
            InputError: no slice is left to judge, or a file cannot be judged or its mask not drawn.
        """
        self.setting = setting
        self.methods = methods
        whole = setting.pipeline(batch_size=batch_size, coil_multiple=coil_multiple)
        self.slices = whole.slices
        self.masks = file_masks(whole)
        for volume in {
            reference.volume.name: reference.volume for reference in self.slices
        }.values():
            setting.test_set.protocol.region(volume)
        self._folder = folder
        self._name = slug(self.title)
        self._batching = {"batch_size": batch_size, "coil_multiple": coil_multiple}
        self._chosen = {
            (reference.volume.name, reference.index): self._example_path(reference)
            for reference in example_slices(self.slices, examples)
        }
        self.examples = [str(path.relative_to(folder)) for path in self._chosen.values()]
        self._save_reconstructions = save_reconstructions

    @property
    def title(self) -> str:
        """The data set and its masks in a few words."""
        return f"{self.setting.test_set.name} {self.setting.name}"

    @property
    def _partial(self) -> Path:
        return self._folder / PARTIAL / self._name

    def load(self) -> Mapping[str, Sequence[SliceScores]]:
        """The scores found so far, by method, in the data set's order."""
        return in_order(PartialResults(self._partial / "scores.jsonl").scores, self.slices)

    def complete(
        self,
        evaluator: Evaluator,
        *,
        threads: int,
        workers: int,
        should_stop: Callable[[], bool],
    ) -> bool:
        """Score what is not scored yet.

        Args:
            evaluator: with its compiled programs.
            threads: that read.
            workers: processes that read.
            should_stop: asked after each batch, which is then on disk.

        Returns:
            Whether everything is done.

        Raises:
            InputError: a slice cannot be read or judged, or a reconstruction is not finite.
        """
        found = PartialResults(self._partial / "scores.jsonl")
        images = self._image_store() if self._save_reconstructions else None
        remaining = self._remaining(found)
        if remaining is not None:
            batches = evaluator.batches(
                self.methods,
                remaining,
                self.setting.test_set.protocol,
                label=self.title,
                done=len(found.done),
                threads=threads,
                workers=workers,
            )
            with contextlib.closing(batches):
                for batch in batches:
                    self._keep_images(batch, images)
                    found.add(batch.scores)
                    if should_stop():
                        break
        is_complete = len(found.done) == len(self.slices)
        if is_complete and images is not None:
            images.finish()
        return is_complete

    def _remaining(self, found: PartialResults) -> Pipeline | None:
        """What is left. Whole batches are done, so that the others are made up as before."""
        if len(found.done) == len(self.slices):
            return None
        setting = self.setting
        return evaluation_pipeline(
            setting.test_set.volumes,
            setting.masks,
            setting.test_set.protocol,
            **self._batching,
            selects=lambda volume, index: (
                setting.test_set.selects(volume, index) and (volume.name, index) not in found.done
            ),
        )

    def _keep_images(self, batch: ScoredBatch, store: ImageStore | None) -> None:
        for number, reference in enumerate(batch.slices):
            path = self._chosen.get((reference.volume.name, reference.index))
            if store is not None:
                store.put(reference, batch.images(number))
            if path is not None:
                write_example(path, self._example(batch, number))

    def _example(self, batch: ScoredBatch, number: int) -> ExampleImages:
        reference = batch.slices[number]
        protocol = self.setting.test_set.protocol
        return ExampleImages(
            data_set=self.setting.test_set.name,
            file=reference.volume.name,
            index=reference.index,
            mask=self.masks[reference.volume.name].family,
            acceleration=self.setting.acceleration,
            acs=batch.acs(number),
            target=batch.target(number),
            images=batch.images(number),
            scores={
                method: protocol.slice_metrics(scores[number].scores)
                for method, scores in batch.scores.items()
            },
        )

    def _example_path(self, reference: SliceReference) -> Path:
        name = slug(f"{reference.volume.name} {reference.index}")
        return self._folder / EXAMPLES / f"{self._name}_{name}.npz"

    def _image_store(self) -> ImageStore:
        return ImageStore(
            self._partial / "images",
            {
                method: self._folder / RECONSTRUCTIONS / slug(method) / self._name
                for method in (ZERO_FILLED, *(method.name for method in self.methods))
            },
            self.slices,
            {"acceleration": self.setting.acceleration, "setting": self.setting.name},
        )


def example_slices(slices: Sequence[SliceReference], count: int) -> list[SliceReference]:
    """The middle judged slice of a few files, spread evenly over all files.

    Args:
        slices: all judged slices.
        count: of files; all where there are fewer.
    """
    files: dict[str, list[SliceReference]] = {}
    for reference in slices:
        files.setdefault(reference.volume.name, []).append(reference)
    of_file = list(files.values())
    count = min(count, len(of_file))
    chosen = [of_file[(2 * place + 1) * len(of_file) // (2 * count)] for place in range(count)]
    return [members[len(members) // 2] for members in chosen]
