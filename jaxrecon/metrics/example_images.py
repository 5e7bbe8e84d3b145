"""Images of single slices that a results file refers to, for figures and pages made of it.

A file of examples is an `.npz` with one float32 array (height, width) for each image, already cut
to the judged region: "target" where there is one, and "image0", "image1" ... in the methods' order.
"""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError

Image = Float32[np.ndarray, "_ _"]

# Above this quantile scales are saturated, so that a few pixels do not darken all others.
QUANTILE = 0.999


@dataclasses.dataclass(frozen=True, eq=False)
class ExampleImages:
    """One slice as every method shows it.

    Attributes:
        data_set: name of the data set, as in the rows of results.
        file: name of the slice's file.
        index: the slice's place in the file.
        mask: family of the mask.
        acceleration: nominal acceleration.
        acs: calibration columns.
        target: the fully sampled image; None where there is none.
        images: reconstructions by method, the zero-filled image among them.
        scores: each method's metrics on this slice or its file, by method.
    """

    data_set: str
    file: str
    index: int
    mask: str
    acceleration: float
    acs: int
    target: Image | None
    images: Mapping[str, Image]
    scores: Mapping[str, Mapping[str, float]]

    @property
    def white(self) -> float:
        """The value that is drawn white in every image: the target's maximum.

        Without a target it is the largest 99.9 % quantile over the images.
        """
        if self.target is not None:
            return float(self.target.max()) or 1.0
        return max(float(np.quantile(image, QUANTILE)) for image in self.images.values()) or 1.0

    @property
    def errors(self) -> dict[str, Image]:
        """Absolute errors by label, over `white`; empty without a target."""
        if self.target is None:
            return {}
        return {
            label: np.abs(image - self.target) / np.float32(self.white)
            for label, image in self.images.items()
        }


_FIELDS = ("data_set", "file", "index", "mask", "acceleration", "acs", "scores")


def write_example(path: Path, example: ExampleImages) -> None:
    """Write one slice's images; the file is never seen half-written."""
    about = {field: getattr(example, field) for field in _FIELDS}
    about["methods"] = list(example.images)
    arrays = {f"image{place}": image for place, image in enumerate(example.images.values())}
    if example.target is not None:
        arrays["target"] = example.target
    arrays["about"] = np.array(json.dumps(about))
    with unfinished(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_example(path: Path) -> ExampleImages:
    """Read what `write_example` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            about = json.loads(str(file["about"]))
            methods = about.pop("methods")
            images = {method: file[f"image{place}"] for place, method in enumerate(methods)}
            target = file.get("target")
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected images of a slice, found {error}") from None
    return ExampleImages(**about, target=target, images=images)
