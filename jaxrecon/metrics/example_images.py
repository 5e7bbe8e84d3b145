"""Images of single slices that a results file refers to, for figures and pages made of it.

A file of examples is an `.npz` with one float32 array (height, width) for each image, already cut
to the judged region: "target" where there is one, and "image0", "image1" ... in the methods' order.
"""

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrecon.errors import InputError

Image = Float32[np.ndarray, "height width"]


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


_FIELDS = ("data_set", "file", "index", "mask", "acceleration", "acs", "scores")


def write_example(path: Path, example: ExampleImages) -> None:
    """Write one slice's images; the file is never seen half-written."""
    about = {field: getattr(example, field) for field in _FIELDS}
    about["methods"] = list(example.images)
    arrays = {f"image{place}": image for place, image in enumerate(example.images.values())}
    if example.target is not None:
        arrays["target"] = example.target
    arrays["about"] = np.array(json.dumps(about))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


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
