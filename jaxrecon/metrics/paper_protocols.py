"""The evaluations of the two papers this project reproduces, as far as their texts fix them."""

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, PyTree

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics import distortion
from jaxrecon.metrics.lpips import MINIMUM_SIZE, LpipsWeights, lpips
from jaxrecon.metrics.protocol import Images, Protocol, Scores, over_own_maximum
from jaxrecon.metrics.region import rectangle, region_bounds
from jaxrecon.metrics.ssim import ssim
from jaxrecon.metrics.tenengrad import tenengrad


class PaperA(Protocol):
    """The evaluation of Hashmi et al. 2026, Tables 1 to 3.

    The text fixes the measures (SSIM, PSNR, NMSE) and that images are what is counted: 5,112 slices
    of CMRxRecon, 1,767 knee and 3,168 brain images of fastMRI. It leaves open the region, SSIM's
    window, the data range and how images are pooled. Chosen here: all slices over the target's own
    crop, 7 x 7 windows as in fastMRI, each image alone with the maximum of its target as the data
    range, and the mean over all images, each counting once.

    References:
        Hashmi et al. (2026), https://arxiv.org/abs/2604.22557
    """

    name = "paper_a"
    description = (
        "from arXiv:2604.22557: SSIM, PSNR and NMSE over images; chosen here, where the text is "
        "open: all slices, the target's crop, each image with its target's maximum, mean over "
        "slices"
    )
    unit = "slice"

    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
        weights: PyTree = None,  # noqa: ARG002
    ) -> Scores:
        """Each slice's "ssim", "psnr" and "nmse"."""
        scale = jnp.where(data_range > 0, data_range, 1)[:, None, None]
        image, target = image / scale, target / scale
        one = jnp.ones_like(data_range)
        return {
            "ssim": ssim(image, target, one, crop),
            "psnr": distortion.psnr(image, target, one, crop),
            "nmse": distortion.nmse(image, target, crop),
        }


class PaperB(Protocol):
    """The evaluation of the vision-language paper, Table 1.

    The text fixes the measures (PSNR, SSIM, LPIPS, Tenengrad) and that they are given as mean and
    standard deviation. It leaves open how images are scaled, the region, SSIM's window and LPIPS's
    network. Chosen here: all slices over the target's own crop; reconstruction and target each
    scaled to 0..1 by its own maximum there, so that the data range is 1; 7 x 7 windows as
    scikit-image's default; the mean over all slices.

    Attributes:
        lpips: what LPIPS is computed with; without it LPIPS is not computed, and results say so.
    """

    name = "paper_b"
    description = (
        "from the vision-language paper: PSNR, SSIM, LPIPS and Tenengrad; chosen here, where the "
        "text is open: all slices, the target's crop, each image over its own maximum there, mean "
        "over slices"
    )
    unit = "slice"

    def __init__(self, lpips_weights: LpipsWeights | None = None):
        """Judge with or without LPIPS.

        Args:
            lpips_weights: see `jaxrecon.metrics.lpips.load_lpips`.
        """
        self.lpips = lpips_weights
        self.measures = ("psnr", "ssim", "tenengrad")
        self.not_computed = {"lpips": "no weights were given"}
        if lpips_weights is not None:
            self.measures = ("psnr", "ssim", "lpips", "tenengrad")
            self.not_computed = {}

    @property
    def weights(self) -> PyTree:
        """LPIPS's."""
        return {} if self.lpips is None else self.lpips.parameters

    def _region(self, volume: Volume) -> tuple[int, int]:
        height, width = super()._region(volume)
        smallest = 0 if self.lpips is None else MINIMUM_SIZE[self.lpips.network]
        if min(height, width) < smallest:
            raise InputError(
                f"{volume.name}: LPIPS expects a region of at least {smallest} x {smallest} "
                f"pixels, found {height} x {width}"
            )
        return height, width

    def device_scores(
        self,
        image: Images,
        target: Images,
        crop: Int32[Array, "batch 2"],
        data_range: Float32[Array, " batch"],
        weights: PyTree = None,
    ) -> Scores:
        """Each slice's "psnr", "ssim", "tenengrad" and, with weights, "lpips".

        `data_range` only gives the shape of the 1s that both images are relative to.
        """
        batch, height, width = image.shape
        inside = rectangle(height, width, *region_bounds(batch, height, width, crop))
        image, target = over_own_maximum(image, inside), over_own_maximum(target, inside)
        one = jnp.ones_like(data_range)
        scores = {
            "psnr": distortion.psnr(image, target, one, crop),
            "ssim": ssim(image, target, one, crop),
            "tenengrad": tenengrad(image, one, crop),
        }
        if self.lpips is not None:
            parameters = weights or self.lpips.parameters
            scores["lpips"] = lpips(image, target, one, parameters, self.lpips.network, crop)
        return scores
