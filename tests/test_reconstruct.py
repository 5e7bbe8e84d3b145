import json
import re
import subprocess
import sys

import h5py
import nibabel
import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image
from scan_networks import write_small_run, write_small_weights

from jaxrecon import reconstruct
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.metrics.example_images import read_example
from jaxrecon.metrics.results import read_results
from jaxrecon.physics.sampling import sampling_mask

EQUISPACED = ("--mask=equispaced", "--acceleration=3", "--center_fraction=0.2")


@pytest.fixture(scope="module")
def knee(tmp_path_factory):
    """Three slices of a phantom knee in the fastMRI layout: 64 x 32, an image of 32 x 32."""
    folder = tmp_path_factory.mktemp("knee")
    settings = PhantomSettings("knee", height=32, width=32, oversampling=2, coils=3, slices=3)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(1)}, progress=False)
    return next(folder.rglob("*.h5"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_small_run(tmp_path_factory.mktemp("runs") / "a")


def call(*arguments):
    """Run the program in this process."""
    saved = flagsaver.save_flag_values(reconstruct._FLAGS)
    try:
        reconstruct._FLAGS(["reconstruct", *map(str, arguments)])
        return reconstruct.main()
    finally:
        flagsaver.restore_flag_values(saved, reconstruct._FLAGS)


def stored(path, key="reconstruction"):
    with h5py.File(path) as file:
        return file[key][()]


def undersampled(knee, folder):
    """The scan as a test file of fastMRI's."""
    with h5py.File(knee) as file:
        kspace, header = file["kspace"][()], file["ismrmrd_header"][()]
    mask = sampling_mask("equispaced", 32, 3, center_fraction=0.2, seed=(1, 2))
    path = folder / "test.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace * mask.pattern
        file["mask"] = mask.pattern[0]
        file["ismrmrd_header"] = header
    np.save(folder / "mask.npy", mask.pattern)
    return path


def test_a_run_writes_every_format_and_says_what_it_did(tmp_path, knee, run, capsys):
    outputs = [tmp_path / "new" / f"r{suffix}" for suffix in (".h5", ".nii.gz", ".npy", ".png")]
    code = call(
        f"--input={knee}", f"--run={run}", f"--output={','.join(map(str, outputs))}", *EQUISPACED
    )
    assert code == 0
    images = stored(outputs[0])
    assert images.shape == (3, 32, 32)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(np.load(outputs[2]), images)
    nifti = nibabel.load(outputs[1])
    np.testing.assert_array_equal(np.asarray(nifti.dataobj).transpose(2, 1, 0)[:, ::-1], images)
    with Image.open(outputs[3]) as picture:
        about = json.loads(picture.text["jaxrecon"])
    with h5py.File(outputs[0]) as file:
        assert json.loads(file.attrs["provenance"]) == about
    assert about["runs"]["small"]["config"]["name"] == "small"
    assert len(about["runs"]["small"]["checkpoint_sha256"]) == 64
    assert about["scan"] == knee.name
    assert len(about["scan_sha256"]) == 64
    assert about["sampling"]["mask"] == "equispaced"
    assert (about["slices"], about["crop"]) == ([0, 1, 2], [32, 32])

    printed = capsys.readouterr().out
    assert "3 of 3 slices, 3 coils, 64 x 32, image 32 x 32" in printed
    effective = about["sampling"]["effective_acceleration"]
    assert f"equispaced mask of columns, R = 3, effective {effective:.2f}, ACS 6" in printed
    # The baseline stands beside the network, though it is not what is written.
    assert re.search(r"^zero_filled +0\.\d{4} ", printed, re.MULTILINE)
    assert re.search(r"^small +-?0\.\d{4} ", printed, re.MULTILINE)


def test_retrospective_masks_equal_those_of_evaluation(tmp_path, knee):
    """By the seed of the file's name, fastMRI's own rule."""
    call(f"--input={knee}", "--method=zero_filled", f"--output={tmp_path}/a.h5", *EQUISPACED)
    mask = sampling_mask(
        "equispaced", 32, 3, center_fraction=0.2, seed=tuple(map(ord, knee.name))
    ).pattern
    np.save(tmp_path / "mask.npy", mask)
    call(
        f"--input={knee}",
        "--method=zero_filled",
        f"--mask_file={tmp_path}/mask.npy",
        f"--output={tmp_path}/b.h5",
    )
    np.testing.assert_array_equal(stored(tmp_path / "a.h5"), stored(tmp_path / "b.h5"))


def test_kspace_as_acquired_with_and_without_its_mask(tmp_path, knee, run, capsys):
    path = undersampled(knee, tmp_path)
    call(f"--input={path}", f"--run={run}", f"--output={tmp_path}/a.h5")
    assert "SSIM" not in capsys.readouterr().out
    np.save(tmp_path / "kspace.npy", stored(path, "kspace"))
    for extra in ([], [f"--mask_file={tmp_path}/mask.npy"]):
        call(
            f"--input={tmp_path}/kspace.npy",
            f"--run={run}",
            "--acs=6",
            "--crop=32x32",
            f"--output={tmp_path}/b.h5",
            *extra,
        )
        np.testing.assert_allclose(
            stored(tmp_path / "b.h5"), stored(tmp_path / "a.h5"), rtol=1e-5, atol=1e-7
        )


def test_slices_are_chosen_and_named(tmp_path, knee):
    for name, extra in (("all", []), ("two", ["--slices=0,2"])):
        call(f"--input={knee}", "--method=zero_filled", f"--output={tmp_path}/{name}.h5", *extra)
    np.testing.assert_array_equal(stored(tmp_path / "two.h5"), stored(tmp_path / "all.h5")[[0, 2]])
    with h5py.File(tmp_path / "two.h5") as file:
        np.testing.assert_array_equal(file.attrs["slices"], [0, 2])


def test_complex_images_where_the_method_has_them(tmp_path, knee):
    arguments = (f"--input={knee}", "--method=cg_sense", "--slices=1", *EQUISPACED)
    call(*arguments, f"--output={tmp_path}/c.npy", "--complex")
    call(*arguments, f"--output={tmp_path}/m.npy")
    images, magnitudes = np.load(tmp_path / "c.npy"), np.load(tmp_path / "m.npy")
    assert (images.dtype, magnitudes.dtype) == (np.complex64, np.float32)
    np.testing.assert_allclose(np.abs(images), magnitudes, rtol=1e-6)


def test_a_gallery_leaves_what_reports_need(tmp_path, knee, run):
    other = write_small_run(tmp_path / "b", seed=1)
    weights = write_small_weights(tmp_path / "converted")
    code = call(
        f"--input={knee}",
        f"--gallery=zero_filled,cg_sense,{run},{other},{weights}",
        "--slices=0,2",
        f"--output={tmp_path}/g.png",
        *EQUISPACED,
    )
    assert code == 0
    names = ["zero_filled", "cg_sense", "small (a)", "small (b)", "converted"]
    results = read_results(tmp_path / "g.json")
    assert [row["method"] for row in results["rows"]] == names
    assert results["rows"][3]["run"] == str(other)
    assert all(row["data"].startswith("simulated: ") for row in results["rows"])
    assert results["examples"] == ["g_slice0.npz", "g_slice2.npz"]
    assert list(results["provenance"]["runs"]) == names
    for name, index in (("g_slice0.npz", 0), ("g_slice2.npz", 2)):
        example = read_example(tmp_path / name)
        assert list(example.images) == names
        assert (example.index, example.target.shape) == (index, (32, 32))
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size[0] > picture.size[1] / 2
        assert json.loads(picture.text["jaxrecon"])["scan"] == knee.name


def test_a_gallery_without_a_target_shows_the_middle_slice(tmp_path, knee, capsys):
    path = undersampled(knee, tmp_path)
    call(f"--input={path}", "--gallery=zero_filled,cg_sense", f"--output={tmp_path}/g.png")
    assert read_example(tmp_path / "g_slice1.npz").target is None
    assert not (tmp_path / "g.json").exists()
    assert "1 of 3 slices" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method=tv"], "--output: expected a file ending in .h5, .nii, .nii.gz, .npy, .png"),
        (["--output=OUT/a.dcm", "--method=tv"], "found OUT/a.dcm"),
        (["--output=OUT/a.h5", "--gallery=tv"], "expected a file ending in .png, found OUT/a.h5"),
        (["--output=OUT/a.png,OUT/b.png", "--gallery=tv"], "expected one picture of a gallery"),
        (["--output=KNEE", "--method=tv"], "--output: expected another file than the scan"),
        (["--output=KNEE/a.h5", "--method=tv"], "expected a folder to write to, found the file"),
        (["--output=OUT/a.h5"], "--config and --gallery, found none"),
        (["--output=OUT/a.h5", "--method=tv", "--run=x"], "found --run and --method"),
        (["--output=OUT/a.h5", "--run=OUT"], "config.json: expected the configuration of a run"),
        (["--output=OUT/a.h5", "--weights=OUT"], "spec.json: expected the specification"),
        (["--output=OUT/a.png", "--gallery=tv,OUT"], "or the folder of a run or of converted"),
        (["--output=OUT/a.png", "--gallery=tv,tv"], "expected each method once"),
        (["--output=OUT/a.h5", "--run=RUN"], "small: expected undersampled k-space or a mask"),
        (["--output=OUT/a.h5", "--run=RUN", "--complex", *EQUISPACED], "--complex: expected a"),
        (["--output=OUT/a.h5", "--method=zero_filled", "--slices=3"], "slices from 0 to 2, found"),
        (["--output=OUT/a.h5", "--method=zero_filled", "--slices=x"], "such as 10-14, found 'x'"),
        (["--output=OUT/a.h5", "--method=zero_filled", "--axes=h,w"], "--axes: expected only with"),
        (["--output=OUT/a.h5", "--method=zero_filled", "--crop=99x9"], "--crop: expected rows x"),
        (["--output=OUT/a.h5", "--method=zero_filled", "--crop=9"], "up to 64x32, found '9'"),
        (["--output=OUT/a.h5", "--method=tv", "--acceleration=4"], "--acceleration: expected only"),
        (
            ["--output=OUT/a.h5", "--method=tv", "--acs=8", *EQUISPACED],
            "--acs: equispaced masks take --center_fraction instead",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask=gaussian", "--center_fraction=0.1"],
            "--center_fraction: gaussian masks take --acs instead",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask_file=OUT/m.npy", *EQUISPACED],
            "expected one of --mask and --mask_file, found both",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask_file=OUT/no.npy"],
            "no.npy: expected arrays of numbers",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask_file=OUT/narrow.npy"],
            "narrow.npy: expected a mask of the shape (32,), (1, 32) or (64, 32), found (30,)",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask_file=OUT/empty.npy"],
            "empty.npy: expected a mask that keeps something",
        ),
        (
            ["--output=OUT/a.h5", "--method=tv", "--mask=random", "--center_fraction=0.5"],
            "mask center_fraction: expected less than 1 / acceleration",
        ),
        (["--input=OUT/no.h5", "--output=OUT/a.h5", "--method=tv"], "no.h5: expected a scan"),
        (["--input=OUT/cut.h5", "--output=OUT/a.h5", "--method=tv"], "cut.h5: expected a complete"),
        (["--input=OUT/x.ismrmrd", "--output=OUT/a.h5", "--method=tv"], "the suffix .ismrmrd"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(tmp_path, knee, run, arguments, message):
    (tmp_path / "cut.h5").write_bytes(knee.read_bytes()[:3000])
    (tmp_path / "x.ismrmrd").write_text("x")
    np.save(tmp_path / "narrow.npy", np.ones(30))
    np.save(tmp_path / "empty.npy", np.zeros(32))
    before = sorted(tmp_path.iterdir())
    places = {"OUT": str(tmp_path), "KNEE": str(knee), "RUN": str(run)}

    def filled(text):
        return re.sub("OUT|KNEE|RUN", lambda match: places[match[0]], text)

    given = [filled(argument) for argument in arguments]
    if not any(argument.startswith("--output") for argument in given):
        given.append("--output=")
    with pytest.raises(InputError, match=re.escape(filled(message))) as caught:
        call(f"--input={knee}", *given)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_the_program_prints_the_line_and_exits_with_1(tmp_path):
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "jaxrecon.reconstruct",
            f"--input={tmp_path}/no.h5",
            "--method=zero_filled",
            f"--output={tmp_path}/a.h5",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {tmp_path}/no.h5: expected a scan")
    assert finished.stderr.count("\n") == 1


def test_a_real_brain_comes_out_clean(tmp_path, real_data, capsys):
    """8 coils, a Poisson-disc mask, no ground truth: TV leaves less noise outside the head."""
    scan = real_data / "data" / "brain_8coil_poisson_kspace.npz"
    call(f"--input={scan}", "--gallery=zero_filled,tv", f"--output={tmp_path}/g.png")
    printed = capsys.readouterr().out
    assert (
        "mask of single samples, effective 8.04, ACS 24, centre for calibration 24 x 24" in printed
    )
    images = read_example(tmp_path / "g_slice0.npz").images
    corner, head = (slice(0, 25), slice(0, 25)), (slice(60, 170), slice(50, 130))
    noise, sharpness = (
        {name: measure(image) for name, image in images.items()}
        for measure in (
            lambda image: image[corner].mean() / image[head].mean(),
            lambda image: np.abs(np.diff(image[head], axis=1)).mean() / image[head].mean(),
        )
    )
    assert noise["tv"] < 0.5 * noise["zero_filled"]
    assert sharpness["tv"] > 1.2 * sharpness["zero_filled"]
