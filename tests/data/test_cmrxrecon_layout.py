from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from kspace_files import cmrxrecon_file, count_bytes_read, random_kspace, rss

from jaxrecon.data import cmrxrecon as layout
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import sampling_mask

FRAMES, POSITIONS, COILS, HEIGHT, WIDTH = 3, 2, 4, 40, 32
KSPACE = 1e-3 * random_kspace(FRAMES, POSITIONS, COILS, HEIGHT, WIDTH)
SAX = Path("MultiCoil/Cine/TrainingSet/FullSample/P001/cine_sax.mat")


def write_mask(path: Path, pattern: np.ndarray, key="mask04") -> None:
    with h5py.File(path, "w") as file:
        file[key] = np.broadcast_to(pattern, (HEIGHT, WIDTH)).T.astype(np.float64)


@pytest.mark.parametrize("precision", ["f4", "f8"])
def test_file_built_from_the_specification(tmp_path, precision):
    path = cmrxrecon_file(tmp_path / SAX, KSPACE, precision=precision)
    volume = layout.inspect(path, tmp_path / SAX.parent.parent)
    assert volume.path == str(path)
    assert (volume.layout, volume.name) == ("cmrxrecon", "P001/cine_sax.mat")
    assert (volume.case, volume.contrast) == ("TrainingSet/P001", "cine_sax")
    assert (volume.slices, volume.frames, volume.positions) == (6, FRAMES, POSITIONS)
    assert (volume.coils, volume.height, volume.width) == (COILS, HEIGHT, WIDTH)
    assert (volume.target_height, volume.target_width) == (HEIGHT, WIDTH)
    assert volume.padding == (0, WIDTH)
    assert (volume.maximum, volume.has_target, volume.sampled) == (None, True, False)
    for index in range(volume.slices):
        frame, position = divmod(index, POSITIONS)
        raw = layout.read_slice(volume, index)
        np.testing.assert_allclose(raw.kspace, KSPACE[frame, position], rtol=1e-6)
        np.testing.assert_allclose(raw.target, rss(KSPACE[frame, position]), rtol=1e-5)
        assert raw.kspace.flags.c_contiguous
        assert raw.mask is None
    assert layout.volume_maximum(volume) == pytest.approx(rss(KSPACE).max(), rel=1e-5)


@pytest.mark.parametrize(("frames", "positions"), [(1, 2), (1, 1), (3, 1)])
def test_axes_of_one_that_matlab_drops(tmp_path, frames, positions):
    kspace = KSPACE[:frames, :positions]
    path = layout.volume_path(tmp_path, part="TestSet", case="P002", contrast="T1map")
    cmrxrecon_file(path, kspace)
    with h5py.File(path, "r+") as file:
        stored = file["kspace_full"][()]
        del file["kspace_full"]
        while stored.shape[0] == 1:
            stored = stored[0]
        file["kspace_full"] = stored
    volume = layout.inspect(path, tmp_path)
    assert (volume.slices, volume.frames) == (frames * positions, frames)
    last = layout.read_slice(volume, volume.slices - 1)
    np.testing.assert_array_equal(last.kspace, kspace[-1, -1])


def test_undersampled_file_and_its_mask(tmp_path):
    mask = sampling_mask("cmrxrecon_uniform", WIDTH, 4.0, acs=24, seed=0)
    path = tmp_path / "MultiCoil/Cine/ValidationSet/AccFactor04/P001/cine_lax.mat"
    cmrxrecon_file(path, KSPACE * mask.pattern, key="kspace_sub04")
    write_mask(path.with_name("cine_lax_mask.mat"), mask.pattern)
    assert layout.find_files(tmp_path) == [path]
    volume = layout.inspect(path, tmp_path)
    assert (volume.sampled, volume.has_target) == (True, False)
    assert volume.case == "ValidationSet/P001"
    raw = layout.read_slice(volume, 3)
    np.testing.assert_array_equal(raw.kspace, KSPACE[1, 1] * mask.pattern)
    assert raw.target is None
    np.testing.assert_array_equal(raw.mask.pattern, mask.pattern)
    assert (raw.mask.acs, raw.mask.acceleration, raw.mask.family) == (24, 4.0, "acquired")
    with pytest.raises(InputError, match=r"cine_lax\.mat: expected fully sampled k-space"):
        layout.volume_maximum(volume)


def test_mask_that_differs_between_rows_keeps_them(tmp_path):
    path = cmrxrecon_file(tmp_path / "P001" / "cine_sax.mat", KSPACE, key="kspace_sub08")
    pattern = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    write_mask(path.with_name("cine_sax_mask.mat"), pattern, key="mask08")
    mask = layout.read_slice(layout.inspect(path, tmp_path), 0).mask
    np.testing.assert_array_equal(mask.pattern, pattern)


