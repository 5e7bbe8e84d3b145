import importlib
import json

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image

from jaxrecon.data import image_files
from jaxrecon.data.image_files import WRITERS, ImageVolume, check_output, suffix_of, write_png
from jaxrecon.data.images import load_images
from jaxrecon.data.scan import Geometry
from jaxrecon.errors import InputError

IMAGES = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)

# Rows run 2 mm to the head, columns 3 mm to the left, slices 8 mm to the back.
AFFINE = np.array([[0, -3, 0, -5], [0, 0, -8, -10], [2, 0, 0, -20], [0, 0, 0, 1.0]])
GEOMETRY = Geometry((2.0, 3.0, 8.0), AFFINE)


def volume(images=IMAGES, **fields):
    settings = {
        "images": images,
        "indices": tuple(range(len(images))),
        "slices_in_file": 6,
        "frames": 1,
        "kspace_shape": (10, 7),
        "geometry": None,
        "description": "jaxrecon cg_sense, effective 3.10",
        "provenance": {"commit": "abc"},
        **fields,
    }
    return ImageVolume(**settings)


def test_hdf5_is_fastmris_submission_layout(tmp_path):
    WRITERS[".h5"](tmp_path / "a.h5", volume(IMAGES[:3]))
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["reconstruction"], IMAGES[:3])
        assert file["reconstruction"].dtype == np.float32
        assert json.loads(file.attrs["provenance"]) == {"commit": "abc"}
        np.testing.assert_array_equal(file.attrs["slices"], [0, 1, 2])


def test_numpy_comes_with_its_provenance(tmp_path):
    WRITERS[".npy"](tmp_path / "new" / "a.npy", volume(indices=(2, 3, 4, 5, 6, 7)))
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "a.npy"), IMAGES)
    content = json.loads((tmp_path / "new" / "a.json").read_text())
    assert content["provenance"] == {"commit": "abc"}
    assert content["slices"] == [2, 3, 4, 5, 6, 7]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.json", "a.npy"]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_without_a_known_place(tmp_path, name):
    WRITERS[suffix_of(tmp_path / name)](tmp_path / name, volume(geometry=Geometry((2.0, 3.0, 8.0))))
    image = nibabel.load(tmp_path / name)
    assert image.shape == (4, 5, 6)
    assert image.header.get_zooms() == (3, 2, 8)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 0)
    assert bytes(image.header["descrip"]).startswith(b"jaxrecon cg_sense, effective 3.10")
    # Shown upright: what this package's own reader makes of it is what was written.
    np.testing.assert_allclose(load_images(tmp_path / name), IMAGES / IMAGES.max(), rtol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", name]


def test_nifti_without_any_geometry_has_unknown_units(tmp_path):
    WRITERS[".nii"](tmp_path / "a.nii", volume())
    header = nibabel.load(tmp_path / "a.nii").header
    assert header.get_xyzt_units()[0] == "unknown"
    assert header.get_zooms() == (1, 1, 1)


def test_nifti_places_every_pixel_where_the_scanner_saw_it(tmp_path):
    chosen = (1, 3, 5)
    WRITERS[".nii"](
        tmp_path / "a.nii", volume(IMAGES[list(chosen)], indices=chosen, geometry=GEOMETRY)
    )
    image = nibabel.load(tmp_path / "a.nii")
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    values = image.get_fdata(dtype=np.float32)
    for place, index in enumerate(chosen):
        for row, column in np.ndindex(5, 4):
            # The 5 x 4 pixels are the centre of 10 x 7, from row 2 and column 1 on.
            expected = AFFINE @ [row + 2 - 5, column + 1 - 3, index, 1]
            voxel = np.linalg.solve(image.affine, expected)
            np.testing.assert_allclose(voxel, voxel.round(), atol=1e-6)
            i, j, k = voxel[:3].round().astype(int)
            assert values[i, j, k] == IMAGES[index, row, column]
            assert k == place
    np.testing.assert_allclose(image.header.get_zooms(), (3, 2, 16), rtol=1e-6)


def test_nifti_of_unevenly_spaced_slices_has_no_known_place(tmp_path):
    WRITERS[".nii"](tmp_path / "a.nii", volume(IMAGES[:3], indices=(0, 1, 4), geometry=GEOMETRY))
    header = nibabel.load(tmp_path / "a.nii").header
    assert int(header["sform_code"]) == 0
    assert header.get_zooms() == (3, 2, 8)


def test_frames_become_the_fourth_axis(tmp_path):
    """Slices are counted frame * positions + position: here 3 frames of 2 positions."""
    WRITERS[".nii"](tmp_path / "a.nii", volume(frames=3, geometry=GEOMETRY))
    image = nibabel.load(tmp_path / "a.nii")
    assert image.shape == (4, 5, 2, 3)
    np.testing.assert_array_equal(
        np.asarray(image.dataobj)[:, :, 1, 2], IMAGES[2 * 2 + 1].T[:, ::-1]
    )
    # Position 1, row 4, column 0.
    expected = AFFINE @ [4 + 2 - 5, 0 + 1 - 3, 1, 1]
    np.testing.assert_allclose(image.affine @ [0, 0, 1, 1], expected, atol=1e-5)


def test_some_frames_of_a_series_stay_a_list_of_slices(tmp_path):
    one_frame = volume(IMAGES[:2], indices=(2, 3), frames=3, geometry=GEOMETRY)
    WRITERS[".nii"](tmp_path / "a.nii", one_frame)
    image = nibabel.load(tmp_path / "a.nii")
    assert image.shape == (4, 5, 2)
    expected = AFFINE @ [4 + 2 - 5, 0 + 1 - 3, 0, 1]
    np.testing.assert_allclose(image.affine @ [0, 0, 0, 1], expected, atol=1e-5)
    mixed = volume(IMAGES[:2], indices=(1, 2), frames=3, geometry=GEOMETRY)
    WRITERS[".nii"](tmp_path / "b.nii", mixed)
    assert int(nibabel.load(tmp_path / "b.nii").header["sform_code"]) == 0


@pytest.mark.parametrize("suffix", [".h5", ".npy", ".nii"])
def test_complex_images_stay_complex(tmp_path, suffix):
    images = (IMAGES + 1j * IMAGES[::-1]).astype(np.complex64)
    path = tmp_path / f"a{suffix}"
    WRITERS[suffix](path, volume(images))
    if suffix == ".h5":
        with h5py.File(path) as file:
            found = file["reconstruction"][()]
    elif suffix == ".npy":
        found = np.load(path)
    else:
        found = np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)[:, ::-1]
    assert found.dtype == np.complex64
    np.testing.assert_array_equal(found, images)


