"""How good the reconstructions of one scan are, by the fastMRI challenge's measures."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from jaxrecon.data.plan import SliceReference
from jaxrecon.data.scan import Scan
from jaxrecon.metrics.measures import MEASURES
from jaxrecon.metrics.protocols import SliceScores, protocol
from jaxrecon.metrics.results import Row, aligned
from jaxrecon.metrics.rows import Origin, result_rows
from jaxrecon.metrics.ssim import WINDOW
from jaxrecon.physics.sampling import SamplingMask

PROTOCOL = "fastmri"

# Compiled once for all methods of a gallery, whose images have one size.
_score = jax.jit(protocol(PROTOCOL).device_scores)


@dataclasses.dataclass(frozen=True)
class ScanScores:
    """The metrics of one method.

    Attributes:
        scan: over all slices; empty where images are smaller than a window of SSIM.
        slices: of each slice alone.
        rows: the protocol's numbers of each slice.
    """

    scan: Mapping[str, float]
    slices: Sequence[Mapping[str, float]]
    rows: Sequence[SliceScores]


def score_scan(
    scan: Scan,
    images: Float32[np.ndarray, "slices rows columns"],
    target: Float32[np.ndarray, "slices rows columns"],
    data_range: float,
) -> ScanScores:
    """Judge a method's images under the protocol `PROTOCOL`.

    Args:
        scan: the scan.
        images: magnitudes.
        target: what they should be.
        data_range: maximum of the target volume.

    Returns:
        Metrics of the scan and of each slice.
    """
    if min(target.shape[1:]) < WINDOW:
        return ScanScores({}, [{} for _ in target], [])
    judge = protocol(PROTOCOL)
    crop = jnp.array([target.shape[1:]], jnp.int32)
    peak = jnp.array([data_range], jnp.float32)
    rows = []
    for index, image, truth in zip(scan.indices, images, target, strict=True):
        scores = jax.device_get(_score(jnp.array(image[None]), jnp.array(truth[None]), crop, peak))
        numbers = {name: float(value[0]) for name, value in scores.items()}
        rows.append(SliceScores(scan.name, index, numbers))
    return ScanScores(
        judge.summarise(rows)[0].metrics, [judge.slice_metrics(row.scores) for row in rows], rows
    )


def scan_rows(
    scan: Scan,
    masks: Sequence[SamplingMask],
    scores: Mapping[str, ScanScores],
    runs: Mapping[str, str | None],
    *,
    center_fraction: float | None = None,
    data: str = "",
) -> list[Row]:
    """The scores as rows of a results file, one per method.

    Args:
        scan: the scan.
        masks: of its slices.
        scores: by method; methods without any are left out.
        runs: folder of each method's network; None for methods without one.
        center_fraction: that the masks were drawn with, if any.
        data: what the file says of its origin.
    """
    judged = {method: found.rows for method, found in scores.items() if found.rows}
    if not judged:
        return []
    subset = "" if len(scan.indices) == scan.slices_in_file else f"slices {scan.indices}"
    return result_rows(
        judged,
        [SliceReference(scan.volume, index) for index in scan.indices],
        {scan.name: masks[0]},
        protocol(PROTOCOL),
        Origin(scan.data_set, subset=subset, data=data),
        acceleration=float(masks[0].acceleration),
        center_fraction=center_fraction,
        runs=runs,
    )


def scores_table(seconds: Mapping[str, float], scores: Mapping[str, ScanScores]) -> str:
    """Methods as text: a line each with its metrics, where there are any, and its time.

    Args:
        seconds: by method.
        scores: by method; empty where there is no target.
    """
    names = [name for name in MEASURES if any(name in each.scan for each in scores.values())]
    lines = [("method", *(MEASURES[name].label for name in names), "seconds")]
    for method, duration in seconds.items():
        metrics = scores[method].scan if method in scores else {}
        cells = [f"{metrics[name]:.{MEASURES[name].digits}f}" for name in names]
        lines.append((method, *cells, f"{duration:.1f}"))
    return aligned(lines)
