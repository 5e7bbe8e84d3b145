import json
import math

import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.metrics.protocol import SliceScores
from jaxrecon.training.partial_results import PartialResults


def scores(file, *indices, value=0.5):
    return {
        method: [SliceScores(file, index, {"ssim": value, "psnr": math.inf}) for index in indices]
        for method in ("zero_filled", "net")
    }


def test_batches_add_up_and_are_found_again(tmp_path):
    path = tmp_path / "knee" / "scores.jsonl"
    partial = PartialResults(path)
    assert (partial.scores, partial.done) == ({}, set())
    assert not path.parent.exists()
    partial.add(scores("a.h5", 0, 1))
    partial.add(scores("b.h5", 0))
    for found in (partial, PartialResults(path)):
        assert list(found.scores) == ["zero_filled", "net"]
        assert found.scores["net"] == [
            *scores("a.h5", 0, 1)["net"],
            *scores("b.h5", 0)["net"],
        ]
        assert found.done == {("a.h5", 0), ("a.h5", 1), ("b.h5", 0)}


def test_numbers_keep_all_their_digits(tmp_path):
    values = np.random.default_rng(0).random(20, np.float32).tolist()
    partial = PartialResults(tmp_path / "scores.jsonl")
    for index, value in enumerate(values):
        partial.add(scores("a.h5", index, value=value))
    found = PartialResults(tmp_path / "scores.jsonl").scores["net"]
    assert [one.scores["ssim"] for one in found] == values


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_a_batch_that_was_cut_off_is_dropped(tmp_path, cut):
    path = tmp_path / "scores.jsonl"
    PartialResults(path).add(scores("a.h5", 0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    partial = PartialResults(path)
    assert partial.done == {("a.h5", 0)}
    partial.add(scores("a.h5", 1))
    assert PartialResults(path).done == {("a.h5", 0), ("a.h5", 1)}


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"slices": []}', '{"slices": [1]}'])
def test_files_of_another_kind_are_named(tmp_path, line):
    path = tmp_path / "scores.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=f"{path}: expected partial results"):
        PartialResults(path)


def test_a_slice_that_was_scored_twice_is_an_error(tmp_path):
    path = tmp_path / "scores.jsonl"
    PartialResults(path).add(scores("a.h5", 0, 1))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(InputError, match=r"found slice 0 of a.h5 again: did two evaluations"):
        PartialResults(path)
    assert len(json.loads(path.read_text().splitlines()[0])["slices"]) == 2