def test_long_descriptions_are_cut_to_what_nifti_holds(tmp_path):
    WRITERS[".nii"](tmp_path / "a.nii", volume(description="µ" + "x" * 200))
    text = bytes(nibabel.load(tmp_path / "a.nii").header["descrip"])
    assert text == b"?" + b"x" * 78 + b"\0"


def test_pictures_say_what_they_are(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    write_png(tmp_path / "new" / "a.png", picture, {"scan": "a.h5"})
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert json.loads(image.text["jaxrecon"]) == {"scan": "a.h5"}
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_a_picture_may_say_nothing(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    write_png(tmp_path / "figures" / "a.png", picture)
    with Image.open(tmp_path / "figures" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
        assert not image.text
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", [".h5", ".npy", ".nii", ".nii.gz"])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, suffix):
    """As a full disk makes it: the file is written, and moving it to its place fails."""

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "replace", fail)
    with pytest.raises(InputError, match="expected to write it, found No space left on device"):
        WRITERS[suffix](tmp_path / f"a{suffix}", volume())
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_before_there_is_anything_to_write(tmp_path, monkeypatch):
    check_output(tmp_path / "a" / "b" / "c.nii.gz")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder to write to, found the file"):
        check_output(tmp_path / "file" / "a.h5")
    with pytest.raises(InputError, match="expected the name of a file, found a folder"):
        check_output(tmp_path)
    monkeypatch.setattr(image_files.os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=f"found no permission in {tmp_path}"):
        check_output(tmp_path / "a.h5")


def test_the_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    def without(wanted):
        if wanted == "nibabel":
            raise ImportError(wanted)
        return importlib.__import__(wanted)

    monkeypatch.setattr(image_files.importlib, "import_module", without)
    with pytest.raises(InputError, match=r"package nibabel.*jaxrecon\[medical\]"):
        check_output(tmp_path / "a.nii.gz")
    check_output(tmp_path / "a.h5")
