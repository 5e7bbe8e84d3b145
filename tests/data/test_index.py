import json
import os

import numpy as np
import pytest
from kspace_files import cmrxrecon_file, count_opened_files, fastmri_file, random_kspace, rss

from jaxrecon.data.index import index_folder
from jaxrecon.errors import InputError

KSPACE = random_kspace(3, 2, 8, 6)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRECON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    for number in (3, 1, 2):
        fastmri_file(
            tmp_path / "multicoil_train" / f"file{number}.h5",
            {"kspace": KSPACE * number},
            {"patient_id": f"patient {number % 2}"},
        )
    return tmp_path / "multicoil_train"


@pytest.fixture
def root_with_bad_slices(root):
    bad = KSPACE.copy()
    bad[0] = np.nan
    bad[2] = 0
    fastmri_file(root / "file2.h5", {"kspace": bad})
    return root


def test_lists_files_in_order(root):
    index = index_folder("fastmri", root)
    assert [volume.name for volume in index.volumes] == ["file1.h5", "file2.h5", "file3.h5"]
    assert [volume.case for volume in index.volumes] == ["patient 1", "patient 0", "patient 1"]
    assert (index.layout, index.root, index.skipped) == ("fastmri", str(root), ())


@pytest.mark.parametrize("check", ["structure", "values"])
def test_second_indexing_opens_no_file(root, monkeypatch, check):
    opened = count_opened_files(monkeypatch)
    first = index_folder("fastmri", root, check=check)
    assert len(set(opened)) == 3
    opened.clear()
    assert index_folder("fastmri", str(root), check=check) == first
    assert opened == []


def test_only_a_changed_file_is_opened_again(root, monkeypatch):
    index_folder("fastmri", root)
    changed = fastmri_file(root / "file2.h5", {"kspace": KSPACE[:2]})
    opened = count_opened_files(monkeypatch)
    index = index_folder("fastmri", root)
    assert opened == [str(changed)]
    assert [volume.slices for volume in index.volumes] == [3, 2, 3]


def test_a_new_time_of_change_is_enough(root, monkeypatch):
    index_folder("fastmri", root)
    path = root / "file1.h5"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    opened = count_opened_files(monkeypatch)
    index_folder("fastmri", root)
    assert opened == [str(path)]


def test_the_check_of_values_does_not_trust_that_of_structure(root_with_bad_slices):
    index_folder("fastmri", root_with_bad_slices)
    with pytest.raises(InputError, match=r"file2\.h5: .*slice 0"):
        index_folder("fastmri", root_with_bad_slices, check="values")
    # Nor the other way round: what a check finds does not depend on the cache.
    plain = index_folder("fastmri", root_with_bad_slices)
    assert [volume.bad_slices for volume in plain.volumes] == [(), (), ()]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {"fingerprint": [1, 2]}}'])
def test_a_corrupted_cache_is_rebuilt(root, cache, content, monkeypatch):
    first = index_folder("fastmri", root)
    (file,) = cache.rglob("*.json")
    file.write_text(content)
    assert index_folder("fastmri", root) == first
    opened = count_opened_files(monkeypatch)
    assert index_folder("fastmri", root) == first
    assert opened == []


def test_the_cache_is_one_whole_json_file(root, cache):
    index_folder("fastmri", root)
    (file,) = [path for path in cache.rglob("*") if path.is_file()]
    assert set(json.loads(file.read_text())) == {str(path) for path in root.iterdir()}


