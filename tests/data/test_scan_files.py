import re

import h5py
import numpy as np
import pytest
from kspace_files import HEADER, cmrxrecon_file, fastmri_file, random_kspace, rss

from jaxrecon.data import cmrxrecon, fastmri
from jaxrecon.data.scan_files import read_scan
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import sampling_mask

KSPACE = random_kspace(3, 2, 12, 10)


def test_a_fastmri_file_brings_its_target_columns_and_pixels(tmp_path):
    path = tmp_path / "file1.h5"
    fastmri.write_volume(path, KSPACE, crop_height=6, crop_width=8, padding=(1, 9))
    scan = read_scan(path, slices="1-2")
    np.testing.assert_array_equal(scan.kspace, KSPACE[1:])
    assert (scan.name, scan.columns, scan.image_shape) == ("file1.h5", (1, 9), (6, 8))
    assert (scan.indices, scan.slices_in_file, scan.masks) == ((1, 2), 3, None)
    np.testing.assert_allclose(scan.target, rss(KSPACE[1:])[:, 3:9, 1:9], rtol=1e-5)
    # The file's maximum, over all of its slices.
    assert scan.maximum == pytest.approx(float(rss(KSPACE)[:, 3:9, 1:9].max()), rel=1e-5)
    assert scan.geometry.voxel_mm == (1, 1, 1)
    assert scan.geometry.affine is None


def test_a_fastmri_test_file_brings_its_mask_without_the_padding(tmp_path):
    path = tmp_path / "file1.h5"
    mask = sampling_mask("equispaced", 10, 2, center_fraction=0.2, seed=0)
    fastmri.write_volume(path, KSPACE, mask=mask, padding=(1, 9))
    scan = read_scan(path)
    assert scan.target is None
    expected = mask.within(1, 9)
    for found in scan.masks:
        np.testing.assert_array_equal(found.pattern, expected.pattern)
        assert found.acs == expected.acs
        assert found.effective_acceleration == expected.effective_acceleration


@pytest.mark.parametrize(
    ("old", "new"), [("<x>12</x>", "<x>no</x>"), ("<encodedSpace>", "<encodedSpace><empty/>")]
)
def test_pixel_sizes_that_a_header_does_not_tell_are_unknown(tmp_path, old, new):
    header = HEADER.format(rows=12, columns=10, crop=8, maximum=9, center=5).replace(old, new)
    path = fastmri_file(tmp_path / "file1.h5", {"kspace": KSPACE, "ismrmrd_header": header})
    assert read_scan(path).geometry is None


def test_a_cmrxrecon_series_keeps_its_frames(tmp_path):
    kspace = random_kspace(4, 3, 2, 12, 10)
    path = cmrxrecon_file(tmp_path / "P001" / "cine_sax.mat", kspace)
    scan = read_scan(path)
    assert (scan.frames, scan.slices_in_file, scan.name) == (4, 12, "P001/cine_sax.mat")
    np.testing.assert_array_equal(scan.kspace, kspace.reshape(12, 2, 12, 10))
    assert scan.title(7) == "slice 1, frame 2"
    assert scan.geometry is None


def test_an_accelerated_cmrxrecon_series_brings_the_mask_beside_it(tmp_path):
    mask = sampling_mask("cmrxrecon_uniform", 10, 4, acs=4, seed=0)
    path = tmp_path / "AccFactor04" / "P001" / "cine_sax.mat"
    cmrxrecon.write_volume(path, random_kspace(2, 1, 2, 12, 10), mask=mask)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.masks[1].pattern, mask.pattern)
    assert scan.masks[0].acceleration == 4
    (path.parent / "cine_sax_mask.mat").unlink()
    with pytest.raises(InputError, match=r"cine_sax_mask\.mat: expected"):
        read_scan(path)


def test_cmrxrecon_content_is_known_whatever_its_suffix(tmp_path):
    path = cmrxrecon_file(tmp_path / "P001" / "x.mat", random_kspace(1, 1, 2, 12, 10))
    path.rename(path.with_suffix(".h5"))
    assert read_scan(path.with_suffix(".h5")).frames == 1


def write(name, content=b"x"):
    return lambda folder: (folder / name).write_bytes(content)


def hdf5_of(name, **arrays):
    def make(folder):
        with h5py.File(folder / name, "w") as file:
            for key, array in arrays.items():
                file[key] = array

    return make


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda _: None, "no.h5", "no.h5: expected a scan (fastMRI .h5, CMRxRecon .mat"),
        (lambda f: (f / "folder.h5").mkdir(), "folder.h5", "found no such file"),
        (write("scan.dcm"), "scan.dcm", "found the suffix .dcm"),
        (write("scan"), "scan", "found the suffix none"),
        (write("scan.h5"), "scan.h5", "expected a complete HDF5 file"),
        (write("scan.h5", b""), "scan.h5", "found an empty file"),
        (write("scan.mat", b"MATLAB 5.0"), "scan.mat", "expected a complete HDF5 file"),
        (hdf5_of("scan.h5", images=KSPACE), "scan.h5", "expected the data set 'kspace', found im"),
        (hdf5_of("a.mat", k=KSPACE), "a.mat", "expected the data set 'kspace_full', found k"),
        (hdf5_of("a.h5", kspace=KSPACE[0, 0]), "a.h5", "expected 'kspace' with 3 or 4 axes"),
        (hdf5_of("a.h5", kspace=KSPACE * np.nan), "a.h5", "slice 0, found NaN or infinity"),
        (
            hdf5_of("a.h5", kspace=KSPACE, mask=np.zeros(10)),
            "a.h5",
            "expected 'mask' to choose from 10 columns, found 0",
        ),
        (
            hdf5_of("a.h5", kspace=KSPACE, mask=np.ones(9)),
            "a.h5",
            "expected 'mask' to choose from 10 columns, found 9 chosen of 9",
        ),
    ],
)
def test_bad_scans_are_named_in_one_line(tmp_path, make, name, message):
    make(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_scan(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["axes", "key", "mask_key"])
def test_options_of_arrays_are_refused_elsewhere(tmp_path, option):
    path = tmp_path / "file1.h5"
    fastmri.write_volume(path, KSPACE)
    with pytest.raises(InputError, match=f"--{option}: expected only with .npy and .npz"):
        read_scan(path, **{option: "x"})
