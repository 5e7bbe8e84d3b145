import importlib

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from jaxrecon.data import images as images_module
from jaxrecon.data.images import load_images
from jaxrecon.errors import InputError

RAMP = np.arange(1, 13, dtype=np.float32).reshape(3, 4)


def write_dicom(path, stored, *, instance, position=None, **attributes):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.InstanceNumber = instance
    if position is not None:
        dataset.ImagePositionPatient = [0.0, 0.0, float(position)]
        dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)


def test_arrays_are_scaled_by_the_maximum_of_the_set(tmp_path):
    stack = np.stack([RAMP, 2 * RAMP])
    np.save(tmp_path / "a.npy", stack)
    np.savez(tmp_path / "b.npz", heart=stack, other=RAMP)
    for loaded in (load_images(tmp_path / "a.npy"), load_images(tmp_path / "b.npz", "heart")):
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded, stack / 24, rtol=1e-6)
    np.savez(tmp_path / "one.npz", only=RAMP.astype(np.int16))
    np.testing.assert_allclose(load_images(tmp_path / "one.npz"), RAMP[None] / 12, rtol=1e-6)


def test_transpose_swaps_rows_and_columns(tmp_path):
    np.save(tmp_path / "a.npy", RAMP)
    loaded = load_images(tmp_path / "a.npy", transpose=True)
    np.testing.assert_allclose(loaded[0], RAMP.T / 12, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (2, 6, 5)])
def test_kspace_becomes_a_complex_image_with_its_phase(tmp_path, shape):
    rng = np.random.default_rng(0)
    image = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    axes = (-2, -1)
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=axes)), axes=axes)
    np.savez(tmp_path / "k.npz", kspace=kspace)
    loaded = load_images(tmp_path / "k.npz")
    assert loaded.dtype == np.complex64
    expected = image.reshape(-1, 6, 5) / np.abs(image).max()
    np.testing.assert_allclose(loaded, expected, atol=1e-6)


def test_complex_arrays_stay_complex(tmp_path):
    np.savez(tmp_path / "c.npz", image=RAMP * 1j)
    np.testing.assert_allclose(load_images(tmp_path / "c.npz")[0], RAMP * 1j / 12, rtol=1e-6)


