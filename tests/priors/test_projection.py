import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.priors.projection import Projection, fit_projection, project


def embeddings(rows=300, width=40):
    """Float32 rows with a mean far larger than their spread, as an encoder's are."""
    generator = np.random.default_rng(0)
    spectrum = np.geomspace(1, 1e-2, width)
    turn, _ = np.linalg.qr(generator.normal(size=(width, width)))
    centred = (generator.normal(size=(rows, width)) * spectrum) @ turn
    return (centred + 30 * generator.normal(size=width)).astype(np.float32)


def by_svd(rows, size):
    rows = rows.astype(np.float64)
    _, _, components = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    return rows.mean(0), components[:size].T


@pytest.mark.parametrize("size", [1, 12, 40])
def test_equals_a_singular_value_decomposition_of_all_rows(size):
    rows = embeddings()
    mean, components = by_svd(rows, size)
    found = fit_projection(np.array_split(rows, 7), size)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    overlap = np.abs(components.T @ found.components)
    np.testing.assert_allclose(overlap, np.eye(size), atol=2e-6)
    largest = np.abs(found.components).argmax(0)
    assert (found.components[largest, np.arange(size)] > 0).all()

    projected = jax.jit(project)(jnp.asarray(rows), found)
    expected = (rows - mean) @ components
    signs = np.sign(np.sum(expected * np.asarray(projected), axis=0))
    # float32 rows around 30 carry a rounding of 2e-6 each.
    np.testing.assert_allclose(projected, expected * signs, atol=1e-5)


def test_blocks_do_not_matter():
    rows = embeddings()
    whole = fit_projection([rows], 5)
    split = fit_projection([rows[:0], rows[200:], rows[:1], rows[1:200]], 5)
    np.testing.assert_allclose(split.components, whole.components, atol=1e-6)


def test_no_projection_leaves_embeddings_as_they_are():
    tokens = jnp.asarray(embeddings(4))
    assert project(tokens, None) is tokens


def test_equal_embeddings_project_to_0():
    rows = np.ones((10, 6), np.float32)
    found = project(jnp.asarray(rows), Projection(*fit_projection([rows], 2)))
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize(
    ("rows", "size", "message"),
    [
        (embeddings(10), 10, "expected 1 to 9 principal components of 10 embeddings of width 40"),
        (embeddings(90), 41, "expected 1 to 40 principal components of 90 embeddings"),
        (embeddings(90), 0, "expected 1 to 40 .* found 0"),
        (embeddings(0), 1, "expected 1 to 0 principal components of 0 embeddings"),
    ],
)
def test_too_many_components_are_named(rows, size, message):
    with pytest.raises(InputError, match=message) as caught:
        fit_projection([rows], size, "layer 7")
    assert str(caught.value).startswith("layer 7: ")
