from pathlib import Path

import fastmri.data
import h5py
import numpy as np
import pytest
from fastmri.data.subsample import EquispacedMaskFractionFunc
from fastmri.data.transforms import VarNetDataTransform
from kspace_files import HEADER, count_bytes_read, fastmri_file, random_kspace, rss

from jaxrecon.data import fastmri as layout
from jaxrecon.data.examples import make_example
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec, sampling_mask

SLICES, COILS, HEIGHT, WIDTH, CROP = 3, 4, 16, 12, 8
PADDING = (2, 11)
KSPACE = random_kspace(SLICES, COILS, HEIGHT, WIDTH)
KSPACE[..., : PADDING[0]] = 0
KSPACE[..., PADDING[1] :] = 0
TARGET = rss(KSPACE)[:, 4:12, 2:10].astype(np.float32)
XML = HEADER.format(
    rows=HEIGHT,
    columns=WIDTH,
    crop=CROP,
    maximum=PADDING[1] - PADDING[0] - 1,
    center=WIDTH // 2 - PADDING[0],
)
MULTICOIL = {"kspace": KSPACE, "reconstruction_rss": TARGET, "ismrmrd_header": XML}
ATTRIBUTES = {
    "max": float(TARGET.max()),
    "norm": 3.0,
    "acquisition": "CORPD_FBK",
    "patient_id": "0beb8905d9b7fad304389b9d4263c57d5b069257ea1fdde4ecdb1d8c6a2e1c3c",
}


def reference_dataset(folder: Path, challenge: str, transform=None):
    return fastmri.data.SliceDataset(folder, challenge, transform=transform)


def test_multicoil_file_built_from_the_specification(tmp_path):
    path = fastmri_file(tmp_path / "multicoil_train" / "file1000001.h5", MULTICOIL, ATTRIBUTES)
    assert layout.find_files(tmp_path) == [path]
    volume = layout.inspect(path, tmp_path)
    assert volume.path == str(path)
    assert (volume.layout, volume.name) == ("fastmri", "file1000001.h5")
    assert (volume.case, volume.contrast) == (ATTRIBUTES["patient_id"], "CORPD_FBK")
    assert (volume.slices, volume.frames, volume.coils) == (SLICES, 1, COILS)
    assert (volume.height, volume.width) == (HEIGHT, WIDTH)
    assert (volume.target_height, volume.target_width) == (CROP, CROP)
    assert volume.padding == PADDING
    assert volume.maximum == pytest.approx(TARGET.max())
    assert volume.has_target
    assert not volume.sampled
    for index in range(SLICES):
        raw = layout.read_slice(volume, index)
        np.testing.assert_array_equal(raw.kspace, KSPACE[index])
        np.testing.assert_array_equal(raw.target, TARGET[index])
        assert raw.mask is None
    assert layout.volume_maximum(volume) == pytest.approx(TARGET.max())


def test_single_coil_file_takes_its_own_image_and_not_the_multicoil_one(tmp_path):
    kspace = KSPACE[:, 0]
    own = rss(kspace[:, None])[:, 4:12, 2:10].astype(np.float32)
    arrays = {**MULTICOIL, "kspace": kspace, "reconstruction_esc": own}
    path = fastmri_file(tmp_path / "file1000002.h5", arrays, {"max": own.max()})
    volume = layout.inspect(path, tmp_path)
    assert (volume.slices, volume.coils) == (SLICES, 1)
    raw = layout.read_slice(volume, 1)
    np.testing.assert_array_equal(raw.kspace, kspace[1][None])
    np.testing.assert_array_equal(raw.target, own[1])


def test_file_without_header_target_and_attributes(tmp_path):
    path = fastmri_file(tmp_path / "scan.h5", {"kspace": KSPACE})
    volume = layout.inspect(path, tmp_path)
    assert volume.padding == (0, WIDTH)
    assert (volume.target_height, volume.target_width) == (HEIGHT, WIDTH)
    assert (volume.case, volume.contrast, volume.maximum) == ("scan", "", None)
    assert volume.has_target
    np.testing.assert_allclose(layout.read_slice(volume, 2).target, rss(KSPACE[2]), rtol=1e-5)
    assert layout.volume_maximum(volume) == pytest.approx(rss(KSPACE).max(), rel=1e-5)