def test_a_cache_that_cannot_be_written_is_no_error(root, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("JAXRECON_CACHE", str(tmp_path / "taken"))
    assert len(index_folder("fastmri", root).volumes) == 3


def test_the_cache_lies_where_the_environment_says(root, monkeypatch, tmp_path):
    monkeypatch.delenv("JAXRECON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    index_folder("fastmri", root)
    assert list((tmp_path / "shared" / "jaxrecon").rglob("*.json"))


class TestBadFiles:
    @pytest.fixture(autouse=True)
    def bad_file(self, root):
        return fastmri_file(root / "file2.h5", {"image": KSPACE})

    def test_are_errors_by_default(self, root):
        with pytest.raises(InputError, match=r"file2\.h5: expected the data set 'kspace'"):
            index_folder("fastmri", root)

    def test_are_skipped_and_listed(self, root, bad_file):
        index = index_folder("fastmri", root, on_bad_file="skip")
        assert [volume.name for volume in index.volumes] == ["file1.h5", "file3.h5"]
        ((path, reason),) = index.skipped
        assert path == str(bad_file)
        assert "expected the data set 'kspace', found image" in reason

    def test_are_looked_at_again(self, root, monkeypatch, bad_file):
        index_folder("fastmri", root, on_bad_file="skip")
        opened = count_opened_files(monkeypatch)
        index_folder("fastmri", root, on_bad_file="skip")
        assert opened == [str(bad_file)]

    def test_only_leave_nothing(self, root):
        for name in ("file1.h5", "file3.h5"):
            (root / name).write_bytes(b"")
        with pytest.raises(InputError, match=r"found 3 bad ones; the first: .*file1\.h5: .*empty"):
            index_folder("fastmri", root, on_bad_file="skip")


class TestBadSlices:
    def test_are_errors_by_default(self, root_with_bad_slices):
        with pytest.raises(InputError, match=r"file2\.h5: .*slice 0, found NaN"):
            index_folder("fastmri", root_with_bad_slices, check="values", on_bad_file="skip")

    def test_are_an_error_the_second_time_too(self, root_with_bad_slices):
        for _ in range(2):
            with pytest.raises(InputError, match=r"file2\.h5: .*slice 0, found NaN"):
                index_folder("fastmri", root_with_bad_slices, check="values")

    def test_are_skipped_and_counted(self, root_with_bad_slices):
        index = index_folder("fastmri", root_with_bad_slices, check="values", on_bad_slice="skip")
        assert [volume.bad_slices for volume in index.volumes] == [(), (0, 2), ()]
        assert index.skipped_slices == 2
        assert index.volumes[1].maximum == pytest.approx(rss(KSPACE[1]).max(), rel=1e-5)

    def test_only_make_a_bad_file(self, root):
        fastmri_file(root / "file1.h5", {"kspace": 0 * KSPACE})
        index = index_folder("fastmri", root, check="values", on_bad_slice="skip")
        assert [volume.name for volume in index.volumes] == ["file2.h5", "file3.h5"]
        assert index.skipped[0][0] == str(root / "file1.h5")
        assert "expected a good slice" in index.skipped[0][1]

    def test_cannot_be_skipped_unseen(self, root):
        with pytest.raises(InputError, match="on_bad_slice: 'skip' needs check = 'values'"):
            index_folder("fastmri", root, on_bad_slice="skip")


class TestMaxima:
    def test_are_filled_in_once(self, root, monkeypatch):
        index = index_folder("fastmri", root)
        assert [volume.maximum for volume in index.volumes] == [None, None, None]
        done = []
        filled = index.with_maxima(lambda count, total: done.append((count, total)))
        expected = [number * rss(KSPACE).max() for number in (1, 2, 3)]
        np.testing.assert_allclose([v.maximum for v in filled.volumes], expected, rtol=1e-5)
        assert done == [(1, 3), (2, 3), (3, 3)]
        opened = count_opened_files(monkeypatch)
        assert index_folder("fastmri", root).with_maxima() == filled
        assert opened == []

    def test_survive_an_interruption(self, root, monkeypatch):
        def interrupt(count, total):
            if count == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            index_folder("fastmri", root).with_maxima(interrupt)
        maxima = [volume.maximum for volume in index_folder("fastmri", root).volumes]
        assert [maximum is None for maximum in maxima] == [False, False, True]

    def test_of_cmrxrecon_are_over_all_frames(self, tmp_path):
        kspace = random_kspace(2, 3, 2, 8, 6)
        cmrxrecon_file(tmp_path / "P001" / "cine_sax.mat", kspace)
        (volume,) = index_folder("cmrxrecon", tmp_path / "P001").with_maxima().volumes
        assert volume.maximum == pytest.approx(rss(kspace).max(), rel=1e-5)

    def test_in_the_file_are_believed(self, tmp_path, monkeypatch):
        fastmri_file(tmp_path / "a.h5", {"kspace": KSPACE}, {"max": 5.0})
        index = index_folder("fastmri", tmp_path)
        opened = count_opened_files(monkeypatch)
        assert index.with_maxima().volumes[0].maximum == 5.0
        assert opened == []


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: expected a folder of fastmri files"):
        index_folder("fastmri", tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["fastmri", "cmrxrecon"])
def test_folder_without_files_of_the_layout(tmp_path, name):
    (tmp_path / "readme.txt").write_text("no k-space")
    with pytest.raises(InputError, match=f"expected {name} files in this folder, found none"):
        index_folder(name, tmp_path)


def test_two_files_of_one_name(tmp_path):
    for folder in ("singlecoil_train", "multicoil_train"):
        fastmri_file(tmp_path / folder / "file1.h5", {"kspace": KSPACE})
    with pytest.raises(InputError, match=r"singlecoil_train/file1\.h5: expected a name of its own"):
        index_folder("fastmri", tmp_path)


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        ("check", "structure, values"),
        ("on_bad_file", "error, skip"),
        ("on_bad_slice", "error, skip"),
    ],
)
def test_unknown_choice(root, field, choices):
    with pytest.raises(InputError, match=f"{field}: expected one of {choices}, found 'ignore'"):
        index_folder("fastmri", root, **{field: "ignore"})
