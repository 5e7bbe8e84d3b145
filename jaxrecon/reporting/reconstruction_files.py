"""What `jaxrecon.reconstruct` writes: images, galleries and contact sheets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex64, Float32

from jaxrecon.data.image_files import WRITERS, ImageVolume, suffix_of, write_png
from jaxrecon.data.scan import Scan
from jaxrecon.metrics.example_images import ExampleImages, write_example
from jaxrecon.metrics.results import Row, write_results
from jaxrecon.reporting.contact_sheet import draw_contact_sheet
from jaxrecon.reporting.gallery import draw_gallery

PICTURE = ".png"


def write_images(
    paths: Sequence[Path],
    scan: Scan,
    images: Float32[np.ndarray, "slices rows columns"]
    | Complex64[np.ndarray, "slices rows columns"],
    *,
    method: str,
    description: str,
    keeps_complex: bool,
    about: Mapping[str, Any],
) -> None:
    """Write one reconstruction.

    Args:
        paths: files; the suffix tells the format, `PICTURE` a contact sheet of magnitudes.
        scan: what was reconstructed.
        images: in the unit of the k-space.
        method: name of the method.
        description: of the sampling.
        keeps_complex: write complex images as they are, not their magnitudes.
        about: what it takes to make the images again, JSON values.
    """
    magnitudes = np.abs(images)
    for path in paths:
        if suffix_of(path) == PICTURE:
            titles = [scan.title(index) for index in scan.indices]
            heading = f"{scan.name}, {method}: {description}"
            write_png(path, draw_contact_sheet(magnitudes, titles, heading), dict(about))
        else:
            volume = ImageVolume(
                images=images if keeps_complex else magnitudes,
                indices=scan.indices,
                slices_in_file=scan.slices_in_file,
                frames=scan.frames,
                kspace_shape=scan.shape,
                geometry=scan.geometry,
                description=f"jaxrecon {method}, {description}",
                provenance=dict(about),
            )
            WRITERS[suffix_of(path)](path, volume)


def write_gallery(
    picture: Path,
    heading: str,
    examples: Sequence[ExampleImages],
    rows: Sequence[Row],
    about: Mapping[str, Any],
) -> list[Path]:
    """Write a picture of methods side by side and, beside it, what `jaxrecon.report` takes.

    Args:
        picture: the file.
        heading: over the picture.
        examples: slices by several methods.
        rows: their figures; empty without a target.
        about: what it takes to make the images again, JSON values.

    Returns:
        The files beside the picture: the images of each slice and, with figures, a results file.
    """
    files = [picture.with_name(f"{picture.stem}_slice{found.index}.npz") for found in examples]
    for file, example in zip(files, examples, strict=True):
        write_example(file, example)
    if rows:
        names = [file.name for file in files]
        files.append(picture.with_suffix(".json"))
        write_results(files[-1], dict(about), list(rows), examples=names)
    write_png(picture, draw_gallery(list(examples), heading), dict(about))
    return files
