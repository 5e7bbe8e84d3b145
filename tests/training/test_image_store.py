import h5py
import numpy as np
from volumes import make_volume

from jaxrecon.data.plan import list_slices
from jaxrecon.data.submission import read_submission
from jaxrecon.training.image_store import ImageStore

VOLUMES = [make_volume(slices=3), make_volume(name="P001/cine_sax.mat", path="/b", slices=4)]
# Slice 1 of the second file is not judged.
SLICES = list_slices(VOLUMES, lambda volume, index: (volume.path, index) != ("/b", 1))


def image_of(reference, method):
    value = reference.index + 10 * len(reference.volume.name) + 100 * len(method)
    return np.full((4, 5), value, np.float32)


def make_store(folder):
    final = {method: folder / "out" / method for method in ("zero_filled", "my net")}
    return ImageStore(folder / "partial", final, SLICES, {"acceleration": 4.0})


def put(store, references):
    for reference in references:
        store.put(
            reference, {method: image_of(reference, method) for method in ("zero_filled", "my net")}
        )


def check(folder):
    for method in ("zero_filled", "my net"):
        for volume, name in zip(VOLUMES, ("file1.h5", "P001/cine_sax.h5"), strict=True):
            judged = [reference for reference in SLICES if reference.volume is volume]
            found = read_submission(folder / "out" / method / name)
            np.testing.assert_array_equal(found, [image_of(one, method) for one in judged])
            with h5py.File(folder / "out" / method / name) as file:
                assert file.attrs["slices"].tolist() == [one.index for one in judged]
                assert (file.attrs["method"], file.attrs["acceleration"]) == (method, 4)
    assert not list((folder / "partial").rglob("*.npy"))


def test_slices_in_any_order_become_files(tmp_path):
    store = make_store(tmp_path)
    put(store, SLICES[::-1])
    assert not (tmp_path / "out").exists()
    store.finish()
    check(tmp_path)


def test_a_store_goes_on_after_a_kill(tmp_path):
    put(make_store(tmp_path), SLICES[:4])
    # The last batch was not committed and is put again.
    again = make_store(tmp_path)
    put(again, SLICES[3:])
    again.finish()
    check(tmp_path)
    # Killed after finishing: nothing is left to do, nothing is lost.
    make_store(tmp_path).finish()
    check(tmp_path)
