"""The evaluations of the fastMRI and CMRxRecon challenges."""

import math
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, PyTree

from jaxrecon.data.volume import Volume
from jaxrecon.metrics import distortion
from jaxrecon.metrics.protocol import Images, Protocol, Scores, mean_over, over_own_maximum
from jaxrecon.metrics.region import rectangle
from jaxrecon.metrics.ssim import ssim


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

    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
        weights: PyTree = None,  # noqa: ARG002
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
            "ssim": mean_over(slices, "ssim"),
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
        weights: PyTree = None,  # noqa: ARG002
    ) -> Scores:
        """Each slice's "ssim", "psnr" and "nmse"; `data_range` only gives the shape of its 1s."""
        height, width = image.shape[-2:]
        start = jnp.array([height, width], jnp.int32) // 2 - crop // 2
        inside = rectangle(height, width, start, crop)
        image = over_own_maximum(image, inside)
        target = over_own_maximum(target, inside)
        one = jnp.ones_like(data_range)
        return {
            "ssim": ssim(image, target, one, crop, start),
            "psnr": distortion.psnr(image, target, one, crop, start),
            "nmse": distortion.nmse(image, target, crop, start),
        }
