"""Reconstructions on their way to disk, slice by slice, so that a killed evaluation loses none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrecon.data.plan import SliceReference
from jaxrecon.data.submission import submission_path, write_submission
from jaxrecon.training.evaluation_folder import slug


class ImageStore:
    """Collects the images of one setting and hands them on file by file.

    Images are kept in plain arrays on disk, which a kill cannot damage, until their file is
    complete; then they become a file in fastMRI's submission layout.
    """

    def __init__(
        self,
        partial: Path,
        final: Mapping[str, Path],
        slices: Sequence[SliceReference],
        attributes: Mapping[str, str | float],
    ):
        """Write nothing yet.

        Args:
            partial: folder for what is not finished.
            final: folder of each method's reconstructions.
            slices: all judged slices, which make up the files.
            attributes: stored with every file.
        """
        self._partial = partial
        self._final = final
        self._attributes = attributes
        self._indices: dict[str, list[int]] = {}
        for reference in slices:
            self._indices.setdefault(reference.volume.name, []).append(reference.index)

    def put(
        self, reference: SliceReference, images: Mapping[str, Float32[np.ndarray, "height width"]]
    ) -> None:
        """Keep a slice's images.

        Args:
            reference: the slice.
            images: by method.
        """
        indices = self._indices[reference.volume.name]
        for method, image in images.items():
            path = self._unfinished(method, reference.volume.name)
            if path.exists():
                stored = np.lib.format.open_memmap(path, mode="r+")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                stored = np.lib.format.open_memmap(
                    path, mode="w+", dtype=np.float32, shape=(len(indices), *image.shape)
                )
            stored[indices.index(reference.index)] = image

    def finish(self) -> None:
        """Write every file in the submission layout, with the indices of its slices.

        What an earlier attempt finished is left as it is.
        """
        for method, folder in self._final.items():
            for name, indices in self._indices.items():
                path = self._unfinished(method, name)
                if path.exists():
                    attributes = {**self._attributes, "method": method, "slices": indices}
                    write_submission(submission_path(folder, name), np.load(path), attributes)
                    path.unlink()

    def _unfinished(self, method: str, name: str) -> Path:
        return self._partial / slug(method) / f"{slug(name)}.npy"