def test_computed_target_is_cropped_as_the_header_says(tmp_path):
    path = fastmri_file(tmp_path / "a.h5", {"kspace": KSPACE, "ismrmrd_header": XML})
    volume = layout.inspect(path, tmp_path)
    assert (volume.target_height, volume.target_width) == (CROP, CROP)
    np.testing.assert_allclose(layout.read_slice(volume, 0).target, TARGET[0], rtol=1e-5)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_test_file_carries_its_mask(tmp_path, dtype):
    mask = sampling_mask("random", WIDTH, 2.0, center_fraction=0.25, seed=3).pattern[0]
    arrays = {"kspace": KSPACE * mask, "mask": mask.astype(dtype), "ismrmrd_header": XML}
    attributes = {"acceleration": 4, "num_low_frequency": 3}
    path = fastmri_file(tmp_path / "file1000022.h5", arrays, attributes)
    volume = layout.inspect(path, tmp_path)
    assert volume.sampled
    assert not volume.has_target
    assert volume.maximum is None
    assert (volume.target_height, volume.target_width) == (CROP, CROP)
    raw = layout.read_slice(volume, 0)
    assert raw.target is None
    np.testing.assert_array_equal(raw.mask.pattern, mask[None])
    assert (raw.mask.acs, raw.mask.family, raw.mask.acceleration) == (3, "acquired", 4.0)
    with pytest.raises(InputError, match=r"file1000022\.h5: expected a target"):
        layout.volume_maximum(volume)


@pytest.mark.parametrize("width", [12, 13])
@pytest.mark.parametrize("acs", [1, 2, 3, 4])
def test_acs_of_a_mask_without_attributes_is_its_central_run(tmp_path, width, acs):
    first = (width - acs + 1) // 2
    mask = np.zeros(width, bool)
    mask[first : first + acs] = True
    mask[[0, width - 1]] = True
    arrays = {"kspace": random_kspace(1, 2, 6, width) * mask, "mask": mask}
    volume = layout.inspect(fastmri_file(tmp_path / "a.h5", arrays), tmp_path)
    own = layout.read_slice(volume, 0).mask
    assert own.acs == acs
    assert own.acceleration == pytest.approx(width / (acs + 2))


def test_brain_target_may_be_wider_than_its_kspace(tmp_path):
    kspace = random_kspace(1, 2, 16, 6)
    target = np.ones((1, 8, 8), np.float32)
    path = fastmri_file(tmp_path / "a.h5", {"kspace": kspace, "reconstruction_rss": target})
    volume = layout.inspect(path, tmp_path)
    assert (volume.target_height, volume.target_width) == (8, 8)


def test_reading_a_slice_leaves_its_neighbours_alone(tmp_path, monkeypatch):
    kspace = random_kspace(12, 4, 64, 64)
    path = tmp_path / "a.h5"
    layout.write_volume(path, kspace, target=np.ones((12, 64, 64), np.float32))
    volume = layout.inspect(path, tmp_path)
    counter = count_bytes_read(monkeypatch)
    layout.read_slice(volume, 5)
    one_slice = 4 * 64 * 64 * 8 + 64 * 64 * 4
    assert one_slice <= counter.bytes_read < 1.5 * one_slice


def test_double_precision_is_read_in_single(tmp_path):
    path = fastmri_file(tmp_path / "a.h5", {"kspace": KSPACE.astype(np.complex128)})
    kspace = layout.read_slice(layout.inspect(path, tmp_path), 0).kspace
    assert kspace.dtype == np.complex64
    np.testing.assert_array_equal(kspace, KSPACE[0])


