import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.priors.bank import bank_bytes, draw_images, load_bank
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    Provenance,
    check_embeddings,
    create_embeddings,
)

LEVELS = ("layer1", "layer2")
TOKENS, WIDTH = 6, 20
COUNTS = {POSITIVE: 40, NEGATIVE: 35}


@pytest.fixture(scope="module")
def arrays():
    generator = np.random.default_rng(0)
    return {
        kind: [generator.normal(size=(count, TOKENS, WIDTH)).astype(np.float32) + 3 for _ in LEVELS]
        for kind, count in COUNTS.items()
    }


@pytest.fixture(scope="module")
def file(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "priors.h5"
    with create_embeddings(path, Provenance("e", "f", {}, {}, LEVELS)) as writer:
        for kind, levels in arrays.items():
            writer.append(kind, levels, [str(i) for i in range(COUNTS[kind])])
    return check_embeddings(path)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_without_a_projection_references_are_the_embeddings_directions(file, arrays):
    bank = load_bank(file, LEVELS)
    for position, level in enumerate(bank):
        assert level.projection is None
        for kind, found in ((POSITIVE, level.positives), (NEGATIVE, level.negatives)):
            assert isinstance(found, np.ndarray)
            np.testing.assert_allclose(found, unit(arrays[kind][position]), atol=1e-6)


def test_a_projection_is_fitted_on_every_token_of_both_classes(file, arrays):
    bank = load_bank(file, LEVELS[::-1], (3, 7))
    for level, position, size in zip(bank, (1, 0), (3, 7), strict=True):
        rows = np.concatenate([arrays[kind][position].reshape(-1, WIDTH) for kind in arrays])
        centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        signs = np.sign(np.sum(axes[:size] * level.projection.components.T, axis=1))
        components = (axes[:size] * signs[:, None]).T
        np.testing.assert_allclose(level.projection.components, components, atol=1e-5)
        expected = unit((arrays[NEGATIVE][position] - rows.mean(0)) @ components)
        np.testing.assert_allclose(level.negatives, expected, atol=1e-4)


def test_half_precision_takes_half_the_memory(file):
    whole, half = load_bank(file, LEVELS), load_bank(file, LEVELS, dtype=jnp.bfloat16)
    assert bank_bytes(whole) == 2 * bank_bytes(half) == 2 * (40 + 35) * TOKENS * WIDTH * 4
    assert np.abs(half[0].positives.astype(np.float32) - whole[0].positives).max() < 0.004


def test_what_does_not_fit_is_drawn_alike_in_every_level(file):
    bank = load_bank(file, LEVELS)
    assert draw_images(bank, bank_bytes(bank), 0) is bank
    memory = bank_bytes(bank) // 3
    drawn = draw_images(bank, memory, 0)
    assert 0.8 * memory < bank_bytes(drawn) <= memory
    for kind in ("positives", "negatives"):
        whole = [getattr(level, kind) for level in bank]
        part = [getattr(level, kind) for level in drawn]
        places = [int(np.flatnonzero((whole[0] == image).all((1, 2))).item()) for image in part[0]]
        assert places == sorted(set(places))
        np.testing.assert_array_equal(part[1], whole[1][places])
    again, other = draw_images(bank, memory, 0), draw_images(bank, memory, 1)
    np.testing.assert_array_equal(again[0].positives, drawn[0].positives)
    assert not np.array_equal(other[0].positives, drawn[0].positives)
    with pytest.raises(InputError, match=r"at least one image of each class, .* found 100"):
        draw_images(bank, 100, 0)


def test_unusable_components_are_named(file):
    with pytest.raises(InputError, match="principal components for 2 levels, found 3"):
        load_bank(file, LEVELS, (1, 2, 3))
    with pytest.raises(InputError, match=r"priors.h5: layer1: expected 1 to 20 .* found 21"):
        load_bank(file, LEVELS, (21, 3))
