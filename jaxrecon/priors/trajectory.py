"""Files of trajectories: what a scan-specific reconstruction looked like on its way.

An HDF5 file with the attributes `format`, `method`, `levels`, `losses` and `provenance` (the last
three in JSON) and the data sets `titles`, `steps`, `images`, `losses` (terms, kept, slices),
`zero_filled` and, where they are known, `target` and `answers`. The group `embeddings` has a data
set (kept, slices, width) for each level; `references` a group for each level, with `positives` and
`negatives`.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, Int

from jaxrecon.data.hdf5 import create_file, open_file, require_dataset
from jaxrecon.errors import InputError
from jaxrecon.priors.semantic_prior import References

_FORMAT = "jaxrecon trajectory 1"

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """The reconstructions of some slices by one method, from the first step to the last.

    Attributes:
        method: as in results, with "(random encoder)" where it applies.
        titles: what each slice is, such as "brain.h5, slice 3".
        steps: of the optimiser that were done, rising.
        images: magnitudes in the scale of the scan.
        losses: by term, "data", "tv", "semantic", "semantic/layer7", unweighted.
        embeddings: of the images at each level of the prior, low to high; empty without a prior.
        references: what these are compared with, by level; empty without a prior.
        answers: what the language model said of each image; empty without one.
        zero_filled: magnitudes of the zero-filled images, in the same scale.
        target: magnitudes of the fully sampled images, in the same scale; None where unknown.
        provenance: what it takes to repeat it, JSON values. `["prior"]["prompt"]` is the prompt of
            a language prior.
    """

    method: str
    titles: tuple[str, ...]
    steps: Int[np.ndarray, " kept"]
    images: Float32[np.ndarray, "kept slices rows columns"]
    losses: Mapping[str, Float32[np.ndarray, "kept slices"]]
    embeddings: Mapping[str, Float32[np.ndarray, "kept slices _"]]
    references: Mapping[str, References]
    answers: tuple[tuple[str, ...], ...]
    zero_filled: Float32[np.ndarray, "slices rows columns"]
    target: Float32[np.ndarray, "slices rows columns"] | None
    provenance: Mapping[str, Any]


def write_trajectory(path: Path, trajectory: Trajectory) -> None:
    """Write a trajectory; the file appears when it is complete.

    Args:
        path: the file.
        trajectory: what it holds.
    """
    with create_file(path) as file:
        file.attrs["format"] = _FORMAT
        file.attrs["method"] = trajectory.method
        file.attrs["levels"] = json.dumps(list(trajectory.embeddings))
        file.attrs["losses"] = json.dumps(list(trajectory.losses))
        file.attrs["provenance"] = json.dumps(trajectory.provenance)
        _write_texts(file, "titles", trajectory.titles)
        file["steps"] = trajectory.steps
        file["images"] = trajectory.images
        file["zero_filled"] = trajectory.zero_filled
        if trajectory.target is not None:
            file["target"] = trajectory.target
        if trajectory.losses:
            file["losses"] = np.stack(list(trajectory.losses.values()))
        for level, vectors in trajectory.embeddings.items():
            file[f"embeddings/{level}"] = vectors
        for level, references in trajectory.references.items():
            for kind, vectors in references._asdict().items():
                file[f"references/{level}/{kind}"] = vectors
        if trajectory.answers:
            _write_texts(file, "answers", trajectory.answers)


def read_trajectory(path: Path) -> Trajectory:
    """Read a trajectory.

    Args:
        path: the file.

    Raises:
        InputError: it is missing or damaged, not such a file, or its parts do not go together.
    """
    with open_file(path) as file:
        if file.attrs.get("format") != _FORMAT:
            raise InputError(
                f"{path}: expected a trajectory that `jaxrecon.reconstruct` wrote, "
                f"found format {file.attrs.get('format')!r}"
            )
        try:
            method = str(file.attrs["method"])
            levels, terms, provenance = (
                json.loads(file.attrs[name]) for name in ("levels", "losses", "provenance")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: expected the description of a trajectory, found {error!r}"
            ) from None
        images = _numbers(file, "images", (None, None, None, None))
        kept, slices, rows, columns = images.shape
        losses = (
            _numbers(file, "losses", (len(terms), kept, slices))
            if terms
            else np.zeros((0, kept, slices), np.float32)
        )
        shape = (slices, rows, columns)
        embeddings = {
            level: _numbers(file, f"embeddings/{level}", (kept, slices, None)) for level in levels
        }
        return Trajectory(
            method,
            tuple(_texts(file, "titles", (slices,))),
            _steps(file, kept),
            images,
            dict(zip(terms, losses, strict=True)),
            embeddings,
            {
                level: References(
                    *(
                        _numbers(file, f"references/{level}/{kind}", (None, vectors.shape[-1]))
                        for kind in References._fields
                    )
                )
                for level, vectors in embeddings.items()
                if f"references/{level}" in file
            },
            tuple(map(tuple, _texts(file, "answers", (kept, slices)))) if "answers" in file else (),
            _numbers(file, "zero_filled", shape),
            _numbers(file, "target", shape) if "target" in file else None,
            provenance,
        )


def _write_texts(file: h5py.File, name: str, texts: Any) -> None:
    file.create_dataset(name, data=np.asarray(texts, object), dtype=h5py.string_dtype())


def _dataset(file: h5py.File, name: str, shape: Shape) -> h5py.Dataset:
    dataset = require_dataset(file, name, (len(shape),))
    if any(expected not in (None, n) for n, expected in zip(dataset.shape, shape, strict=True)):
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(
            f"{file.filename}: expected {name!r} with the shape ({expected}), found {dataset.shape}"
        )
    return dataset


def _texts(file: h5py.File, name: str, shape: Shape) -> list[Any]:
    dataset = _dataset(file, name, shape)
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise InputError(f"{file.filename}: expected texts in {name!r}, found {dataset.dtype}")
    return dataset.asstr()[:].tolist()


def _steps(file: h5py.File, kept: int) -> Int[np.ndarray, " kept"]:
    steps = _dataset(file, "steps", (kept,))[:]
    if not np.issubdtype(steps.dtype, np.integer) or (np.diff(steps) <= 0).any():
        raise InputError(
            f"{file.filename}: expected rising whole numbers in 'steps', found {steps.tolist()}"
        )
    return steps


def _numbers(file: h5py.File, name: str, shape: Shape) -> Float32[np.ndarray, "..."]:
    values = _dataset(file, name, shape)[:]
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        raise InputError(f"{file.filename}: expected finite real numbers in {name!r}, found others")
    return values.astype(np.float32, copy=False)
