import json

import pytest

from jaxrecon.atomic_file import unfinished, write_json


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with unfinished(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert [found.name for found in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half():
        with unfinished(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def test_the_temporary_name_ends_as_asked(tmp_path):
    with unfinished(tmp_path / "a.nii.gz", ".nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert temporary.name != "a.nii.gz"
        temporary.touch()


def test_json_that_cannot_be_written_leaves_nothing(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, None]}
    with pytest.raises(TypeError):
        write_json(tmp_path / "b.json", {"a": object()})
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]
