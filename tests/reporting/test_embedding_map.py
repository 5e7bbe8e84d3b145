import dataclasses

import numpy as np
import pytest
import trajectories

from jaxrecon.priors.semantic_prior import References
from jaxrecon.reporting import embedding_map as module
from jaxrecon.reporting.embedding_map import PCA, UMAP, embedding_map, principal_plane, project


def _separation(first, second):
    """Distance of two clusters' centres over the larger mean distance from them."""
    centres = [cluster.mean(axis=0) for cluster in (first, second)]
    spread = max(
        np.linalg.norm(cluster - centre, axis=1).mean()
        for cluster, centre in zip((first, second), centres, strict=True)
    )
    return np.linalg.norm(centres[0] - centres[1]) / spread


def _has_moved_from_negatives_to_positives(found):
    start, end = found.path[0], found.path[-1]
    positive, negative = found.positives.mean(axis=0), found.negatives.mean(axis=0)
    return np.linalg.norm(start - negative) < np.linalg.norm(start - positive) and (
        np.linalg.norm(end - positive) < np.linalg.norm(end - negative)
    )


def test_principal_components_are_those_of_the_covariance():
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(40, 6)) * [5, 1, 3, 0.5, 0.2, 0.1]).astype(np.float32)
    found = principal_plane(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    expected = centred @ axes[:, [-1, -2]]
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, rtol=1e-5, atol=1e-5)
    assert (found[np.abs(found).argmax(axis=0), [0, 1]] > 0).all()


@pytest.mark.parametrize(("count", "width"), [(1, 3), (2, 3), (5, 1)])
def test_few_points_and_dimensions_have_a_plane(count, width):
    vectors = np.arange(count * width, dtype=np.float32).reshape(count, width) ** 2
    plane = principal_plane(vectors)
    assert plane.shape == (count, 2)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (plane, vectors)]
    np.testing.assert_allclose(*distances, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("projection", [UMAP, PCA])
def test_clusters_are_apart_and_the_path_leads_from_one_to_the_other(projection):
    if projection == UMAP:
        pytest.importorskip("numba")
    trajectory = trajectories.made(kept=9, slices=3, references=40)
    found = embedding_map(trajectory, "layer7", 1, projection=projection)
    assert found.projection == projection
    assert [len(x) for x in (found.positives, found.negatives, found.finals, found.path)] == [
        40, 40, 3, 9
    ]  # fmt: skip
    assert found.counts == (40, 40)
    assert _separation(found.positives, found.negatives) > 3
    assert _has_moved_from_negatives_to_positives(found)
    again = embedding_map(trajectory, "layer7", 1, projection=projection)
    for field in ("positives", "negatives", "finals", "path"):
        np.testing.assert_array_equal(getattr(found, field), getattr(again, field))


def test_lengths_do_not_count():
    vectors = np.concatenate(trajectories.clusters(10, 8))
    lengths = np.linspace(0.1, 30, len(vectors), dtype=np.float32)[:, None]
    name, plane = project(vectors, PCA)
    assert name == PCA
    np.testing.assert_allclose(project(vectors * lengths, PCA)[1], plane, atol=1e-5)
    assert np.isfinite(project(np.zeros((6, 4), np.float32), UMAP)[1]).all()


@pytest.mark.parametrize("count", [2, 5, 6, 12])
def test_umap_places_as_many_points_as_it_can(count):
    vectors = np.concatenate(trajectories.clusters(count // 2 + 1, 8))[:count]
    name, points = project(vectors, UMAP)
    assert name == (PCA if count < 5 else UMAP)
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


def test_without_umap_principal_components_are_shown(monkeypatch):
    monkeypatch.setattr(module, "has_umap", lambda: False)
    assert embedding_map(trajectories.made(), "layer1", 0).projection == PCA


def test_many_references_are_thinned_and_counted():
    trajectory = trajectories.made()
    positives, negatives = trajectories.clusters(2500, trajectories.LEVELS["layer1"])
    references = {"layer1": References(positives, negatives[:30])}
    trajectory = dataclasses.replace(trajectory, references=references)
    found = embedding_map(trajectory, "layer1", 0, projection=PCA)
    assert (len(found.positives), len(found.negatives)) == (1000, 30)
    assert found.counts == (2500, 30)
    alone = embedding_map(trajectory, "layer7", 0, projection=PCA)
    assert alone.counts == (0, 0)
    assert alone.path.shape == (6, 2)
