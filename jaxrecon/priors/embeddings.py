"""Files of embeddings: auxiliary images of both classes, as an encoder sees them, and how it did.

An HDF5 file with the groups `positive` (fully sampled) and `negative` (undersampled). Each holds
one data set per level, (images, tokens, width), and the data sets `sources` and `masks`, one line
for each image. The attribute `provenance` says in JSON which encoder saw what.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Float32

from jaxrecon.data.hdf5 import create_file, open_file, require_dataset
from jaxrecon.errors import InputError

POSITIVE = "positive"
NEGATIVE = "negative"
CLASSES = (POSITIVE, NEGATIVE)

_FORMAT = "jaxrecon embeddings 1"
_IMAGES_PER_CHUNK = 16


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What made a file's embeddings.

    Attributes:
        encoder: description, such as "weights/clip (openai/clip-vit-base-patch16)".
        encoder_sha256: of the converted weights; None for random ones.
        architecture: `ViTSpec.to_json` of it, or what else tells encoders apart.
        preprocessing: from image to the encoder's pixels, JSON values.
        levels: names of the embeddings kept, low to high, such as "layer7".
        details: whatever else it takes to repeat it, JSON values: configuration, mask family,
            code version.
    """

    encoder: str
    encoder_sha256: str | None
    architecture: dict[str, Any]
    preprocessing: dict[str, Any]
    levels: tuple[str, ...]
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What tells its encoder from others, in a few words."""
        if self.encoder_sha256 is None:
            return self.encoder
        return f"{self.encoder}, sha256 {self.encoder_sha256[:12]}"


@dataclasses.dataclass(frozen=True)
class EmbeddingFile:
    """A file that was checked.

    Attributes:
        path: of the file.
        provenance: what made it.
        images: number of images by class.
        shapes: tokens and width by level.
    """

    path: Path
    provenance: Provenance
    images: dict[str, int]
    shapes: dict[str, tuple[int, int]]


class EmbeddingWriter:
    """Appends to a file that `create_embeddings` opened."""

    def __init__(self, file: h5py.File, path: Path, levels: tuple[str, ...]) -> None:
        self._file, self._path, self._levels = file, path, levels
        self.images = dict.fromkeys(CLASSES, 0)

    def add_details(self, details: Mapping[str, Any]) -> None:
        """Add to the provenance what was not known before there were embeddings.

        Args:
            details: JSON values.
        """
        content = json.loads(self._file.attrs["provenance"])
        content["details"] |= details
        self._file.attrs["provenance"] = json.dumps(content)

    def append(
        self,
        kind: str,
        embeddings: Sequence[Float[np.ndarray, "images tokens width"]],
        sources: Sequence[str],
        masks: Sequence[str] = (),
    ) -> None:
        """Add images to a class.

        Args:
            kind: "positive" or "negative".
            embeddings: one array for each level, kept as float32.
            sources: where each image comes from, such as "P001/cine_sax.mat, slice 3".
            masks: how each was undersampled; empty for images that were not.

        Raises:
            InputError: an embedding is not finite.
            ValueError: lengths or shapes do not go together.
        """
        masks = masks or [""] * len(sources)
        counts = {len(sources), len(masks), *(len(array) for array in embeddings)}
        if kind not in CLASSES or len(counts) != 1 or len(embeddings) != len(self._levels):
            raise ValueError(f"{kind}: {len(embeddings)} levels with {sorted(counts)} images")
        group = self._file.require_group(kind)
        for level, array in zip(self._levels, embeddings, strict=True):
            finite = np.isfinite(array).all(axis=(1, 2))
            if not finite.all():
                raise InputError(
                    f"{self._path}: expected finite embeddings, found others in {level} of "
                    f"{sources[int(np.argmin(finite))]}"
                )
            _extend(group, level, np.asarray(array, np.float32))
        _extend(group, "sources", np.asarray(sources, object))
        _extend(group, "masks", np.asarray(masks, object))
        self.images[kind] += len(sources)


@contextmanager
def create_embeddings(path: Path, provenance: Provenance) -> Iterator[EmbeddingWriter]:
    """Write a file of embeddings; it appears when it is complete.

    Args:
        path: the file.
        provenance: what makes it.

    Yields:
        What appends to it.

    Raises:
        InputError: a class is still empty at the end; no file is left.
    """
    with create_file(path) as file:
        file.attrs["format"] = _FORMAT
        file.attrs["provenance"] = json.dumps(dataclasses.asdict(provenance))
        writer = EmbeddingWriter(file, path, provenance.levels)
        yield writer
        _require_both_classes(path, writer.images)


def check_embeddings(path: Path) -> EmbeddingFile:
    """Look at a file of embeddings without reading them.

    Raises:
        InputError: it is missing or damaged, not such a file, or one class is empty.
    """
    with open_file(path) as file:
        provenance = _read_provenance(file)
        images = dict.fromkeys(CLASSES, 0)
        shapes: dict[str, tuple[int, int]] = {}
        for kind in CLASSES:
            for level in provenance.levels:
                if f"{kind}/{level}" not in file:
                    continue
                count, tokens, width = require_dataset(file, f"{kind}/{level}", (3,)).shape
                images[kind] = count
                if shapes.setdefault(level, (tokens, width)) != (tokens, width):
                    raise InputError(
                        f"{path}: expected {level} of one shape in both classes, found "
                        f"{shapes[level]} and {(tokens, width)}"
                    )
        _require_both_classes(path, images)
        for kind in CLASSES:
            for level in provenance.levels:
                found = require_dataset(file, f"{kind}/{level}", (3,)).shape[0]
                if found != images[kind]:
                    raise InputError(
                        f"{path}: expected {images[kind]} {kind} images in {level}, found {found}"
                    )
    return EmbeddingFile(path, provenance, images, shapes)


def require_same_encoder(file: EmbeddingFile, expected: Provenance) -> None:
    """Check that a run would embed its images as the file's were.

    Args:
        file: to be used as a prior.
        expected: the run's own encoder, preprocessing and levels.

    Raises:
        InputError: encoder, preprocessing or levels are other ones; the message names both.
    """
    found = file.provenance
    # A folder may have moved: the weights' hash counts where there is one, else the description.
    same = found.encoder_sha256 == expected.encoder_sha256
    if not same or (found.encoder_sha256 is None and found.encoder != expected.encoder):
        raise InputError(
            f"{file.path}: expected embeddings of {expected.identity}, "
            f"found those of {found.identity}"
        )
    for field in ("architecture", "preprocessing"):
        # As JSON has them: a tuple comes back as a list.
        ours, theirs = json.loads(json.dumps(getattr(expected, field))), getattr(found, field)
        differing = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        if differing:
            key = differing[0]
            raise InputError(
                f"{file.path}: expected embeddings of {field} {key} = {ours.get(key)}, "
                f"found {theirs.get(key)}"
            )
    missing = [level for level in expected.levels if level not in found.levels]
    if missing:
        raise InputError(
            f"{file.path}: expected embeddings of {', '.join(expected.levels)}, "
            f"found {', '.join(found.levels)}"
        )


def read_blocks(
    file: EmbeddingFile,
    kind: str,
    level: str,
    images: Sequence[int] | None = None,
    *,
    block: int = 32,
) -> Iterator[Float32[np.ndarray, "images tokens width"]]:
    """Read a level of a class, a few images at a time.

    Args:
        file: see `check_embeddings`.
        kind: "positive" or "negative".
        level: one of the file's.
        images: which, in rising order; None for all.
        block: images at a time.

    Raises:
        InputError: the file cannot be read.
    """
    chosen = np.arange(file.images[kind]) if images is None else np.asarray(images)
    for first in range(0, len(chosen), block):
        with open_file(file.path) as opened:
            dataset = require_dataset(opened, f"{kind}/{level}", (3,))
            array = dataset[chosen[first : first + block]]
        yield array.astype(np.float32, copy=False)


def read_labels(file: EmbeddingFile, kind: str) -> tuple[list[str], list[str]]:
    """Source and mask of every image of a class.

    Args:
        file: see `check_embeddings`.
        kind: "positive" or "negative".

    Raises:
        InputError: the file cannot be read.
    """
    with open_file(file.path) as opened:
        sources, masks = (
            list(require_dataset(opened, f"{kind}/{name}", (1,)).asstr()[:])
            for name in ("sources", "masks")
        )
    return sources, masks


def _extend(group: h5py.Group, name: str, values: np.ndarray) -> None:
    if name in group:
        dataset = group[name]
        if dataset.shape[1:] != values.shape[1:]:
            raise ValueError(f"{dataset.name}: {values.shape[1:]} after {dataset.shape[1:]}")
        dataset.resize(len(dataset) + len(values), axis=0)
        dataset[-len(values) :] = values
        return
    is_text = values.dtype == object
    group.create_dataset(
        name,
        data=values,
        dtype=h5py.string_dtype() if is_text else None,
        maxshape=(None, *values.shape[1:]),
        chunks=(_IMAGES_PER_CHUNK * (16 if is_text else 1), *values.shape[1:]),
    )


def _read_provenance(file: h5py.File) -> Provenance:
    if file.attrs.get("format") != _FORMAT:
        raise InputError(
            f"{file.filename}: expected a file of embeddings that `jaxrecon.embed` wrote, "
            f"found format {file.attrs.get('format')!r}"
        )
    try:
        content = json.loads(file.attrs["provenance"])
        return Provenance(**{**content, "levels": tuple(content["levels"])})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file.filename}: expected the provenance of embeddings, found {error!r}"
        ) from None


def _require_both_classes(path: Path, images: dict[str, int]) -> None:
    if not all(images.values()):
        found = " and ".join(f"{count} {kind}" for kind, count in images.items())
        raise InputError(f"{path}: expected images of both classes, found {found}")
