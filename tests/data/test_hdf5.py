import h5py
import numpy as np
import pytest

from jaxrecon.data.hdf5 import create_file, open_file
from jaxrecon.errors import InputError


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new folder" / "a.h5"
    with create_file(path) as file:
        file["x"] = np.arange(3)
        assert not path.exists()
    with h5py.File(path) as file:
        assert file["x"][()].tolist() == [0, 1, 2]
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), create_file(path) as file:
        file["x"] = object()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_damage_met_while_reading_is_an_input_error(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(10_000), chunks=(10_000,), compression="gzip")
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["x"].id.get_chunk_info(0)
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    with (
        pytest.raises(InputError, match=r"a\.h5: expected a complete HDF5 file") as caught,
        open_file(path) as file,
    ):
        file["x"][()]
    assert "\n" not in str(caught.value)


def test_a_text_file_is_an_input_error(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("no k-space here")
    with pytest.raises(InputError, match=r"a\.h5: expected a complete HDF5 file"), open_file(path):
        pass