def test_pictures_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    grey = (20 * RAMP).astype(np.uint8)
    Image.fromarray(grey // 2).save(tmp_path / "2.png")
    Image.fromarray(grey).save(tmp_path / "1.png")
    loaded = load_images(tmp_path)
    np.testing.assert_allclose(loaded, np.stack([grey, grey // 2]) / 240, rtol=1e-6)


def test_pictures_of_16_bits_and_of_colour(tmp_path):
    Image.fromarray((5000 * RAMP).astype(np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_allclose(load_images(tmp_path / "deep.png")[0], RAMP / 12, rtol=1e-6)
    white = np.full((8, 8, 3), 255, np.uint8)
    white[:, :4] = 128
    Image.fromarray(white).save(tmp_path / "colour.jpg", quality=100)
    loaded = load_images(tmp_path / "colour.jpg")[0]
    np.testing.assert_allclose(loaded[:, 5:], 1, atol=1 / 255)
    np.testing.assert_allclose(loaded[:, :3], 128 / 255, atol=1 / 255)


def test_nifti_slices_are_shown_as_radiologists_see_them(tmp_path):
    """Axes to the left, posterior, superior: rows from the front, columns from the right."""
    rng = np.random.default_rng(1)
    volume = rng.uniform(0.1, 1, (4, 3, 2)).astype(np.float32)  # (left, posterior, superior)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "v.nii.gz")
    loaded = load_images(tmp_path / "v.nii.gz")
    # Column 0 is the patient's right, where "left" is smallest; row 0 the front.
    np.testing.assert_allclose(loaded, volume.transpose(2, 1, 0) / volume.max(), rtol=1e-6)
    nibabel.save(nibabel.Nifti1Image(volume[::-1, ::-1], np.eye(4)), tmp_path / "ras.nii")
    np.testing.assert_allclose(load_images(tmp_path / "ras.nii"), loaded, rtol=1e-6)


def test_nifti_with_time_gives_all_images(tmp_path):
    series = np.random.default_rng(1).uniform(0.1, 1, (4, 3, 2, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(series, np.diag([-1.0, -1.0, 1.0, 1.0])), tmp_path / "t.nii")
    loaded = load_images(tmp_path / "t.nii")
    assert loaded.shape == (10, 3, 4)
    # Slices of one time point are neighbours.
    expected = series[:, :, 1, 3].T / series.max()
    np.testing.assert_allclose(loaded[3 * 2 + 1], expected, rtol=1e-6)


def test_dicom_folder_is_ordered_in_space_and_rescaled(tmp_path):
    stored = (10 * RAMP).astype(np.uint16)
    write_dicom(tmp_path / "a", stored, instance=1, position=5)
    write_dicom(
        tmp_path / "b", stored, instance=2, position=-5, RescaleSlope=2.0, RescaleIntercept=4.0
    )
    write_dicom(tmp_path / "c", stored // 2, instance=3, position=5)
    (tmp_path / "notes.txt").write_text("not an image")
    loaded = load_images(tmp_path)
    expected = np.stack([2.0 * stored + 4, stored, stored // 2])
    np.testing.assert_allclose(loaded, expected / 244, rtol=1e-6)


def test_one_dicom_file_and_inverted_grey_values(tmp_path):
    stored = (10 * RAMP).astype(np.uint16)
    write_dicom(tmp_path / "x.dcm", stored, instance=1, PhotometricInterpretation="MONOCHROME1")
    expected = 130 - 10 * RAMP
    np.testing.assert_allclose(load_images(tmp_path / "x.dcm")[0], expected / 120, rtol=1e-6)


def test_dicom_files_of_different_size_are_refused(tmp_path):
    write_dicom(tmp_path / "a", RAMP.astype(np.uint16), instance=1)
    write_dicom(tmp_path / "b", RAMP.T.astype(np.uint16), instance=2)
    with pytest.raises(InputError, match=r"b: expected 3 x 4 pixels as in a, found 4 x 3"):
        load_images(tmp_path)


def test_dicom_that_cannot_be_decoded_is_refused(tmp_path):
    write_dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16), instance=1, PixelData=b"\0\0")
    with pytest.raises(InputError, match=r"a\.dcm: expected pixels that can be decoded"):
        load_images(tmp_path / "a.dcm")


@pytest.mark.parametrize(("package", "name"), [("nibabel", "v.nii"), ("pydicom", "v.dcm")])
def test_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, name):
    (tmp_path / name).write_bytes(b"data")

    def without(wanted):
        if wanted == package:
            raise ImportError(wanted)
        return importlib.__import__(wanted)

    monkeypatch.setattr(images_module.importlib, "import_module", without)
    with pytest.raises(InputError, match=rf"{package}.*jaxrecon\[medical\]"):
        load_images(tmp_path / name)


def save(name, **arrays):
    return lambda folder: np.savez(folder / name, **arrays)


@pytest.mark.parametrize(
    ("make", "name", "key", "message"),
    [
        (lambda _: None, "no.npz", "", "no.npz: expected images, found no such file"),
        (save("a.npz", x=RAMP, y=RAMP), "a.npz", "", "expected a key that chooses one of x, y"),
        (save("a.npz", x=RAMP), "a.npz", "z", "a.npz: expected the array 'z', found x"),
        (save("a.npz", kspace=RAMP), "a.npz", "", "expected complex single-coil k-space"),
        (save("a.npz", x=RAMP - 5), "a.npz", "", "expected magnitudes of at least 0, found -4"),
        (save("a.npz", x=RAMP * np.nan), "a.npz", "", "expected finite values"),
        (save("a.npz", x=RAMP * 0), "a.npz", "", "expected images, found only zeros"),
        (save("a.npz", x=RAMP[0]), "a.npz", "", "found (4,)"),
        (save("a.npz", x=np.array([["a"]])), "a.npz", "", "expected numbers, found <U1"),
        (save("a.npz", x=np.array([[None]])), "a.npz", "", "a.npz: expected arrays of numbers"),
        (lambda f: (f / "a.npz").write_bytes(b"PK no"), "a.npz", "", "expected arrays of numbers"),
        (lambda f: (f / "a.npy").write_bytes(b""), "a.npy", "", "expected arrays of numbers"),
        (lambda f: np.save(f / "a.npy", RAMP), "a.npy", "x", "expected no key for a .npy file"),
        (lambda f: (f / "a.png").write_bytes(b"not"), "a.png", "", "a.png: expected a picture"),
        (lambda f: (f / "a.nii").write_bytes(b"not"), "a.nii", "", "expected a NIfTI image"),
        (lambda f: (f / "a.dcm").write_bytes(b"not"), "a.dcm", "", "expected DICOM images"),
        (lambda f: (f / "a.txt").write_text("not"), "a.txt", "", "a.txt: expected .npz, .npy"),
        (lambda f: (f / "empty").mkdir(), "empty", "", "empty: expected a folder of PNG"),
    ],
)
def test_bad_sources_are_refused_in_one_line(tmp_path, make, name, key, message):
    make(tmp_path)
    with pytest.raises(InputError) as caught:
        load_images(tmp_path / name, key)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_of_different_size_are_refused(tmp_path):
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "1.png")
    Image.fromarray(RAMP.T.astype(np.uint8)).save(tmp_path / "2.png")
    with pytest.raises(
        InputError, match=r"2\.png: expected 3 x 4 pixels as in 1\.png, found 4 x 3"
    ):
        load_images(tmp_path)
