"""What to reconstruct from: a scan as it was acquired, or with samples taken away."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex64, Float32

from jaxrecon.data.acquired_sampling import acquired_mask, fully_sampled_centre
from jaxrecon.data.scan import Scan
from jaxrecon.data.target import rss_target
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.espirit import column_calibration
from jaxrecon.physics.mask_families import centre_start
from jaxrecon.physics.sampling import ACQUIRED, MaskSpec, SamplingMask

MOST_CALIBRATION = 48
"""Rows and columns of a calibration region beyond which maps do not change any more."""


@dataclasses.dataclass(frozen=True, eq=False)
class UndersampledScan:
    """Undersampled k-space of slices of one size.

    Attributes:
        kspace: centred, 0 where not sampled.
        masks: of each slice; all samples of the acquired columns where nothing was left out.
        calibration: rows and columns, at most `MOST_CALIBRATION` each, of the centre that is fully
            sampled in every slice; 0 where there is none.
        is_undersampled: whether samples of the acquired columns are missing.
        target: the images to be reached, where they are known.
        data_range: maximum of the target, over the whole file where that is known; 0 without one.
        remarks: one line for each thing to know about the sampling.
    """

    kspace: Complex64[np.ndarray, "slices coils height width"]
    masks: tuple[SamplingMask, ...]
    calibration: tuple[int, int]
    is_undersampled: bool
    target: Float32[np.ndarray, "slices rows columns"] | None
    data_range: float
    remarks: tuple[str, ...]

    @property
    def effective_acceleration(self) -> float:
        """Mean over the slices of the acquired samples over the samples kept."""
        return float(np.mean([mask.effective_acceleration for mask in self.masks]))

    @property
    def description(self) -> str:
        """The sampling in one line."""
        mask = self.masks[0]
        if not self.is_undersampled:
            return "all samples"
        kind = "columns" if mask.pattern.shape[0] == 1 else "single samples"
        nominal = "" if mask.family == ACQUIRED else f"R = {mask.acceleration:g}, "
        rows, columns = self.calibration
        return (
            f"{mask.family} mask of {kind}, {nominal}effective {self.effective_acceleration:.2f}, "
            f"ACS {mask.acs}, centre for calibration {rows} x {columns}"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The sampling as JSON values, for the provenance of results."""
        mask = self.masks[0]
        return {
            "mask": mask.family,
            "acceleration": float(mask.acceleration),
            "effective_acceleration": self.effective_acceleration,
            "acs": sorted({mask.acs for mask in self.masks}),
            "calibration": list(self.calibration),
        }


def undersample(
    scan: Scan,
    *,
    drawn: MaskSpec | None = None,
    pattern: Bool[np.ndarray, "rows width"] | None = None,
    acs: int | None = None,
) -> UndersampledScan:
    """What is to be reconstructed from.

    Args:
        scan: the k-space.
        drawn: a family of masks to undersample fully sampled k-space with.
        pattern: instead, a mask: the one the scan was acquired with, or one that takes more away.
        acs: fully sampled central columns, where the mask as acquired or `pattern` does not tell
            them rightly.

    Returns:
        The undersampled scan. Its target, cut to the scan's image, is there where samples were
        taken away or the file stores it.

    Raises:
        InputError: the k-space is undersampled already, the masks do not fit it or keep nothing of
            it, or `acs` columns are not all sampled.
    """
    height, width = scan.shape
    acquired = scan.masks or (_all_of(scan),) * len(scan.kspace)
    remarks: list[str] = []
    if drawn is not None:
        if scan.masks is not None:
            raise InputError(
                f"{scan.path}: expected fully sampled k-space to draw a mask for, found "
                f"{_effective(scan.masks)}-fold undersampled k-space"
            )
        masks = tuple(
            drawn.draw(width, scan.name, index).within(*scan.columns) for index in scan.indices
        )
    elif pattern is not None:
        masks, lost = _both(scan, acquired, pattern)
        if lost:
            remarks.append(f"{lost} samples that the mask keeps were not acquired")
    else:
        masks = acquired
    if acs is not None and drawn is None:
        masks = tuple(_with_acs(mask, acs) for mask in masks)

    patterns = [np.broadcast_to(mask.pattern, (height, width)) for mask in masks]
    inside = slice(*scan.columns)
    is_undersampled = any(not each[:, inside].all() for each in patterns)
    target, data_range = None, 0.0
    if is_undersampled:
        target, data_range = _target(scan)
        if target is not None and scan.maximum is None and len(target) < scan.slices_in_file:
            remarks.append("metrics take the maximum of the slices read")
    kspace = scan.kspace
    if masks is not acquired:
        kspace = np.stack([samples * each for samples, each in zip(kspace, patterns, strict=True)])
    return UndersampledScan(
        kspace=kspace,
        masks=masks,
        calibration=_calibration(masks, height),
        is_undersampled=is_undersampled,
        target=target,
        data_range=data_range,
        remarks=tuple(remarks),
    )


