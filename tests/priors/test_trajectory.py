import dataclasses

import h5py
import numpy as np
import pytest
import trajectories

from jaxrecon.errors import InputError
from jaxrecon.priors.trajectory import read_trajectory, write_trajectory


def _assert_equal(found, expected):
    for field in dataclasses.fields(expected):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("losses", "embeddings"):
            assert list(ours) == list(theirs)
            for name, values in theirs.items():
                np.testing.assert_array_equal(ours[name], values)
        elif field.name == "references":
            assert list(ours) == list(theirs)
            for level, references in theirs.items():
                for mine, yours in zip(ours[level], references, strict=True):
                    np.testing.assert_array_equal(mine, yours)
        elif isinstance(theirs, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
        else:
            assert ours == theirs


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"prior": False, "answers": False},
        {"target": False, "slices": 1},
        {"kept": 1},
    ],
)
def test_what_was_written_is_read(tmp_path, given):
    expected = trajectories.made(**given)
    path = tmp_path / "new" / "trajectory.h5"
    write_trajectory(path, expected)
    _assert_equal(read_trajectory(path), expected)
    assert [file.name for file in path.parent.iterdir()] == ["trajectory.h5"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trajectory.h5"
    write_trajectory(path, trajectories.made())
    return path


def test_others_may_read_it_without_us(path):
    with h5py.File(path) as file:
        assert sorted(file) == [
            "answers", "embeddings", "images", "losses", "references", "steps", "target", "titles",
            "zero_filled",
        ]  # fmt: skip
        assert file["images"].shape == (6, 2, 32, 24)
        assert file["losses"].shape == (5, 6, 2)
        assert file["references/layer7/negatives"].shape == (25, 16)
        assert file["answers"].asstr()[0, 0] == "Low-quality"


def test_a_missing_truncated_or_empty_file_is_named(path):
    with pytest.raises(InputError, match=r"none\.h5: expected a complete HDF5 file, found one"):
        read_trajectory(path.with_name("none.h5"))
    content = path.read_bytes()
    for length in (len(content) // 2, 100):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"trajectory\.h5: expected a complete HDF5 file"):
            read_trajectory(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"trajectory\.h5: .* found an empty file"):
        read_trajectory(path)


def _remove(name):
    return lambda file: file.pop(name)


def _replace(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.pop("format"), "expected a trajectory .* found format None"),
        (lambda file: file.attrs.pop("method"), "expected the description of a trajectory"),
        (lambda file: file.attrs.__setitem__("levels", "["), "expected the description"),
        (
            lambda file: file.attrs.__setitem__("losses", '["data"]'),
            "expected 'losses' with the shape",
        ),
        (_remove("images"), "expected the data set 'images', found answers"),
        (
            _remove("references/layer1/positives"),
            "expected the data set 'references/layer1/positives'",
        ),
        (_replace("steps", [0, 1, 1, 2, 3, 4]), "expected rising whole numbers in 'steps', found"),
        (_replace("steps", [0, 1]), r"expected 'steps' with the shape \(6\), found \(2,\)"),
        (_replace("titles", np.arange(2)), "expected texts in 'titles', found int64"),
        (
            _replace("target", np.ones((2, 3, 3), np.float32)),
            r"expected 'target' with the shape \(2, 32, 24\), found \(2, 3, 3\)",
        ),
        (
            _replace("references/layer1/positives", np.ones((4, 3), np.float32)),
            r"expected 'references/layer1/positives' with the shape \(any, 12\), found \(4, 3\)",
        ),
        (
            _replace("images", np.full((6, 2, 32, 24), np.nan, np.float32)),
            "expected finite real numbers in 'images'",
        ),
        (_replace("images", np.ones((6, 2, 32, 24), int)), "expected finite real numbers in"),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as caught:
        read_trajectory(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
