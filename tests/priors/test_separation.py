import numpy as np
import pytest

from jaxrecon.priors.contrastive import CODE, PAPER
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    Provenance,
    check_embeddings,
    create_embeddings,
)
from jaxrecon.priors.separation import separation

TOKENS, WIDTH = 3, 8


def write(path, positives, negatives):
    with create_embeddings(path, Provenance("e", "f", {}, {}, ("layer1",))) as writer:
        for kind, array in ((POSITIVE, positives), (NEGATIVE, negatives)):
            writer.append(kind, [array], [str(i) for i in range(len(array))])
    return check_embeddings(path)


def draw(count, seed):
    return np.random.default_rng(seed).normal(size=(count, TOKENS, WIDTH)) + 1


def cosines(a, b):
    """Of all pairs, averaged over the tokens."""
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return np.einsum("itw,jtw->ij", a, b) / TOKENS


def equation_3(embedding, positives, negatives):
    pull = np.exp(cosines(embedding, positives) / 0.07).sum(1)
    push = np.exp(cosines(embedding, negatives) / 0.07).sum(1)
    return -np.log(pull / (pull + push))


def test_cosines_are_those_of_all_pairs(tmp_path):
    positives, negatives = draw(40, 0), draw(35, 1) + 0.5
    found = separation(write(tmp_path / "p.h5", positives, negatives), "layer1")
    for value, images in ((found.positives, positives), (found.negatives, negatives)):
        pairs = cosines(images, images)[~np.eye(len(images), dtype=bool)]
        assert value == pytest.approx(pairs.mean(), rel=1e-5)
    assert found.between == pytest.approx(cosines(positives, negatives).mean(), rel=1e-5)


def test_the_last_fifth_is_judged_by_the_others(tmp_path):
    positives, negatives = draw(20, 0), draw(10, 1) - 0.5
    file = write(tmp_path / "p.h5", positives, negatives)
    found = separation(file, "layer1", CODE).held_out
    references = positives[:16], negatives[:8]
    near, far = (equation_3(x, *references) for x in (positives[16:], negatives[8:]))
    assert found.positive == pytest.approx(near.mean(), rel=1e-5)
    assert found.negative == pytest.approx(far.mean(), rel=1e-5)
    assert found.nearer == pytest.approx(np.mean([p < n for p in near for n in far]))


def test_many_images_are_judged_by_some_of_them(tmp_path):
    positives = np.repeat(draw(1, 0), 400, axis=0)
    found = separation(write(tmp_path / "p.h5", positives, -positives), "layer1", PAPER)
    # 64 of each class: log(1 + exp(-2 / 0.07)) and its opposite.
    assert found.held_out.positive == pytest.approx(np.log1p(np.exp(-2 / 0.07)), rel=1e-3, abs=0)
    assert found.held_out.negative == pytest.approx(2 / 0.07, rel=1e-5)
    assert found.held_out.nearer == 1


def test_too_few_images_are_not_judged(tmp_path):
    found = separation(write(tmp_path / "p.h5", draw(1, 0), draw(4, 1)), "layer1")
    assert found.positives is None
    assert found.negatives is not None
    assert found.held_out is None