class TestWrittenFile:
    def test_is_read_by_the_reference(self, tmp_path):
        layout.write_volume(
            tmp_path / "file1.h5",
            KSPACE,
            crop_height=CROP,
            crop_width=CROP,
            contrast="CORPDFS_FBK",
            case="patient",
            comment="simulated",
            padding=PADDING,
        )
        dataset = reference_dataset(tmp_path, "multicoil")
        assert len(dataset) == SLICES
        for index in range(SLICES):
            kspace, mask, target, attributes, name, position = dataset[index]
            np.testing.assert_array_equal(kspace, KSPACE[index])
            np.testing.assert_allclose(target, TARGET[index], rtol=1e-5)
            assert mask is None
            assert (name, position) == ("file1.h5", index)
        assert (attributes["padding_left"], attributes["padding_right"]) == PADDING
        assert attributes["encoding_size"] == (HEIGHT, WIDTH, 1)
        assert attributes["recon_size"] == (CROP, CROP, 1)
        assert attributes["max"] == pytest.approx(TARGET.max())
        assert attributes["norm"] == pytest.approx(np.linalg.norm(TARGET))
        assert attributes["acquisition"] == "CORPDFS_FBK"
        assert attributes["patient_id"] == "patient"
        assert attributes["comment"] == "simulated"

    def test_of_a_single_coil_is_read_by_the_reference(self, tmp_path):
        layout.write_volume(tmp_path / "file1.h5", KSPACE[:, 1], crop_height=CROP, crop_width=CROP)
        kspace, _, target, _, _, _ = reference_dataset(tmp_path, "singlecoil")[2]
        np.testing.assert_array_equal(kspace, KSPACE[2, 1])
        np.testing.assert_allclose(target, rss(KSPACE[2, 1:2])[4:12, 2:10], rtol=1e-5)

    def test_of_a_test_set_is_read_by_the_reference(self, tmp_path):
        mask = sampling_mask("equispaced", WIDTH, 4.0, center_fraction=0.2, seed=1)
        layout.write_volume(
            tmp_path / "file1.h5", KSPACE, crop_height=CROP, crop_width=CROP, mask=mask
        )
        kspace, own, target, attributes, _, _ = reference_dataset(tmp_path, "multicoil")[0]
        np.testing.assert_array_equal(kspace, KSPACE[0] * mask.pattern)
        np.testing.assert_array_equal(own, mask.pattern[0])
        assert target is None
        assert (attributes["acceleration"], attributes["num_low_frequency"]) == (4, mask.acs)
        assert attributes["recon_size"] == (CROP, CROP, 1)
        raw = layout.read_slice(layout.inspect(tmp_path / "file1.h5", tmp_path), 0)
        np.testing.assert_array_equal(raw.kspace, kspace)
        assert raw.mask.acs == mask.acs

    def test_gives_the_example_of_the_reference(self, tmp_path):
        path = tmp_path / "file1000001.h5"
        layout.write_volume(path, KSPACE, crop_height=CROP, crop_width=CROP, padding=PADDING)
        transform = VarNetDataTransform(EquispacedMaskFractionFunc([0.2], [3]), use_seed=True)
        reference = reference_dataset(tmp_path, "multicoil", transform)[1]
        volume = layout.inspect(path, tmp_path)
        spec = MaskSpec("equispaced_fraction", (3.0,), (0.2,))
        mask = spec.draw(WIDTH, volume.name, 1)

        example = make_example(volume, layout.read_slice(volume, 1), mask)

        kspace = reference.masked_kspace.numpy()
        np.testing.assert_allclose(
            example["kspace"], kspace[..., 0] + 1j * kspace[..., 1], atol=1e-6
        )
        np.testing.assert_array_equal(example["mask"], reference.mask.numpy()[0, :, :, 0])
        np.testing.assert_allclose(example["target"][4:12, 2:10], reference.target, rtol=1e-5)
        assert example["data_range"] == pytest.approx(reference.max_value)
        assert tuple(example["crop"]) == tuple(reference.crop_size)
        assert int(example["acs"]) == reference.num_low_frequencies

    def test_refuses_a_mask_of_another_width(self, tmp_path):
        mask = sampling_mask("random", 10, 2.0, center_fraction=0.1, seed=1)
        with pytest.raises(InputError, match=r"a\.h5: expected a mask of the shape \(1, 12\)"):
            layout.write_volume(tmp_path / "a.h5", KSPACE, mask=mask)
        assert list(tmp_path.iterdir()) == []


