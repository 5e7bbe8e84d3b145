import dataclasses
import json

import h5py
import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.priors.embeddings import (
    CLASSES,
    NEGATIVE,
    POSITIVE,
    Provenance,
    check_embeddings,
    create_embeddings,
    read_blocks,
    read_labels,
    require_same_encoder,
)

PROVENANCE = Provenance(
    encoder="weights/dinov2 (facebook/dinov2-small)",
    encoder_sha256="ab" * 32,
    architecture={"width": 6, "depth": 12},
    preprocessing={"name": "peak", "size": 28},
    levels=("layer1", "layer7"),
    details={"mask": {"family": "gaussian", "acceleration": 4}},
)
GENERATOR = np.random.default_rng(0)
ARRAYS = {
    POSITIVE: [GENERATOR.normal(size=(5, 4, 6)), GENERATOR.normal(size=(5, 4, 6))],
    NEGATIVE: [GENERATOR.normal(size=(3, 4, 6)), GENERATOR.normal(size=(3, 4, 6))],
}


@pytest.fixture
def path(tmp_path):
    """A file written in several pieces."""
    path = tmp_path / "priors" / "knee.h5"
    with create_embeddings(path, PROVENANCE) as writer:
        for kind, pieces in ((POSITIVE, [(0, 2), (2, 5)]), (NEGATIVE, [(0, 3)])):
            for first, last in pieces:
                labels = [f"P{i:03d}.h5, slice {i}" for i in range(first, last)]
                masks = ["R = 4"] * len(labels) if kind == NEGATIVE else ()
                writer.append(kind, [a[first:last] for a in ARRAYS[kind]], labels, masks)
        assert not path.exists()
    return path


def test_what_was_written_is_read_in_blocks(path):
    file = check_embeddings(path)
    assert file.provenance == PROVENANCE
    assert file.images == {POSITIVE: 5, NEGATIVE: 3}
    assert file.shapes == {"layer1": (4, 6), "layer7": (4, 6)}
    for kind in CLASSES:
        for level, expected in zip(PROVENANCE.levels, ARRAYS[kind], strict=True):
            blocks = list(read_blocks(file, kind, level, block=2))
            assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
            assert [len(block) for block in blocks] == {5: [2, 2, 1], 3: [2, 1]}[len(expected)]
            np.testing.assert_array_equal(np.concatenate(blocks), expected.astype(np.float32))
    chosen = np.concatenate(list(read_blocks(file, POSITIVE, "layer7", [0, 3, 4], block=2)))
    np.testing.assert_array_equal(chosen, np.float32(ARRAYS[POSITIVE][1][[0, 3, 4]]))
    sources, masks = read_labels(file, POSITIVE)
    assert (sources[3], masks) == ("P003.h5, slice 3", [""] * 5)
    assert read_labels(file, NEGATIVE)[1] == ["R = 4"] * 3


def test_a_file_with_an_empty_class_is_not_written(tmp_path):
    with (
        pytest.raises(InputError, match="both classes, found 5 positive and 0 negative"),
        create_embeddings(tmp_path / "half.h5", PROVENANCE) as writer,
    ):
        writer.append(POSITIVE, ARRAYS[POSITIVE], [str(i) for i in range(5)])
    assert list(tmp_path.iterdir()) == []


def test_an_embedding_that_is_not_finite_is_named_and_nothing_is_left(tmp_path):
    broken = [array.copy() for array in ARRAYS[POSITIVE]]
    broken[1][3, 2, 0] = np.nan
    with (
        pytest.raises(InputError, match="finite embeddings, found others in layer7 of image 3"),
        create_embeddings(tmp_path / "half.h5", PROVENANCE) as writer,
    ):
        writer.append(POSITIVE, broken, [f"image {i}" for i in range(5)])
    assert list(tmp_path.iterdir()) == []


def test_pieces_that_do_not_go_together_are_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"positive: 2 levels with \[4, 5\] images"),
        create_embeddings(tmp_path / "half.h5", PROVENANCE) as writer,
    ):
        writer.append(POSITIVE, ARRAYS[POSITIVE], ["one"] * 4)
    with create_embeddings(tmp_path / "whole.h5", PROVENANCE) as writer:
        for kind, count in ((POSITIVE, 5), (NEGATIVE, 3)):
            writer.append(kind, ARRAYS[kind], ["one"] * count)
        narrower = [array[..., :5] for array in ARRAYS[POSITIVE]]
        with pytest.raises(ValueError, match=r"layer1: \(4, 5\) after \(4, 6\)"):
            writer.append(POSITIVE, narrower, ["one"] * 5)


def _delete(name):
    def change(file):
        del file[name]

    return change


def _replace(name, values):
    def change(file):
        if name in file:
            del file[name]
        file[name] = values

    return change


def _set(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_delete("negative"), "images of both classes, found 5 positive and 0 negative"),
        (_replace("positive/layer7", np.zeros((4, 4, 6))), "expected .* positive images in layer"),
        (_replace("positive/layer7", np.zeros((5, 4, 7))), r"layer7 of one shape .* \(4, 7\)"),
        (_delete("negative/layer1"), "expected the data set 'negative/layer1'"),
        (_set("format", "something"), "found format 'something'"),
        (_set("provenance", "{}"), "expected the provenance of embeddings, found KeyError"),
        (_set("provenance", "no json"), "expected the provenance of embeddings, found JSONDecode"),
    ],
)
def test_damaged_files_are_named(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as caught:
        check_embeddings(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_truncated_or_missing_file_is_named(path):
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="expected a complete HDF5 file"):
        check_embeddings(path)
    with pytest.raises(InputError, match="expected a complete HDF5 file"):
        check_embeddings(path.with_name("none.h5"))


def test_embeddings_of_another_encoder_are_refused(path):
    file = check_embeddings(path)
    require_same_encoder(file, PROVENANCE)
    require_same_encoder(file, dataclasses.replace(PROVENANCE, encoder="moved", levels=("layer7",)))

    def fails(message, **changes):
        with pytest.raises(InputError, match=message) as caught:
            require_same_encoder(file, dataclasses.replace(PROVENANCE, **changes))
        assert str(caught.value).startswith(f"{path}: expected embeddings of ")
        assert "\n" not in str(caught.value)

    fails(
        r"of weights/clip, sha256 cdcdcdcdcdcd, found those of weights/dinov2 .*, sha256 ababab",
        encoder="weights/clip",
        encoder_sha256="cd" * 32,
    )
    fails(
        r"of random encoder \(seed 0\), found",
        encoder="random encoder (seed 0)",
        encoder_sha256=None,
    )
    fails("of preprocessing size = 42, found 28", preprocessing={"name": "peak", "size": 42})
    fails("of architecture depth = 24, found 12", architecture={"width": 6, "depth": 24})
    fails("of layer7, layer12, found layer1, layer7", levels=("layer7", "layer12"))


def test_random_encoders_are_told_apart_by_their_seed(path):
    with h5py.File(path, "r+") as file:
        content = json.loads(file.attrs["provenance"])
        content |= {"encoder": "random encoder (seed 0)", "encoder_sha256": None}
        file.attrs["provenance"] = json.dumps(content)
    file = check_embeddings(path)
    require_same_encoder(file, file.provenance)
    other = dataclasses.replace(file.provenance, encoder="random encoder (seed 1)")
    with pytest.raises(InputError, match=r"\(seed 1\), found those of random encoder \(seed 0\)"):
        require_same_encoder(file, other)