class TestNames:
    @pytest.fixture
    def root(self, tmp_path):
        for modality, contrast in (("Cine", "cine_sax"), ("Mapping", "T1map")):
            for part in ("TrainingSet", "ValidationSet"):
                for case in ("P001", "P002"):
                    path = f"MultiCoil/{modality}/{part}/FullSample/{case}/{contrast}.mat"
                    cmrxrecon_file(tmp_path / path, KSPACE[:1, :1])
        return tmp_path

    @pytest.mark.parametrize(
        ("below", "count", "first"),
        [
            (".", 8, "MultiCoil/Cine/TrainingSet/FullSample/P001/cine_sax.mat"),
            ("MultiCoil", 8, "Cine/TrainingSet/FullSample/P001/cine_sax.mat"),
            ("MultiCoil/Cine/TrainingSet/FullSample", 2, "P001/cine_sax.mat"),
            ("MultiCoil/Cine/TrainingSet/FullSample/P001", 1, "P001/cine_sax.mat"),
            ("MultiCoil/Cine/TrainingSet/FullSample/P001/cine_sax.mat", 1, "P001/cine_sax.mat"),
        ],
    )
    def test_are_unique_at_every_level(self, root, below, count, first):
        folder = root / below
        volumes = [layout.inspect(path, folder) for path in layout.find_files(folder)]
        names = [volume.name for volume in volumes]
        assert names[0] == first
        assert len(set(names)) == count

    def test_a_case_is_one_patient_of_one_set(self, root):
        cases = [layout.inspect(path, root).case for path in layout.find_files(root)]
        patients = ("TrainingSet/P001", "TrainingSet/P002", "ValidationSet/P001")
        assert {case: cases.count(case) for case in cases} == dict.fromkeys(
            (*patients, "ValidationSet/P002"), 2
        )

    def test_undersampled_copies_are_listed_only_on_their_own(self, root):
        training = root / "MultiCoil/Cine/TrainingSet"
        copy = training / "AccFactor04/P001/cine_sax.mat"
        cmrxrecon_file(copy, KSPACE[:1, :1], key="kspace_sub04")
        write_mask(copy.with_name("cine_sax_mask.mat"), np.ones(WIDTH))
        assert copy not in layout.find_files(root)
        assert layout.find_files(training / "AccFactor04") == [copy]


class TestWrittenFile:
    def test_has_the_challenge_layout(self, tmp_path):
        path = tmp_path / SAX
        layout.write_volume(path, KSPACE, comment="simulated")
        with h5py.File(path) as file:
            assert list(file) == ["kspace_full"]
            stored = file["kspace_full"]
            assert stored.shape == (FRAMES, POSITIONS, COILS, WIDTH, HEIGHT)
            assert stored.chunks == (1, 1, COILS, WIDTH, HEIGHT)
            assert stored.dtype == np.dtype([("real", "<f4"), ("imag", "<f4")])
            assert stored.attrs["MATLAB_class"] == b"single"
            np.testing.assert_array_equal(stored[2, 1, 3, 7, 5]["imag"], KSPACE[2, 1, 3, 5, 7].imag)
            assert file.attrs["comment"] == "simulated"
            assert file.userblock_size == 512

    def test_is_known_as_matlab_7_3(self, tmp_path):
        layout.write_volume(tmp_path / "a.mat", KSPACE[:1])
        with (tmp_path / "a.mat").open("rb") as file:
            assert scipy.io.matlab.matfile_version(file) == (2, 0)
            assert file.seek(0) == 0
            assert file.read(19) == b"MATLAB 7.3 MAT-file"
            assert file.seek(124) == 124
            assert file.read(4) == b"\x00\x02IM"
        with pytest.raises(NotImplementedError, match=r"HDF reader for matlab v7\.3"):
            scipy.io.loadmat(tmp_path / "a.mat")

    def test_reads_back_from_where_it_belongs(self, tmp_path):
        path = layout.volume_path(tmp_path, part="TrainingSet", case="P001", contrast="cine_sax")
        assert path == tmp_path / SAX
        layout.write_volume(path, KSPACE)
        volume = layout.inspect(path, tmp_path)
        for index, (frame, position) in enumerate(np.ndindex(FRAMES, POSITIONS)):
            kspace = layout.read_slice(volume, index).kspace
            np.testing.assert_array_equal(kspace, KSPACE[frame, position])

    def test_with_a_mask_is_undersampled(self, tmp_path):
        path = layout.volume_path(
            tmp_path, part="TestSet", case="P007", contrast="T2map", acceleration=10
        )
        assert path == tmp_path / "MultiCoil/Mapping/TestSet/AccFactor10/P007/T2map.mat"
        mask = sampling_mask("cmrxrecon_uniform", WIDTH, 10.0, acs=24, seed=0)
        layout.write_volume(path, KSPACE, mask=mask)
        with h5py.File(path) as file, h5py.File(path.with_name("T2map_mask.mat")) as mask_file:
            assert list(file) == ["kspace_sub10"]
            assert mask_file["mask10"].shape == (WIDTH, HEIGHT)
            np.testing.assert_array_equal(mask_file["mask10"][:, 0], mask.pattern[0])
        raw = layout.read_slice(layout.inspect(path, tmp_path), 0)
        np.testing.assert_array_equal(raw.kspace, KSPACE[0, 0] * mask.pattern)
        np.testing.assert_array_equal(raw.mask.pattern, mask.pattern)

    def test_refuses_a_mask_of_another_size(self, tmp_path):
        mask = sampling_mask("cmrxrecon_uniform", WIDTH + 2, 4.0, acs=4, seed=0)
        with pytest.raises(InputError, match=r"a\.mat: expected a mask for k-space of 40 x 32"):
            layout.write_volume(tmp_path / "a.mat", KSPACE, mask=mask)
        assert list(tmp_path.iterdir()) == []


