"""What every evaluation protocol is: which slices count, over which region, how scores are pooled.

A figure means little without its protocol: the same images differ by several dB between "per
volume with the volume's maximum" and "per image with the image's own".

On the device a protocol turns a batch of images into per-slice numbers; on the host it pools those
of a file into the file's metrics. `jaxrecon.metrics.summary` then goes from files to a data set.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, PyTree

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics.ssim import WINDOW

Images = Float32[Array, "batch height width"]
Scores = dict[str, Float32[Array, " batch"]]


@dataclasses.dataclass(frozen=True)
class SliceScores:
    """What `Protocol.device_scores` found for one slice.

    Attributes:
        file: name of the slice's file.
        index: the slice's place in the file.
        scores: the device's numbers by name.
    """

    file: str
    index: int
    scores: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class FileScores:
    """The metrics of one file.

    Attributes:
        file: name of the file.
        slices: number of slices that the metrics rest on.
        metrics: "ssim", "psnr" in dB, "nmse" and whatever else the protocol measures.
    """

    file: str
    slices: int
    metrics: Mapping[str, float]


class Protocol(abc.ABC):
    """How images are judged against their targets.

    Attributes:
        name: as configurations and results files give it.
        description: one line to print beside results.
        data_range: whose maximum `device_scores` wants, the target "volume"'s or the "slice"'s.
        unit: what counts once in the mean over a data set, a "file" or a "slice".
        measures: names in `jaxrecon.metrics.measures.MEASURES` of what it measures.
        not_computed: measures that it has but was not given the means for, each with the reason.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    data_range: ClassVar[str] = "slice"
    unit: ClassVar[str] = "file"
    measures: tuple[str, ...] = ("ssim", "psnr", "nmse")
    not_computed: Mapping[str, str] = {}

    @property
    def weights(self) -> PyTree:
        """Arrays that `device_scores` needs; handed to it, so that no program holds a copy."""
        return {}

    def selects(self, volume: Volume, index: int) -> bool:  # noqa: ARG002
        """Whether slice `index` of the volume is judged; all are, unless a protocol says less."""
        return True

    def region(self, volume: Volume) -> tuple[int, int]:
        """Rows and columns of the images' centre that are judged.

        Args:
            volume: the file that the images belong to.

        Returns:
            Height and width, each at most the k-space's.

        Raises:
            InputError: the region is smaller than a window of SSIM.
        """
        height, width = self._region(volume)
        height, width = min(height, volume.height), min(width, volume.width)
        if min(height, width) < WINDOW:
            raise InputError(
                f"{volume.name}: protocol {self.name} expects a region of at least "
                f"{WINDOW} x {WINDOW} pixels, found {height} x {width}"
            )
        return height, width

    def _region(self, volume: Volume) -> tuple[int, int]:
        return volume.target_height, volume.target_width

    @abc.abstractmethod
    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
        weights: PyTree = None,
    ) -> Scores:
        """Numbers of each slice, from which `summarise` makes the files' metrics; jit it.

        Args:
            image: reconstructed magnitude images.
            target: target images.
            crop: `region` of each image's volume.
            data_range: maximum of each image's target volume or slice, see the class.
            weights: the protocol's own `weights`, already on the device.

        Returns:
            One number per image and name.
        """

    def slice_metrics(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The metrics of a single slice, as if it were a file of its own.

        Args:
            scores: the device's numbers of the slice.
        """
        return self._pool([scores])

    def summarise(self, rows: Sequence[SliceScores]) -> list[FileScores]:
        """Metrics of each file.

        Args:
            rows: one for each judged slice, in any order.

        Returns:
            One entry per file, in order of first appearance.
        """
        files: dict[str, list[Mapping[str, float]]] = {}
        for row in sorted(rows, key=lambda row: row.index):
            files.setdefault(row.file, []).append(row.scores)
        order = dict.fromkeys(row.file for row in rows)
        return [FileScores(file, len(files[file]), self._pool(files[file])) for file in order]

    def _pool(self, slices: list[Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a file from its slices: their means, unless a protocol says otherwise."""
        return {name: mean_over(slices, name) for name in self.measures}


def mean_over(slices: Sequence[Mapping[str, float]], name: str) -> float:
    """Mean of a number over slices."""
    return float(np.mean([scores[name] for scores in slices]))


def over_own_maximum(image: Images, inside: Bool[Array, "batch height width"]) -> Images:
    """Each image divided by its own maximum over a region; an empty one as it is."""
    largest = jnp.max(jnp.where(inside, image, -jnp.inf), axis=(-2, -1), keepdims=True)
    return image / jnp.where(largest > 0, largest, 1)
