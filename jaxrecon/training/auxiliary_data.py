"""The auxiliary scans of an experiment: which files and slices, and their masks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import SamplingMask
from jaxrecon.priors.auxiliary import choose_files, middle_slices, require_usable
from jaxrecon.training.datasets import load_volumes, origin_of, training_masks


@dataclasses.dataclass(frozen=True)
class AuxiliaryData:
    """Fully sampled scans whose slices are used.

    Attributes:
        volumes: the files.
        masks: of every slice, by file and index; all are drawn before anything is computed, so that
            settings that do not fit show at once.
        description: in one line.
    """

    volumes: tuple[Volume, ...]
    masks: Mapping[tuple[Volume, int], SamplingMask]
    description: str

    @property
    def slices(self) -> dict[str, tuple[int, ...]]:
        """Indices by the file's name."""
        found: dict[str, tuple[int, ...]] = {}
        for volume, index in self.masks:
            found[volume.name] = (*found.get(volume.name, ()), index)
        return found

    @property
    def effective_acceleration(self) -> float:
        """Mean over the slices."""
        return float(np.mean([mask.effective_acceleration for mask in self.masks.values()]))


def open_auxiliary(config: Mapping[str, Any]) -> AuxiliaryData:
    """Choose files and slices, and draw their masks; no k-space is read.

    Args:
        config: `config.auxiliary` of `jaxrecon.scan_config`.

    Raises:
        InputError: no folder is named, there are no usable files in it, or masks do not fit them.
    """
    if not config["root"]:
        raise InputError("auxiliary.root: expected a folder of fully sampled scans, found none")
    found = load_volumes(
        config["root"],
        config["layout"],
        contrasts=tuple(config["contrasts"]),
        contains=config["contains"],
        with_maxima=False,
    )
    volumes = choose_files(found, config["files"])
    require_usable(volumes, config["positive"])
    spec = training_masks(config["mask"])
    masks = {
        (volume, index): _within(spec.draw(volume.width, volume.name, index), volume)
        for volume in volumes
        for index in middle_slices(volume, config["slices"])
    }
    data = AuxiliaryData(volumes, masks, "")
    origin = origin_of(volumes[0])
    description = (
        f"{len(masks)} slices of {len(volumes)} of {len(found)} files, undersampled by "
        f"{config['mask']['family']} masks, effective R = {data.effective_acceleration:.2f}"
        f"{f'; the first is {origin}' if origin else ''}"
    )
    return dataclasses.replace(data, description=description)


def _within(mask: SamplingMask, volume: Volume) -> SamplingMask:
    return mask if volume.padding == (0, volume.width) else mask.within(*volume.padding)