def _all_of(scan: Scan) -> SamplingMask:
    height, width = scan.shape
    pattern = np.zeros((1, width), bool)
    pattern[:, slice(*scan.columns)] = True
    columns = None if scan.columns == (0, width) else scan.columns
    return acquired_mask(pattern, height, columns=columns)


def _both(
    scan: Scan, acquired: tuple[SamplingMask, ...], pattern: Bool[np.ndarray, "rows width"]
) -> tuple[tuple[SamplingMask, ...], int]:
    """Masks that keep what was acquired and a pattern keeps, and how many more that one keeps."""
    height, width = scan.shape
    columns = None if scan.columns == (0, width) else scan.columns
    masks: list[SamplingMask] = []
    lost = 0
    for number, own in enumerate(acquired):
        if number and own is acquired[number - 1]:
            masks.append(masks[-1])
            continue
        kept = pattern & own.pattern
        if not kept.any():
            raise InputError(
                f"{scan.path}: expected a mask that keeps acquired samples, found none kept"
            )
        masks.append(acquired_mask(kept, height, columns=columns))
        inside = np.zeros((1, width), bool)
        inside[:, slice(*scan.columns)] = True
        lost += int((pattern & inside & ~own.pattern).sum()) * (height if kept.shape[0] == 1 else 1)
    return tuple(masks), lost


def _with_acs(mask: SamplingMask, acs: int) -> SamplingMask:
    rows, width = mask.pattern.shape
    start = centre_start(width, acs)
    if not 0 <= acs <= width:
        raise InputError(f"acs: expected 0 to {width} columns, found {acs}")
    if rows == 1 and not mask.pattern[:, start : start + acs].all():
        found = int(mask.pattern[:, start : start + acs].sum())
        raise InputError(f"acs: expected {acs} sampled central columns, found {found}")
    return dataclasses.replace(mask, acs=acs)


def _calibration(masks: tuple[SamplingMask, ...], height: int) -> tuple[int, int]:
    centres = [
        _centre(mask, height)
        for number, mask in enumerate(masks)
        if number == 0 or mask is not masks[number - 1]
    ]
    rows, columns = (min(sizes) for sizes in zip(*centres, strict=True))
    return min(rows, MOST_CALIBRATION), min(columns, MOST_CALIBRATION)


def _centre(mask: SamplingMask, height: int) -> tuple[int, int]:
    if mask.pattern.shape[0] == 1:
        return column_calibration(mask.acs, height)
    rows, columns = fully_sampled_centre(mask.pattern, height)
    return rows, min(columns, mask.acs)


def _target(scan: Scan) -> tuple[Float32[np.ndarray, "slices rows columns"] | None, float]:
    if scan.target is None and scan.masks is not None:
        return None, 0.0
    if scan.target is None:
        target = center_crop(rss_target(scan.kspace), *scan.image_shape)
    else:
        height, width = scan.image_shape
        target = center_crop(scan.target, height, width)
    maximum = float(target.max()) if scan.maximum is None else scan.maximum
    return target.astype(np.float32), maximum


def _effective(masks: tuple[SamplingMask, ...]) -> str:
    return f"{np.mean([mask.effective_acceleration for mask in masks]):.2f}"
