"""Writing simulated data sets in the layouts of the real ones, to be continued where they stopped.

Every file says in its attribute `comment` that it was simulated, from what and with which settings
and seed. A file whose comment is the one it would be given again is complete and is kept.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex64
from tqdm import tqdm

from jaxrecon.data import cmrxrecon, fastmri
from jaxrecon.data.images import Images
from jaxrecon.data.phantom import PhantomSettings, phantom_kspace
from jaxrecon.data.simulation import ImageSettings, image_kspace
from jaxrecon.errors import InputError

LAYOUTS = ("cmrxrecon", "fastmri")
PARTS = ("train", "validation", "test")

_CMRXRECON_SETS = {"train": "TrainingSet", "validation": "ValidationSet", "test": "TestSet"}
_FASTMRI_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
# Raised when the same settings come to mean other data, so that old files are not taken for new.
_REVISION = 1

KSpace = Complex64[np.ndarray, "frames slices coils height width"]


@dataclasses.dataclass(frozen=True)
class _Case:
    """A file to be written: where, what it says of itself, and what it holds."""

    path: Path
    rivals: tuple[Path, ...]
    name: str
    contrast: str
    crop: tuple[int, int]
    comment: str
    kspace: Callable[[], KSpace]


@dataclasses.dataclass(frozen=True)
class Written:
    """What a call of one of the writers did.

    Attributes:
        written: files it wrote.
        kept: files that were there already, complete and from the same settings.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the data set, sorted."""
        return tuple(sorted(self.written + self.kept))


def write_phantom_dataset(
    output: Path,
    layout: str,
    settings: PhantomSettings,
    parts: Mapping[str, range],
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> Written:
    """Write phantom cases, one file each, divided into parts.

    Args:
        output: the folder; cmrxrecon files lie below its `MultiCoil`, fastMRI files in its
            `multicoil_train`, `multicoil_val` and `multicoil_test`.
        layout: "cmrxrecon" or "fastmri".
        settings: of the phantoms.
        parts: numbers of the cases of each part ("train", "validation", "test"); a number stands
            for the same phantom in any part and data set of the same settings.
        overwrite: replace files made with other settings.
        progress: show a progress bar.

    Returns:
        The files.

    Raises:
        InputError: parts overlap, or a file is there that was made with other settings or for
            another part.
    """
    _check(layout, parts, settings.oversampling)

    def case(part: str, number: int) -> _Case:
        contrast = settings.case_contrast(number)
        source = f"phantom of ellipses with analytic k-space, {settings.anatomy}, case {number}"
        return _case(
            output, layout, part, number, contrast,
            crop=(settings.height, settings.width),
            comment=_comment(source, contrast, settings),
            kspace=lambda: phantom_kspace(settings, number),
        )  # fmt: skip

    cases = [case(part, number) for part in parts for number in parts[part]]
    return _write(layout, cases, overwrite, progress)


def write_images_dataset(
    output: Path,
    layout: str,
    images: Images,
    settings: ImageSettings,
    parts: Mapping[str, range],
    *,
    source: str,
    images_per_case: int = 10,
    contrast: str = "cine_sax",
    overwrite: bool = False,
    progress: bool = True,
) -> Written:
    """Write k-space simulated from images, in files of several images each.

    Args:
        output: the folder, as for `write_phantom_dataset`.
        layout: "cmrxrecon" or "fastmri".
        images: of `jaxrecon.data.images.load_images`.
        settings: of the simulation.
        parts: the images of each part ("train", "validation", "test"), by index.
        source: what the images are; stands in the files.
        images_per_case: consecutive images of a part that make a file, as slice positions of one
            case; the last file of a part may hold fewer.
        contrast: name of the file (cmrxrecon) or its attribute `acquisition` (fastmri).
        overwrite: replace files made with other settings.
        progress: show a progress bar.

    Returns:
        The files.

    Raises:
        InputError: parts overlap or reach beyond the images, or a file is there that was made with
            other settings or for another part.
    """
    _check(layout, parts, settings.oversampling)
    if images_per_case < 1:
        raise InputError(f"images per case: expected at least 1, found {images_per_case}")
    for part, chosen in parts.items():
        if chosen and not 0 <= chosen[0] <= chosen[-1] < len(images):
            raise InputError(
                f"parts: expected images from 0 to {len(images) - 1} in {part!r}, "
                f"found {chosen[0]}-{chosen[-1]}"
            )
    rows, columns = images.shape[1:]
    crop = (settings.height or rows, settings.width or columns)

    def case(part: str, number: int, chosen: range) -> _Case:
        digest = hashlib.sha256(images[chosen[0] : chosen[-1] + 1].tobytes()).hexdigest()
        origin = f"{source}, images {chosen[0]}-{chosen[-1]} (sha256 {digest[:16]}), "
        origin += "simulated coils and noise, "
        origin += "own phase" if np.iscomplexobj(images) else "simulated phase"

        def kspace() -> KSpace:
            return np.stack([image_kspace(images[n], settings, n) for n in chosen])[None]

        return _case(
            output, layout, part, number, contrast,
            crop=crop, comment=_comment(origin, contrast, settings), kspace=kspace,
        )  # fmt: skip

    cases: list[_Case] = []
    for part, chosen in parts.items():
        for first in range(0, len(chosen), images_per_case):
            cases.append(case(part, len(cases), chosen[first : first + images_per_case]))
    return _write(layout, cases, overwrite, progress)


def _check(layout: str, parts: Mapping[str, range], oversampling: int) -> None:
    if layout not in LAYOUTS:
        raise InputError(f"layout: expected one of {', '.join(LAYOUTS)}, found {layout!r}")
    if layout == "cmrxrecon" and oversampling != 1:
        raise InputError(
            "oversampling: expected 1, as cmrxrecon files do not store a crop, "
            f"found {oversampling}"
        )
    for part in parts:
        if part not in PARTS:
            raise InputError(f"parts: expected the names {', '.join(PARTS)}, found {part!r}")
    numbers = [number for chosen in parts.values() for number in chosen]
    if not numbers:
        raise InputError("parts: expected at least one case, found none")
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise InputError(f"parts: expected each number in one part, found {twice} in several")


def _case(
    output: Path,
    layout: str,
    part: str,
    number: int,
    contrast: str,
    *,
    crop: tuple[int, int],
    comment: str,
    kspace: Callable[[], KSpace],
) -> _Case:
    name = f"P{number + 1:03d}" if layout == "cmrxrecon" else f"file{1000001 + number}"

    def path(part: str) -> Path:
        if layout == "fastmri":
            return output / f"multicoil_{_FASTMRI_FOLDERS[part]}" / f"{name}.h5"
        return cmrxrecon.volume_path(
            output, part=_CMRXRECON_SETS[part], case=name, contrast=contrast
        )

    rivals = tuple(path(other) for other in PARTS if other != part)
    return _Case(path(part), rivals, name, contrast, crop, comment, kspace)


def _comment(source: str, contrast: str, settings: PhantomSettings | ImageSettings) -> str:
    described = {
        "simulated": True,
        "by": "jaxrecon",
        "revision": _REVISION,
        "source": source,
        "contrast": contrast,
        "settings": dataclasses.asdict(settings),
    }
    return json.dumps(described, sort_keys=True)


def _write(layout: str, cases: list[_Case], overwrite: bool, progress: bool) -> Written:
    missing = [case for case in cases if not _is_there(case, overwrite)]
    for case in tqdm(
        missing, "simulating", unit="file", disable=None if progress else True, leave=False
    ):
        _write_case(layout, case)
    written = {case.path for case in missing}
    kept = tuple(case.path for case in cases if case.path not in written)
    return Written(tuple(case.path for case in missing), kept)


def _is_there(case: _Case, overwrite: bool) -> bool:
    for rival in case.rivals:
        if rival.exists():
            raise InputError(
                f"{rival}: expected {case.name} in one part only, as {case.path}; "
                "remove the file or choose another folder"
            )
    if not case.path.exists():
        return False
    try:
        with h5py.File(case.path, "r") as file:
            found = file.attrs.get("comment", "")
    except OSError:
        found = ""
    if found == case.comment:
        return True
    if not overwrite:
        raise InputError(
            f"{case.path}: expected no file or one simulated with these settings, found another; "
            "overwrite it or choose another folder"
        )
    return False


def _write_case(layout: str, case: _Case) -> None:
    kspace = case.kspace()
    if layout == "cmrxrecon":
        cmrxrecon.write_volume(case.path, kspace, comment=case.comment)
        return
    fastmri.write_volume(
        case.path,
        kspace.reshape(-1, *kspace.shape[2:]),
        crop_height=case.crop[0],
        crop_width=case.crop[1],
        contrast=case.contrast,
        case=case.name,
        comment=case.comment,
    )
