import dataclasses
import json

import h5py
import numpy as np
import pytest
from kspace_files import rss

from jaxrecon.data import cmrxrecon, fastmri, simulated_dataset
from jaxrecon.data.images import load_images
from jaxrecon.data.phantom import PhantomSettings, phantom_kspace
from jaxrecon.data.simulated_dataset import write_images_dataset, write_phantom_dataset
from jaxrecon.data.simulation import ImageSettings, image_kspace
from jaxrecon.errors import InputError

PHANTOM = PhantomSettings("brain", "AXT2", height=24, width=20, coils=3)
PARTS = {"train": range(2), "test": range(2, 3)}
IMAGES = np.random.default_rng(0).uniform(0, 1, (7, 16, 12)).astype(np.float32)


def phantoms(folder, layout="cmrxrecon", settings=PHANTOM, parts=PARTS, **options):
    return write_phantom_dataset(folder, layout, settings, parts, progress=False, **options)


def from_images(folder, layout="cmrxrecon", images=IMAGES, parts=None, **options):
    settings = options.pop("settings", ImageSettings(coils=3))
    return write_images_dataset(
        folder, layout, images, settings, parts or {"train": range(7)},
        source="waves.npz", images_per_case=3, progress=False, **options,
    )  # fmt: skip


def test_cmrxrecon_files_are_read_back_by_their_reader(tmp_path):
    settings = PhantomSettings("cardiac", height=24, width=20, coils=3, frames=2, slices=2)
    result = phantoms(tmp_path, settings=settings)
    base = tmp_path / "MultiCoil" / "Cine"
    names = [f"{part}Set/FullSample/P{n}/cine_sax.mat" for part, n in
             (("Test", "003"), ("Training", "001"), ("Training", "002"))]  # fmt: skip
    assert result.files == tuple(base / name for name in names)
    assert cmrxrecon.find_files(tmp_path) == list(result.files)
    volume = cmrxrecon.inspect(result.files[0], tmp_path)
    assert (volume.frames, volume.slices, volume.coils) == (2, 4, 3)
    assert (volume.height, volume.width, volume.has_target) == (24, 20, True)
    kspace = phantom_kspace(settings, 2)
    for index in range(4):
        raw = cmrxrecon.read_slice(volume, index)
        np.testing.assert_array_equal(raw.kspace, kspace[index // 2, index % 2])
        expected = rss(raw.kspace)
        np.testing.assert_allclose(raw.target, expected, atol=1e-6 * expected.max())


def test_fastmri_files_are_read_back_by_their_reader(tmp_path):
    settings = PhantomSettings("knee", height=24, width=20, oversampling=2, coils=3, slices=2)
    parts = {"train": range(1), "validation": range(1, 2), "test": range(2, 3)}
    result = phantoms(tmp_path, "fastmri", settings, parts)
    names = [("test", 3), ("train", 1), ("val", 2)]
    assert result.files == tuple(
        tmp_path / f"multicoil_{part}" / f"file100000{n}.h5" for part, n in names
    )
    volume = fastmri.inspect(result.files[1], tmp_path)
    assert volume.contrast == settings.case_contrast(0)
    assert (volume.slices, volume.frames, volume.padding) == (2, 1, (0, 20))
    assert (volume.height, volume.target_height, volume.target_width) == (48, 24, 20)
    for index in range(2):
        raw = fastmri.read_slice(volume, index)
        np.testing.assert_array_equal(raw.kspace, phantom_kspace(settings, 0)[0, index])
        expected = rss(raw.kspace)[12:36]
        np.testing.assert_allclose(raw.target, expected, atol=1e-6 * expected.max())
    assert volume.maximum == pytest.approx(fastmri.volume_maximum(volume))


@pytest.mark.parametrize("layout", ["cmrxrecon", "fastmri"])
def test_images_are_cut_into_parts_by_blocks(tmp_path, layout):
    parts = {"train": range(4), "validation": range(4, 5), "test": range(5, 7)}
    result = from_images(tmp_path, layout, parts=parts)
    module = {"cmrxrecon": cmrxrecon, "fastmri": fastmri}[layout]
    found = {}
    for path in result.files:
        volume = module.inspect(path, tmp_path)
        found[volume.case.rsplit("/")[-1]] = [
            module.read_slice(volume, n).kspace for n in range(volume.slices)
        ]
    # Blocks of at most three images, numbered through the parts.
    blocks = [[0, 1, 2], [3], [4], [5, 6]]
    assert [len(found[name]) for name in sorted(found)] == [3, 1, 1, 2]
    for name, block in zip(sorted(found), blocks, strict=True):
        for kspace, index in zip(found[name], block, strict=True):
            expected = image_kspace(IMAGES[index], ImageSettings(coils=3), index)
            np.testing.assert_array_equal(kspace, expected)


def test_an_image_does_not_depend_on_how_the_set_is_cut(tmp_path):
    whole = from_images(tmp_path / "whole")
    part = from_images(tmp_path / "part", parts={"test": range(6, 7)})
    last = cmrxrecon.inspect(whole.files[-1], tmp_path)
    only = cmrxrecon.inspect(part.files[0], tmp_path)
    np.testing.assert_array_equal(
        cmrxrecon.read_slice(last, 0).kspace, cmrxrecon.read_slice(only, 0).kspace
    )


@pytest.mark.parametrize("layout", ["cmrxrecon", "fastmri"])
def test_files_say_that_they_were_simulated(tmp_path, layout):
    settings = dataclasses.replace(PHANTOM, seed=42)
    made = phantoms(tmp_path / "a", layout, settings), from_images(tmp_path / "b", layout)
    comments = []
    for result in made:
        with h5py.File(result.files[0]) as file:
            comments.append(json.loads(file.attrs["comment"]))
    assert all(comment["simulated"] for comment in comments)
    assert "phantom" in comments[0]["source"]
    assert comments[0]["settings"]["seed"] == 42
    assert comments[0]["settings"]["noise"] == 0.004
    assert comments[1]["source"].startswith("waves.npz, images 0-2 (sha256 ")
    assert comments[1]["source"].endswith("simulated coils and noise, simulated phase")


def test_finished_files_are_kept_and_missing_ones_are_added(tmp_path):
    first = phantoms(tmp_path)
    first.files[1].unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (first.files[0], first.files[2])}
    second = phantoms(tmp_path, parts={"train": range(2), "test": range(2, 4)})
    assert set(second.kept) == set(stamps)
    assert {path.parent.name for path in second.written} == {"P001", "P004"}
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_an_interrupted_call_leaves_only_whole_files(tmp_path, monkeypatch):
    calls = []

    def interrupted(settings, case):
        calls.append(case)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return phantom_kspace(settings, case)

    monkeypatch.setattr(simulated_dataset, "phantom_kspace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantoms(tmp_path)
    assert [path.parent.name for path in tmp_path.rglob("*") if path.is_file()] == ["P001"]
    assert len(phantoms(tmp_path).kept) == 1
    assert calls == [0, 1, 1, 2]


@pytest.mark.parametrize("layout", ["cmrxrecon", "fastmri"])
def test_other_settings_are_refused_unless_overwriting(tmp_path, layout):
    before = phantoms(tmp_path, layout)
    other = dataclasses.replace(PHANTOM, noise=0.01)
    with pytest.raises(InputError, match="expected no file or one simulated with these settings"):
        phantoms(tmp_path, layout, other)
    after = phantoms(tmp_path, layout, other, overwrite=True)
    assert set(after.written) == set(before.files)
    assert len(phantoms(tmp_path, layout, other).kept) == 3


def test_other_images_or_other_files_are_refused(tmp_path):
    from_images(tmp_path)
    with pytest.raises(InputError, match="found another"):
        from_images(tmp_path, images=IMAGES[::-1].copy())
    path = from_images(tmp_path).files[0]
    path.write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=r"cine_sax\.mat: expected no file or one simulated"):
        from_images(tmp_path)


def test_a_case_cannot_be_in_two_parts(tmp_path):
    phantoms(tmp_path)
    with pytest.raises(InputError, match=r"TrainingSet.*P002.*expected P002 in one part only"):
        phantoms(tmp_path, parts={"train": range(1), "test": range(1, 3)})
    with pytest.raises(InputError, match="expected each number in one part, found 1 in several"):
        phantoms(tmp_path / "new", parts={"train": range(2), "test": range(1, 3)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "nifti"}, "layout: expected one of cmrxrecon, fastmri, found 'nifti'"),
        ({"parts": {"exam": range(3)}}, "parts: expected the names train, validation, test"),
        ({"parts": {"train": range(0)}}, "parts: expected at least one case, found none"),
        ({"parts": {"train": range(5, 8)}}, "expected images from 0 to 6 in 'train', found 5-7"),
        ({"settings": ImageSettings(oversampling=2)}, "oversampling: expected 1, as cmrxrecon"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(InputError) as caught:
        from_images(tmp_path, **options)
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_real_hearts_undersampled_look_as_measured_before(tmp_path, real_data):
    """Zero-filled quality at R = 4 with 12 ACS lines, measured with another implementation."""
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    images = load_images(real_data / "data" / "cardiac_sax.npz")
    settings = ImageSettings(coils=6, height=128, width=128)
    result = write_images_dataset(
        tmp_path, "cmrxrecon", images, settings, {"test": range(90, 100)},
        source="cardiac_sax.npz", progress=False,
    )  # fmt: skip
    volume = cmrxrecon.inspect(result.files[0], tmp_path)
    mask = np.zeros(128, bool)
    mask[::4] = mask[58:70] = True
    figures = []
    for index in range(10):
        raw = cmrxrecon.read_slice(volume, index)
        image, target = rss(raw.kspace * mask), raw.target
        error = ((image - target) ** 2).mean()
        similarity = structural_similarity(
            target, image.astype(np.float32), data_range=float(target.max())
        )
        figures.append(
            (similarity, 10 * np.log10(target.max() ** 2 / error), error / (target**2).mean())
        )
    ssim, psnr, nmse = np.mean(figures, axis=0)
    # Phase and noise are other draws than those: that moves the means by about this much.
    assert ssim == pytest.approx(0.708, abs=0.01)
    assert psnr == pytest.approx(24.90, abs=0.15)
    assert nmse == pytest.approx(0.0949, abs=0.002)
