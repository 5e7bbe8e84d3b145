"""The settings of masks that a data set is judged at, checked before anything is computed."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from jaxrecon.data.pipeline import Pipeline
from jaxrecon.errors import InputError
from jaxrecon.physics.mask_families import FRACTION_FAMILIES
from jaxrecon.physics.sampling import ACQUIRED, MaskSpec, SamplingMask
from jaxrecon.training.datasets import TestSet, evaluation_masks, evaluation_pipeline


@dataclasses.dataclass(frozen=True)
class Setting:
    """One data set with one setting of its masks.

    Attributes:
        test_set: the data set.
        masks: draws the masks; None where the files bring their own.
        acceleration: nominal acceleration.
        center_fraction: fully sampled fraction of the columns; None for masks that count columns.
    """

    test_set: TestSet
    masks: MaskSpec | None
    acceleration: float
    center_fraction: float | None

    @property
    def name(self) -> str:
        """The setting in a few words, unique for its data set: "equispaced R=4 cf=0.08"."""
        family = ACQUIRED if self.masks is None else self.masks.family
        fraction = "" if self.center_fraction is None else f" cf={self.center_fraction:g}"
        return f"{family} R={self.acceleration:g}{fraction}"

    def pipeline(self, *, batch_size: int, coil_multiple: int) -> Pipeline:
        """The slices that are judged.

        Args:
            batch_size: slices in a batch, over all devices and processes.
            coil_multiple: see `Pipeline`.

        Raises:
            InputError: there are none, or a file cannot be judged.
        """
        return evaluation_pipeline(
            self.test_set.volumes,
            self.masks,
            self.test_set.protocol,
            batch_size=batch_size,
            coil_multiple=coil_multiple,
            selects=self.test_set.selects,
        )


def combine(
    accelerations: Sequence[int | float], center_fractions: Sequence[int | float], how: str
) -> tuple[tuple[int | float, ...], tuple[int | float, ...]]:
    """Accelerations and centre fractions to be judged together, as `config.mask` lists them.

    Args:
        accelerations: nominal accelerations.
        center_fractions: fully sampled fractions of the columns.
        how: "paired" for one fraction for all, or one for each acceleration; "cross" for every
            combination.

    Returns:
        As many accelerations as fractions.

    Raises:
        InputError: they do not pair up, a combination occurs twice, or one leaves no column
            outside the centre; all such combinations are named.
    """
    if how == "cross":
        pairs = list(itertools.product(accelerations, center_fractions))
    elif len(center_fractions) in (1, len(accelerations)):
        repeats = len(accelerations) // len(center_fractions)
        pairs = list(zip(accelerations, tuple(center_fractions) * repeats, strict=True))
    else:
        raise InputError(
            f"center fractions: expected one, or one for each of the {len(accelerations)} "
            f"accelerations, found {len(center_fractions)}: --settings=cross takes every "
            "combination"
        )
    if len(set(pairs)) < len(pairs):
        raise InputError("accelerations and center fractions: expected each once, found repeats")
    impossible = [f"R={r:g} with {fraction:g}" for r, fraction in pairs if r * fraction >= 1]
    if impossible:
        raise InputError(
            "accelerations and center fractions: expected R x fraction below 1, so that columns "
            f"outside the centre are left, found {', '.join(impossible)}"
        )
    return tuple(r for r, _ in pairs), tuple(fraction for _, fraction in pairs)


def settings_of(test_set: TestSet) -> list[Setting]:
    """The settings of a data set, one for each acceleration (and its centre fraction).

    Raises:
        InputError: some of the files bring their own masks and some do not.
    """
    if not any(volume.sampled for volume in test_set.volumes):
        return [
            Setting(
                test_set,
                masks,
                float(masks.accelerations[0]),
                float(masks.center_fractions[0]) if masks.family in FRACTION_FAMILIES else None,
            )
            for masks in evaluation_masks(test_set.mask)
        ]
    whole = next((volume for volume in test_set.volumes if not volume.sampled), None)
    if whole is not None:
        raise InputError(
            f"{test_set.name}: expected files that are all fully sampled or all bring their own "
            f"masks, found both: {whole.path} is fully sampled"
        )
    acquired = Setting(test_set, None, math.nan, None)
    masks = file_masks(acquired.pipeline(batch_size=1, coil_multiple=1))
    nominal = {mask.acceleration for mask in masks.values()}
    return [dataclasses.replace(acquired, acceleration=sum(nominal) / len(nominal))]


def file_masks(pipeline: Pipeline) -> dict[str, SamplingMask]:
    """The mask of every file, which all its slices share.

    Raises:
        InputError: a file's mask cannot be drawn or read, or keeps nothing.
    """
    masks: dict[str, SamplingMask] = {}
    for slice_id, reference in enumerate(pipeline.slices):
        volume = reference.volume
        if volume.name in masks:
            continue
        try:
            masks[volume.name] = pipeline.mask_of(slice_id)
        except InputError as error:
            named = str(error).startswith(volume.path)
            raise error if named else InputError(f"{volume.path}: {error}") from None
    return masks
