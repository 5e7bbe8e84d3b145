"""Embeddings of one level in two dimensions: references, final reconstructions and one path.

UMAP (McInnes et al. 2018, arXiv:1802.03426) where the extra `viz` is installed, principal
components elsewhere. Both see directions, as the prior compares embeddings by their cosine.
"""

import dataclasses
import importlib.util
import warnings

import numpy as np
from jaxtyping import Float, Float32

from jaxrecon.priors.semantic_prior import References
from jaxrecon.priors.trajectory import Trajectory

UMAP = "UMAP"
PCA = "principal components"

# References of a class, spread evenly: more take minutes and cover each other.
_MOST_REFERENCES = 1000
_NEIGHBOURS = 15
_FEWEST_FOR_UMAP = 5
_SEED = 0


@dataclasses.dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """One level in two dimensions without unit.

    Attributes:
        level: its name.
        projection: how the dimensions were made, `UMAP` or `PCA`.
        positives: of the auxiliary images, `counts[0]` in all.
        negatives: likewise, `counts[1]` in all.
        finals: of the last reconstruction of every slice.
        path: of the slice that stands for all, from the first step kept to the last.
        counts: positives and negatives that the trajectory holds.
    """

    level: str
    projection: str
    positives: Float[np.ndarray, "positives 2"]
    negatives: Float[np.ndarray, "negatives 2"]
    finals: Float[np.ndarray, "slices 2"]
    path: Float[np.ndarray, "kept 2"]
    counts: tuple[int, int]


def embedding_map(
    trajectory: Trajectory, level: str, place: int, *, projection: str | None = None
) -> EmbeddingMap:
    """Project a level; one projection is fitted to everything that is shown.

    Args:
        trajectory: with embeddings of the level.
        level: its name.
        place: the slice whose path is shown.
        projection: `UMAP` or `PCA`; None for the first of them that can be had.
    """
    embeddings = trajectory.embeddings[level]
    width = embeddings.shape[-1]
    none = np.zeros((0, width), np.float32)
    references = trajectory.references.get(level, References(none, none))
    shown = [_spread(vectors) for vectors in references]
    parts = [*shown, embeddings[-1], embeddings[:, place]]
    projection, points = project(np.concatenate(parts), projection)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    positives, negatives, finals, path = np.split(points, ends)
    counts = (len(references.positives), len(references.negatives))
    return EmbeddingMap(level, projection, positives, negatives, finals, path, counts)


def has_umap() -> bool:
    """Whether the extra `viz` is installed."""
    return importlib.util.find_spec("umap") is not None


def project(
    vectors: Float32[np.ndarray, "points width"], projection: str | None = None
) -> tuple[str, Float[np.ndarray, "points 2"]]:
    """Directions of vectors in two dimensions; the same vectors give the same points.

    Args:
        vectors: of any length.
        projection: `UMAP` or `PCA`; None for the first of them that can be had. Fewer points than
            UMAP can place, and points that are all the same, are projected by `PCA`.

    Returns:
        What the projection was, and the points.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    plane = principal_plane(directions)
    if projection is None:
        projection = UMAP if has_umap() else PCA
    if projection == PCA or len(vectors) < _FEWEST_FOR_UMAP or not np.ptp(plane, axis=0).all():
        return PCA, plane
    with warnings.catch_warnings():
        # On import it says that its variant for TensorFlow is not there.
        warnings.simplefilter("ignore", ImportWarning)
        import umap
    fitted = umap.UMAP(
        n_neighbors=min(_NEIGHBOURS, len(vectors) - 1),
        metric="cosine",
        init=plane,
        random_state=_SEED,
        n_jobs=1,
    )
    return UMAP, fitted.fit_transform(directions)


def principal_plane(
    vectors: Float32[np.ndarray, "points width"],
) -> Float32[np.ndarray, "points 2"]:
    """Coordinates along the two directions in which the points vary most.

    The largest coordinate by magnitude along each is positive.

    Args:
        vectors: at least one.
    """
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(vectors), 2), np.float32)
    found = min(2, len(values))
    coordinates[:, :found] = (left * values)[:, :found]
    largest = coordinates[np.abs(coordinates).argmax(axis=0), [0, 1]]
    return coordinates * np.where(largest < 0, -1, 1).astype(np.float32)


def _spread(vectors: Float32[np.ndarray, "references width"]) -> np.ndarray:
    if len(vectors) <= _MOST_REFERENCES:
        return vectors
    return vectors[np.linspace(0, len(vectors) - 1, _MOST_REFERENCES).round().astype(int)]