def test_reading_a_slice_reads_its_chunk_alone(tmp_path, monkeypatch):
    kspace = random_kspace(6, 3, 4, 48, 48)
    path = tmp_path / SAX
    layout.write_volume(path, kspace)
    volume = layout.inspect(path, tmp_path)
    counter = count_bytes_read(monkeypatch)
    np.testing.assert_array_equal(layout.read_slice(volume, 7).kspace, kspace[2, 1])
    one_slice = 4 * 48 * 48 * 8
    assert one_slice <= counter.bytes_read < 1.5 * one_slice


def reversed_axes(kspace: np.ndarray) -> np.ndarray:
    stored = np.empty(kspace.swapaxes(-2, -1).shape, [("real", "f4"), ("imag", "f4")])
    stored["real"], stored["imag"] = kspace.swapaxes(-2, -1).real, kspace.swapaxes(-2, -1).imag
    return stored


BAD_FILES = {
    "missing key": ({"kspace": reversed_axes(KSPACE)}, "the data set 'kspace_full', found kspace"),
    "rank": ({"kspace_full": reversed_axes(KSPACE[0, 0, 0])}, "with 3 or 4 or 5 axes"),
    "no frames": ({"kspace_full": reversed_axes(KSPACE[:0])}, "'kspace_full' to hold data"),
    "not complex": (
        {"kspace_full": KSPACE.real},
        "complex numbers in 'kspace_full', found float32",
    ),
    "other fields": (
        {"kspace_full": np.zeros((2, 2, 2), [("re", "f4"), ("im", "f4")])},
        "complex numbers in 'kspace_full'",
    ),
    "no mask": ({"kspace_sub04": reversed_axes(KSPACE)}, r"cine_sax_mask\.mat"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_one_line_that_names_it(tmp_path, kind):
    arrays, message = BAD_FILES[kind]
    with h5py.File(tmp_path / "cine_sax.mat", "w") as file:
        file.update(arrays)
    with pytest.raises(InputError, match=message) as caught:
        layout.inspect(tmp_path / "cine_sax.mat", tmp_path)
    assert str(tmp_path / "cine_sax") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "key", "message"),
    [
        (np.ones((1, WIDTH)), "mask08", "expected the data set 'mask04', found mask08"),
        (np.zeros((1, WIDTH)), "mask04", "expected a mask of 40 x 32 that keeps something"),
    ],
)
def test_bad_mask_is_one_line_that_names_it(tmp_path, pattern, key, message):
    path = cmrxrecon_file(tmp_path / "cine_sax.mat", KSPACE, key="kspace_sub04")
    write_mask(tmp_path / "cine_sax_mask.mat", pattern, key)
    with pytest.raises(InputError, match=rf"cine_sax_mask\.mat: {message}"):
        layout.inspect(path, tmp_path)


def test_mask_of_another_size(tmp_path):
    path = cmrxrecon_file(tmp_path / "cine_sax.mat", KSPACE, key="kspace_sub04")
    with h5py.File(tmp_path / "cine_sax_mask.mat", "w") as file:
        file["mask04"] = np.ones((HEIGHT, WIDTH))
    with pytest.raises(InputError, match=r"cine_sax_mask\.mat: expected a mask of 40 x 32"):
        layout.inspect(path, tmp_path)


@pytest.mark.parametrize("kept", [0, 600, 20_000])
def test_empty_or_truncated_file(tmp_path, kept):
    path = tmp_path / SAX
    layout.write_volume(path, KSPACE)
    path.write_bytes(path.read_bytes()[:kept])
    found = "found an empty file" if kept == 0 else "found one that cannot be read"
    with pytest.raises(InputError, match=rf"cine_sax\.mat: .*{found}"):
        layout.inspect(path, tmp_path)


def test_older_matlab_format(tmp_path):
    scipy.io.savemat(tmp_path / "cine_sax.mat", {"kspace_full": KSPACE[0, 0]})
    with pytest.raises(InputError, match=r"cine_sax\.mat: expected a complete HDF5 file"):
        layout.inspect(tmp_path / "cine_sax.mat", tmp_path)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "NaN or infinity"), (np.inf, "NaN or infinity"), (0, "zeros")]
)
def test_bad_slice_names_file_and_slice(tmp_path, value, message):
    kspace = KSPACE.copy()
    kspace[2, 0] = value
    path = cmrxrecon_file(tmp_path / SAX, kspace)
    volume = layout.inspect(path, tmp_path)
    layout.read_slice(volume, 3)
    with pytest.raises(InputError, match=rf"cine_sax\.mat: .*slice 4, found .*{message}"):
        layout.read_slice(volume, 4)
