import hashlib
import itertools

import pytest
from volumes import make_volume

from jaxrecon.errors import InputError
from jaxrecon.training.subset import Subset, choose, read_file_list, write_file_list


def volumes(count=20, slices=10):
    contrasts = ("AXT1", "AXT1POST", "AXFLAIR")
    return [
        make_volume(
            name=f"file{i}.h5", path=f"/{i}.h5", slices=slices, contrast=contrasts[i % 3]
        )
        for i in range(count)
    ]  # fmt: skip


def every(volume, index):
    return True


def by_hash(files):
    return sorted(files, key=lambda volume: hashlib.sha256(volume.name.encode()).hexdigest())


def test_everything_is_kept_by_default():
    found = choose(volumes(), Subset(), every)
    assert (len(found.volumes), found.slices, found.description) == (20, None, "")


@pytest.mark.parametrize(("wanted", "count"), [({"count": 7}, 7), ({"fraction": 0.33}, 7)])
def test_files_are_the_first_by_the_hash_of_their_names(wanted, count):
    files = volumes()
    found = choose(files, Subset(**wanted), every)
    assert set(found.volumes) == set(by_hash(files)[:count])
    # In their old order, and from any order.
    assert list(found.volumes) == [volume for volume in files if volume in found.volumes]
    assert set(choose(files[::-1], Subset(**wanted), every).volumes) == set(found.volumes)
    assert found.description == f"{count} of 20 files, first by the SHA-256 of their names"
    assert found.slices is None


def test_a_smaller_choice_is_part_of_a_larger_one():
    chosen = [set(choose(volumes(), Subset(count=n), every).volumes) for n in (1, 5, 12, 20)]
    assert all(small < large for small, large in itertools.pairwise(chosen))


def test_a_fraction_keeps_at_least_one_file():
    assert len(choose(volumes(), Subset(fraction=0.001), every).volumes) == 1


def test_slices_are_those_of_whole_files_but_for_the_last():
    files = volumes()
    # The protocol judges every other slice: 5 of each file.
    found = choose(files, Subset(slices=13), lambda volume, index: index % 2 == 0)
    first, second, third = by_hash(files)[:3]
    assert found.slices == {
        first.name: {0, 2, 4, 6, 8},
        second.name: {0, 2, 4, 6, 8},
        third.name: {0, 2, 4},
    }
    assert {volume.name for volume in found.volumes} == set(found.slices)


@pytest.mark.parametrize(("name", "count"), [("paper_a_knee", 1767), ("paper_a_brain", 3168)])
def test_the_papers_numbers_of_slices_have_names(name, count):
    found = choose(volumes(110, 30), Subset(name=name), every)
    assert sum(map(len, found.slices.values())) == count
    assert found.description.startswith(f"{name}: {count} slices of ")
    assert found.description.endswith("; the paper does not list its own")
    with pytest.raises(InputError, match=f"{name}: expected at least {count} slices .*found 1500"):
        choose(volumes(50, 30), Subset(name=name), every)


def test_bad_slices_do_not_count():
    files = [make_volume(slices=4, bad_slices=(1,))]
    assert choose(files, Subset(slices=2), every).slices == {"file1.h5": {0, 2}}
    with pytest.raises(InputError, match="expected at least 4 slices to judge, found 3"):
        choose(files, Subset(slices=4), every)


def test_acquisitions_are_found_by_part_of_their_names():
    found = choose(volumes(), Subset(acquisition=("axt1",)), every)
    assert {volume.contrast for volume in found.volumes} == {"AXT1", "AXT1POST"}
    assert found.description == "acquisition axt1"
    found = choose(volumes(), Subset(acquisition=("FLAIR", "post")), every)
    assert {volume.contrast for volume in found.volumes} == {"AXFLAIR", "AXT1POST"}
    with pytest.raises(InputError, match="expected files of T2, found only AXFLAIR, AXT1, AXT1P"):
        choose(volumes(), Subset(acquisition=("T2",)), every)


def test_conditions_add_up(tmp_path):
    listed = tmp_path / "files.txt"
    listed.write_text("\n".join(f"file{i}.h5" for i in range(10)))
    subset = Subset(acquisition=("flair",), file_list=listed, count=2)
    with pytest.raises(InputError, match="expected names of files of the data set"):
        choose(volumes(), subset, every)
    subset = Subset(file_list=listed, count=2)
    found = choose(volumes(), subset, every)
    assert set(found.volumes) == set(by_hash(volumes()[:10])[:2])
    assert found.description == (
        "files of files.txt; 2 of 10 files, first by the SHA-256 of their names"
    )


def test_lists_of_files_name_slices_and_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "deep" / "files.txt"
    written = {"file3.h5": [3, 1, 2], "P001/cine sax.mat": [0], "file7.h5": [1, 4]}
    write_file_list(path, written, "knees")
    assert path.read_text().splitlines() == [
        "# knees", "file3.h5\t1-3", "P001/cine sax.mat\t0-0", "file7.h5\t1,4",
    ]  # fmt: skip
    assert read_file_list(path) == {name: frozenset(found) for name, found in written.items()}
    path.write_text("# first\n\nfile3.h5  # all of it\nfile7.h5\t0-1,4\n")
    assert read_file_list(path) == {"file3.h5": frozenset(), "file7.h5": {0, 1, 4}}
    found = choose(volumes(), Subset(file_list=path), every)
    assert [volume.name for volume in found.volumes] == ["file3.h5", "file7.h5"]
    assert found.slices == {"file3.h5": set(range(10)), "file7.h5": {0, 1, 4}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a list of files, found .*No such file"),
        ("# nothing\n", "expected names of files, found none"),
        ("file1.h5\nfile1.h5\n", "expected each file once, found 'file1.h5' again"),
        ("file1.h5\tfirst\n", "expected slices such as 0-12,15 of file1.h5, found 'first'"),
        ("file1.h5\t3-\n", "expected slices such as 0-12,15 of file1.h5, found '3-'"),
        ("file1.h5\t8-10\n", "expected slices from 0 to 9 of file1.h5, found 10"),
        ("lost.h5\nfile1.h5\ngone.h5\n", "found 'lost.h5' and 1 more that are not there"),
    ],
)
def test_lists_that_cannot_be_used_are_named(tmp_path, text, message):
    path = tmp_path / "files.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"{path}: .*{message}") as caught:
        choose(volumes(), Subset(file_list=path), every)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "paper_a"}, "expected one of paper_a_knee, paper_a_brain, found 'paper_a'"),
        ({"count": 2, "fraction": 0.5}, "found several"),
        ({"name": "paper_a_knee", "slices": 3}, "found several"),
        ({"fraction": 0.0}, "more than 0, up to 1, found 0.0"),
        ({"fraction": 1.5}, "more than 0, up to 1, found 1.5"),
        ({"count": 0}, "subset count: expected at least 1, found 0"),
        ({"slices": 0}, "subset slices: expected at least 1, found 0"),
    ],
)
def test_choices_that_cannot_be_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Subset(**fields)
