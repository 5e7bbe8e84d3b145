import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxrecon import simulate
from jaxrecon.data import cmrxrecon, fastmri
from jaxrecon.errors import InputError


def run(*flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jaxrecon.simulate", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_phantoms_in_the_cmrxrecon_layout(tmp_path):
    flags = (
        "--anatomy=cardiac", f"--output={tmp_path / 'heart'}", "--matrix=32x28", "--coils=2",
        "--frames=3", "--slices=2", "--parts=train=0-1,test=2", "--noise=0.01", "--seed=5",
        f"--preview={tmp_path / 'sheet.png'}",
    )  # fmt: skip
    done = run(*flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("wrote 3 files in the layout of cmrxrecon")
    files = cmrxrecon.find_files(tmp_path / "heart")
    assert [path.parts[-4:-1] for path in files] == [
        ("TestSet", "FullSample", "P003"),
        ("TrainingSet", "FullSample", "P001"),
        ("TrainingSet", "FullSample", "P002"),
    ]
    volume = cmrxrecon.inspect(files[0], tmp_path)
    assert (volume.frames, volume.positions, volume.coils) == (3, 2, 2)
    assert (volume.height, volume.width) == (32, 28)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 * 28, 32)
        assert np.asarray(sheet).max() == 255
    again = run(*flags)
    assert "wrote 0 files" in again.stdout
    assert "kept 3" in again.stdout
    refused = run(*flags[:-2], "--seed=6")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "expected no file or one simulated with these settings" in refused.stderr


def test_images_in_the_fastmri_layout(tmp_path):
    images = np.random.default_rng(0).uniform(0, 1, (5, 24, 20)).astype(np.float32)
    np.savez(tmp_path / "own.npz", heart=images)
    done = run(
        f"--images={tmp_path / 'own.npz'}", "--key=heart", "--layout=fastmri", "--oversampling=2",
        f"--output={tmp_path / 'set'}", "--slices=2", "--coils=3", "--transpose",
        "--parts=train=0-3,validation=4", "--contrast=T1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = fastmri.find_files(tmp_path / "set")
    assert [path.parent.name for path in files] == ["multicoil_train"] * 2 + ["multicoil_val"]
    volume = fastmri.inspect(files[0], tmp_path)
    assert (volume.slices, volume.coils, volume.contrast) == (2, 3, "T1")
    assert (volume.height, volume.width) == (40, 24)
    assert (volume.target_height, volume.target_width) == (20, 24)
    target = fastmri.read_slice(volume, 1).target
    np.testing.assert_allclose(target, images[1].T / images.max(), atol=0.03)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--anatomy=liver", "--output=x"], 2, "--anatomy=liver"),
        (["--anatomy=knee"], 2, "output"),
        (["--anatomy=knee", "--output=x", "--cases=0"], 2, "cases"),
        (["--output=x"], 1, "expected either --anatomy or --images"),
        (["--images=none.npz", "--output=x"], 1, "none.npz: expected images, found no such file"),
    ],
)
def test_wrong_calls_end_in_one_line(tmp_path, flags, code, message):
    done = run(*flags)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_parts_are_ranges_that_include_both_ends():
    parts = simulate.parse_parts("train=0-79, validation=80-89,test=90")
    assert parts == {
        "train": range(80),
        "validation": range(80, 90),
        "test": range(90, 91),
    }


@pytest.mark.parametrize("text", ["train", "train=5-3", "train=a-b", "train=0-1,train=2", "=3", ""])
def test_malformed_parts_are_refused(text):
    with pytest.raises(InputError, match="--parts: expected"):
        simulate.parse_parts(text)


def test_sizes_are_rows_by_columns():
    assert simulate.parse_size("matrix", "128x96") == (128, 96)
    assert simulate.parse_size("field_of_view", "1x0.75") == (1, 0.75)
    for text in ("128", "128x", "x9", "1x2x3", "-1x4", "128,96"):
        with pytest.raises(InputError, match="--matrix: expected two numbers"):
            simulate.parse_size("matrix", text)


def test_contact_sheet_places_images_row_by_row():
    targets = [np.full((4, 3), level, np.float32) for level in (1.0, 2.0, 3.0)]
    targets[2][0, 0] = 6.0
    sheet = np.asarray(simulate.contact_sheet(targets, columns=2))
    assert sheet.shape == (8, 6)
    assert (sheet[:4] == 255).all()
    assert sheet[4, 0] == 255
    assert (sheet[5:, :3] == 128).all()
    assert (sheet[4:, 3:] == 0).all()
