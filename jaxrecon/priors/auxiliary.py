"""Auxiliary images of a semantic prior: which slices of which files, and both classes of images.

Positives are the images of fully sampled k-space, negatives those of the same k-space undersampled
and filled with zeros (Feng et al. 2025, arXiv:2511.19641).
"""

from collections.abc import Collection, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.espirit import (
    SMALLEST_CALIBRATION,
    column_calibration,
    espirit_maps,
    fitting_kernel,
)
from jaxrecon.physics.sampling import MaskSpec, SamplingMask
from jaxrecon.physics.total_variation import total_variation_sense
from jaxrecon.physics.zero_filled import zero_filled

POSITIVES = ("target", "tv")
"""What positives are: the fully sampled images, or the negatives' k-space under total variation."""


def choose_files(volumes: Sequence[Volume], count: int) -> tuple[Volume, ...]:
    """Files spread evenly over all of them, the first and the last included.

    Args:
        volumes: files in order.
        count: how many at most; 0 for all.
    """
    if count in (0, 1) or count >= len(volumes):
        return tuple(volumes[:count] if count == 1 else volumes)
    places = np.linspace(0, len(volumes) - 1, count).round().astype(int)
    return tuple(volumes[place] for place in places)


def middle_slices(volume: Volume, count: int) -> tuple[int, ...]:
    """The slices of a file that show most: its middle positions, of its middle frames first.

    Args:
        volume: the file; its known bad slices are left out.
        count: how many at most; 0 for all.

    Returns:
        Indices in rising order.
    """

    def distance(index: int) -> tuple[int, int]:
        frame, position = divmod(index, volume.positions)
        return abs(frame - volume.frames // 2), abs(position - volume.positions // 2)

    good = [index for index in range(volume.slices) if index not in volume.bad_slices]
    nearest = sorted(good, key=distance)
    return tuple(sorted(nearest[: count or None]))


def require_usable(volumes: Sequence[Volume], positive: str) -> None:
    """See that both classes can be made of every file, before anything is read.

    Args:
        volumes: the files.
        positive: one of `POSITIVES`.

    Raises:
        InputError: naming the file that is undersampled, or has one coil where maps are needed.
    """
    if positive not in POSITIVES:
        raise InputError(
            f"auxiliary.positive: expected one of {', '.join(POSITIVES)}, found {positive!r}"
        )
    for volume in volumes:
        if volume.sampled:
            raise InputError(
                f"{volume.path}: expected fully sampled k-space of an auxiliary image, found "
                "undersampled k-space"
            )
        if positive == "tv" and volume.coils < 2:
            raise InputError(
                f"{volume.path}: expected at least 2 coils for the sensitivity maps of "
                f"auxiliary.positive = 'tv', found {volume.coils}"
            )


def plan_batches(
    volumes: Sequence[Volume],
    slices: Mapping[str, Collection[int]],
    masks: MaskSpec,
    batch_size: int,
) -> list[Pipeline]:
    """Batches of slices whose images have one size: a pipeline for each size of the target.

    Args:
        volumes: the files.
        slices: indices by the file's name.
        masks: undersample the negatives.
        batch_size: slices at a time.

    Raises:
        InputError: there are no slices.
    """
    groups: dict[tuple[int, int], list[Volume]] = {}
    for volume in volumes:
        groups.setdefault((volume.target_height, volume.target_width), []).append(volume)
    return [
        Pipeline(
            groups[size],
            masks,
            batch_size=batch_size,
            data_range="slice",
            selects=lambda volume, index: index in slices[volume.name],
        )
        for size in sorted(groups)
    ]


def smallest_calibration(masks: Mapping[str, SamplingMask]) -> int:
    """Fully sampled central columns that all masks have.

    Args:
        masks: by what they undersample, for the message.

    Raises:
        InputError: they are too few for sensitivity maps.
    """
    source = min(masks, key=lambda name: masks[name].acs)
    acs = masks[source].acs
    if acs < SMALLEST_CALIBRATION:
        raise InputError(
            f"{source}: expected at least {SMALLEST_CALIBRATION} calibration columns for the "
            f"sensitivity maps of auxiliary.positive = 'tv', found {acs}"
        )
    return acs


def target_and_zero_filled(
    kspace: Complex[Array, "batch coils height width"],
    target: Float[Array, "batch height width"],
    crop: tuple[int, int],
) -> tuple[Complex[Array, "batch rows columns"], Complex[Array, "batch rows columns"]]:
    """Positives and negatives of a batch.

    Args:
        kspace: undersampled, 0 where not sampled.
        target: root sum of squares of the fully sampled k-space, in the centre of zeros.
        crop: rows and columns that the layout keeps of an image.

    Returns:
        Images of phase 0, in the units of the k-space.
    """
    negatives = zero_filled(kspace)
    positive, negative = (
        center_crop(image, *crop).astype(kspace.dtype) for image in (target, negatives)
    )
    return positive, negative


def total_variation_and_zero_filled(
    kspace: Complex[Array, "batch coils height width"],
    mask: Bool[Array, "batch #height width"],
    acs: int,
    crop: tuple[int, int],
) -> tuple[Complex[Array, "batch rows columns"], Complex[Array, "batch rows columns"]]:
    """Positives that are blurred rather than aliased, from the same k-space as the negatives.

    Args:
        kspace: undersampled, 0 where not sampled.
        mask: true where it is sampled.
        acs: fully sampled central columns, for sensitivity maps by ESPIRiT.
        crop: rows and columns that the layout keeps of an image.
    """
    calibration = column_calibration(acs, kspace.shape[-2])
    maps = espirit_maps(kspace, calibration, kernel=fitting_kernel(calibration))
    positives = total_variation_sense(kspace, mask, maps)
    negatives = jnp.asarray(zero_filled(kspace), kspace.dtype)
    return center_crop(positives, *crop), center_crop(negatives, *crop)