def changed(**changes) -> dict:
    arrays = {**MULTICOIL, **changes}
    return {key: array for key, array in arrays.items() if array is not None}


BAD_FILES = {
    "missing key": (changed(kspace=None), "expected the data set 'kspace', found ismrmrd_header"),
    "rank": (changed(kspace=KSPACE[0, 0]), "expected 'kspace' with 3 or 4 axes"),
    "no slices": (changed(kspace=KSPACE[:0]), "expected 'kspace' to hold data"),
    "no columns": (changed(kspace=KSPACE[..., :0]), "expected 'kspace' to hold data"),
    "not complex": (changed(kspace=KSPACE.real), "expected complex numbers in 'kspace'"),
    "slices of target": (changed(reconstruction_rss=TARGET[:2]), "as many slices in"),
    "rank of target": (changed(reconstruction_rss=TARGET[0]), "'reconstruction_rss' with 3 axes"),
    "header not XML": (changed(ismrmrd_header="no"), "expected XML in 'ismrmrd_header'"),
    "header without sizes": (
        changed(ismrmrd_header="<a/>"),
        "expected an integer encoding/encodedSpace/matrixSize/y",
    ),
    "nothing acquired": (
        changed(ismrmrd_header=XML.replace("<center>4", "<center>40")),
        "expected acquired columns",
    ),
    "mask of another width": (changed(mask=np.ones(5)), "expected 'mask' to choose from 12"),
    "mask of nothing": (changed(mask=np.zeros(WIDTH)), "expected 'mask' to choose from 12"),
    "mask of rank 2": (changed(mask=np.ones((1, WIDTH))), "expected 'mask' with 1 axes"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_one_line_that_names_it(tmp_path, kind):
    arrays, message = BAD_FILES[kind]
    path = fastmri_file(tmp_path / "bad.h5", arrays, ATTRIBUTES)
    with pytest.raises(InputError, match=message) as caught:
        layout.inspect(path, tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kspace_that_is_a_group(tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        file.create_group("kspace")
    with pytest.raises(InputError, match=r"bad\.h5: expected the data set 'kspace'"):
        layout.inspect(path, tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_empty_or_truncated_file(tmp_path, kept):
    path = fastmri_file(tmp_path / "bad.h5", MULTICOIL, ATTRIBUTES)
    path.write_bytes(path.read_bytes()[:kept])
    found = "found an empty file" if kept == 0 else "found one that cannot be read"
    with pytest.raises(InputError, match=rf"bad\.h5: .*{found}") as caught:
        layout.inspect(path, tmp_path)
    assert "\n" not in str(caught.value)


def test_file_that_is_gone(tmp_path):
    with pytest.raises(InputError, match=r"gone\.h5"):
        layout.inspect(tmp_path / "gone.h5", tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kspace", np.nan, "NaN or infinity in its k-space"),
        ("kspace", np.inf, "NaN or infinity in its k-space"),
        ("kspace", 0, "k-space of zeros only"),
        ("reconstruction_rss", np.nan, "NaN or infinity in its target"),
    ],
)
def test_bad_slice_names_file_and_slice(tmp_path, key, value, message):
    array = MULTICOIL[key].copy()
    array[1] = value
    path = fastmri_file(tmp_path / "bad.h5", {**MULTICOIL, key: array}, ATTRIBUTES)
    volume = layout.inspect(path, tmp_path)
    layout.read_slice(volume, 0)
    with pytest.raises(InputError, match=rf"bad\.h5: .*slice 1, found {message}"):
        layout.read_slice(volume, 1)


@pytest.mark.parametrize("index", [-1, SLICES])
def test_slice_that_is_not_there(tmp_path, index):
    path = fastmri_file(tmp_path / "a.h5", MULTICOIL, ATTRIBUTES)
    volume = layout.inspect(path, tmp_path)
    with pytest.raises(InputError, match=rf"a slice index from 0 to 2, found {index}"):
        layout.read_slice(volume, index)
