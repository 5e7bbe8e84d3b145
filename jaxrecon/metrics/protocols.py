"""Named evaluation protocols: which slices count, over which region, and how scores are pooled.

A figure means little without its protocol: the same images differ by several dB between "per
volume with the volume's maximum" and "per image with the image's own". A further protocol is one
more class here, listed in `PROTOCOLS`.

On the device a protocol turns a batch of images into per-slice numbers; on the host it pools those
of a file into the file's metrics. `jaxrecon.metrics.summary` then goes from files to a data set.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics import distortion
from jaxrecon.metrics.region import rectangle
from jaxrecon.metrics.ssim import WINDOW, ssim

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
        metrics: "ssim", "psnr" in dB, "nmse".
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
    """

    name: ClassVar[str]
    description: ClassVar[str]
    data_range: ClassVar[str] = "slice"

    @abc.abstractmethod
    def selects(self, volume: Volume, index: int) -> bool:
        """Whether slice `index` of the volume is judged."""

    def region(self, volume: Volume) -> tuple[int, int]:
        """Rows and columns of the images' centre that are judged.

        Args:
            volume: the file that the images belong to.

        Returns:
            Height and width.

        Raises:
            InputError: the region is smaller than a window of SSIM.
        """
        height, width = self._region(volume)
        if min(height, width) < WINDOW:
            raise InputError(
                f"{volume.name}: protocol {self.name} expects a region of at least "
                f"{WINDOW} x {WINDOW} pixels, found {height} x {width}"
            )
        return height, width

    @abc.abstractmethod
    def _region(self, volume: Volume) -> tuple[int, int]: ...

    @abc.abstractmethod
    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
    ) -> Scores:
        """Numbers of each slice, from which `summarise` makes the files' metrics; jit it.

        Args:
            image: reconstructed magnitude images.
            target: target images.
            crop: `region` of each image's volume.
            data_range: maximum of each image's target volume.

        Returns:
            One number per image and name.
        """

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

    @abc.abstractmethod
    def _pool(self, slices: list[Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a file from its slices."""


class FastMRI(Protocol):
    """The fastMRI challenge's evaluation.

    All slices, over the target's own crop. SSIM is averaged over the slices, NMSE and PSNR are
    taken over the whole volume at once; SSIM and PSNR use the volume's maximum.

    References:
        Zbontar et al. (2018), fastMRI: an open dataset and benchmarks for accelerated MRI.
        https://arxiv.org/abs/1811.08839
    """

    name = "fastmri"
    description = (
        "all slices over the target's crop; SSIM mean over slices, NMSE and PSNR per volume, "
        "with the volume's maximum"
    )
    data_range = "volume"

    def selects(self, volume: Volume, index: int) -> bool:  # noqa: ARG002
        """All slices are judged."""
        return True

    def _region(self, volume: Volume) -> tuple[int, int]:
        return volume.target_height, volume.target_width

    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
    ) -> Scores:
        """Each slice's "ssim", "squared_error" and "energy" in data_range^2, and "pixels"."""
        # In units of the volume's maximum, so that sums of squares stay clear of float32's ends.
        scale = jnp.where(data_range > 0, data_range, 1)[:, None, None]
        image, target = image / scale, target / scale
        return {
            "ssim": ssim(image, target, jnp.ones_like(data_range), crop),
            "squared_error": distortion.squared_error(image, target, crop),
            "energy": distortion.energy(target, crop),
            "pixels": distortion.pixels(target, crop),
        }

    def _pool(self, slices: list[Mapping[str, float]]) -> dict[str, float]:
        error, energy, pixels = (
            math.fsum(scores[name] for scores in slices)
            for name in ("squared_error", "energy", "pixels")
        )
        return {
            "ssim": _mean(slices, "ssim"),
            "psnr": 10 * math.log10(pixels / error) if error else math.inf,
            "nmse": error / energy if energy else (math.inf if error else 0.0),
        }


class CMRxRecon2023(Protocol):
    """The ranking of the CMRxRecon 2023 challenge.

    The middle two slice positions; of cine the first three frames, of T1 and T2 mapping all
    weightings; of each image the centre round(kx / 3) x round(ky / 2), kx being its rows and ky its
    columns. Every image, reconstruction and target alike, is divided by its own maximum there and
    judged alone with a data range of 1; a file's metrics are means over its images.

    The centre is cut and the positions are counted as the challenge's own MATLAB code does: the
    region starts at size // 2 - crop // 2, and of n > 2 positions those numbered
    round(n / 2) - 2 and round(n / 2) - 1 from 0 are taken, halves rounded up.

    References:
        Wang et al. (2024), CMRxRecon: a publicly available k-space dataset and benchmark.
        https://doi.org/10.1038/s41597-024-03525-4
    """

    name = "cmrxrecon2023"
    description = (
        "middle 2 positions, first 3 cine frames or all weightings, centre kx/3 x ky/2; each "
        "image over its own maximum, means over images"
    )

    def selects(self, volume: Volume, index: int) -> bool:
        """The middle two positions, of cine the first three frames."""
        frame, position = divmod(index, volume.positions)
        last = max((volume.positions + 1) // 2, min(volume.positions, 2)) - 1
        is_mapping = volume.contrast.startswith(("T1map", "T2map"))
        return last - 1 <= position <= last and (is_mapping or frame < 3)

    def _region(self, volume: Volume) -> tuple[int, int]:
        return round(volume.target_height / 3), round(volume.target_width / 2)

    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
    ) -> Scores:
        """Each slice's "ssim", "psnr" and "nmse"; `data_range` only gives the shape of its 1s."""
        height, width = image.shape[-2:]
        start = jnp.array([height, width], jnp.int32) // 2 - crop // 2
        inside = rectangle(height, width, start, crop)
        image = _over_own_maximum(image, inside)
        target = _over_own_maximum(target, inside)
        one = jnp.ones_like(data_range)
        return {
            "ssim": ssim(image, target, one, crop, start),
            "psnr": distortion.psnr(image, target, one, crop, start),
            "nmse": distortion.nmse(image, target, crop, start),
        }

    def _pool(self, slices: list[Mapping[str, float]]) -> dict[str, float]:
        return {name: _mean(slices, name) for name in ("ssim", "psnr", "nmse")}


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol for protocol in (FastMRI(), CMRxRecon2023())
}


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Args:
        name: a key of `PROTOCOLS`.

    Returns:
        The protocol.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        known = ", ".join(PROTOCOLS)
        raise InputError(f"protocol: expected one of {known}, found {name!r}") from None


def _over_own_maximum(image: Images, inside: Array) -> Images:
    largest = jnp.max(jnp.where(inside, image, -jnp.inf), axis=(-2, -1), keepdims=True)
    return image / jnp.where(largest > 0, largest, 1)


def _mean(slices: list[Mapping[str, float]], name: str) -> float:
    return float(np.mean([scores[name] for scores in slices]))
