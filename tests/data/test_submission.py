from pathlib import Path

import fastmri
import h5py
import numpy as np
import pytest

from jaxrecon.data.submission import read_submission, submission_path, write_submission
from jaxrecon.errors import InputError


def test_files_equal_those_that_fastmri_saves(tmp_path):
    images = np.random.default_rng(0).random((3, 8, 6), np.float32)
    path = submission_path(tmp_path / "ours", "file1000001.h5")
    write_submission(path, images, {"method": "net"})
    fastmri.save_reconstructions({"file1000001.h5": images}, tmp_path / "theirs")
    with h5py.File(path) as ours, h5py.File(tmp_path / "theirs" / "file1000001.h5") as theirs:
        assert set(ours) == set(theirs) == {"reconstruction"}
        assert ours["reconstruction"].dtype == theirs["reconstruction"].dtype == np.float32
        np.testing.assert_array_equal(ours["reconstruction"], theirs["reconstruction"])
        assert ours.attrs["method"] == "net"
    np.testing.assert_array_equal(read_submission(path), images)


def test_cmrxrecons_folders_are_kept():
    assert submission_path(Path("out"), "P001/cine_sax.mat") == Path("out/P001/cine_sax.h5")


def test_files_of_another_kind_are_named(tmp_path):
    with h5py.File(tmp_path / "kspace.h5", "w") as file:
        file["kspace"] = np.ones((2, 2, 2))
    with pytest.raises(InputError, match=r"kspace.h5: expected the data set 'reconstruction'"):
        read_submission(tmp_path / "kspace.h5")
    with h5py.File(tmp_path / "complex.h5", "w") as file:
        file["reconstruction"] = np.ones((2, 2, 2), np.complex64)
    with pytest.raises(InputError, match=r"complex.h5: expected real numbers .*found complex64"):
        read_submission(tmp_path / "complex.h5")
