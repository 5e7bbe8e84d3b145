import re
import shutil

import h5py
import numpy as np
import pytest
from evaluation import judge, run_program

from jaxrecon.data import fastmri as fastmri_layout
from jaxrecon.errors import InputError
from jaxrecon.metrics.results import read_results
from jaxrecon.physics.sampling import SamplingMask


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "TMP"}, "TMP/spec.json"),
        ({"weights": "TMP/nowhere"}, "nowhere"),
        ({"weights": None, "run": "TMP"}, "config.json"),
        ({"weights": None}, "expected --run, --weights or --baselines"),
        ({"weights": "WEIGHTS,WEIGHTS"}, "--run: expected names that differ, found 'w'"),
        ({"weights": "cg_sense=WEIGHTS"}, "expected names that no other method has"),
        ({"weights": "WEIGHTS@8"}, "--run: expected w @8 to be judged at one of the accel"),
        ({"baselines": "grappa"}, "--baselines: expected some of zero_filled, cg_sense, tv"),
        ({"baselines": "tv:much"}, "--baselines: expected a number after ':', found 'tv:much'"),
        ({"baselines": "tv"}, "expected at least 6 calibration columns"),
        ({"data": None}, "--data: expected a folder"),
        ({"data": "TMP/nowhere"}, "nowhere"),
        ({"data": "TMP"}, "TMP"),
        ({"data": "KNEES,KNEES"}, "--data: expected names that differ"),
        ({"data": "a=KNEES,b=KNEES", "subset": "x,y,z"}, "--subset: expected one value for all"),
        ({"layout": "cmrxrecon"}, "expected cmrxrecon files in this folder, found none"),
        ({"layout": "dicom"}, "layout: expected one of cmrxrecon, fastmri"),
        ({"mask": "spiral"}, "mask family: expected one of"),
        ({"acceleration": "four"}, "--acceleration: expected numbers, found four"),
        (
            {"acceleration": "4,8,9", "center_fraction": "0.1,0.2"},
            "center fractions: expected one, or one for each of the 3 accelerations, found 2",
        ),
        ({"acceleration": "4,4"}, "expected each once, found repeats"),
        (
            {"acceleration": "4,8", "center_fraction": "0.2,0.1,0.3", "settings": "cross"},
            "found R=4 with 0.3, R=8 with 0.2, R=8 with 0.3",
        ),
        ({"center_fraction": "0.24"}, "expected less than 1 / acceleration"),
        ({"contrasts": "AXT1"}, "expected files of the contrasts AXT1"),
        ({"acquisition": "flair"}, "subset acquisition: expected files of flair"),
        ({"subset": "paper_b_knee"}, "subset: expected one of paper_a_knee, paper_a_brain"),
        ({"subset": "paper_a_knee"}, "paper_a_knee: expected at least 1767 slices"),
        ({"subset_count": "9"}, "subset count: expected 9 files, found 3"),
        ({"file_list": "TMP/list.txt"}, "TMP/list.txt: expected a list of files"),
        ({"lpips_weights": "WEIGHTS"}, "expected the weights of LPIPS"),
        ({"output": "KNEES/a.h5"}, "a.h5: expected a folder to write to, found a file"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, knees, weights, changes, message):
    (knees / "a.h5").unlink(missing_ok=True)
    if "KNEES/a.h5" in changes.values():
        shutil.copy(next(knees.rglob("file*.h5")), knees.parent / "a.h5")
        changes = {"output": str(knees.parent / "a.h5")}
    output = tmp_path / "results"
    given = {"weights": str(weights), "data": str(knees), "output": str(output), **changes}
    names = {"TMP": tmp_path, "WEIGHTS": weights, "KNEES": knees}
    for name, path in names.items():
        given = {flag: value and value.replace(name, str(path)) for flag, value in given.items()}
        message = message.replace(name, str(path))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        judge(*(f"--{flag}={value}" for flag, value in given.items() if value is not None))
    assert "\n" not in str(caught.value)
    assert not output.exists()


def test_a_truncated_file_is_named_or_skipped(tmp_path, squares, capsys):
    data = shutil.copytree(squares, tmp_path / "data")
    damaged = sorted(data.glob("*.h5"))[0]
    damaged.write_bytes(damaged.read_bytes()[:2000])
    given = ["--baselines=zero_filled", f"--data={data}", f"--output={tmp_path / 'results'}"]
    with pytest.raises(InputError, match=f"{damaged}: expected a complete HDF5 file"):
        judge(*given)
    assert not (tmp_path / "results").exists()
    assert judge(*given, "--skip_bad") == 0
    assert "skipped 1 files" in capsys.readouterr().out
    assert read_results(tmp_path / "results")["rows"][0]["n_files"] == 1


def test_a_file_whose_samples_are_damaged_stops_the_evaluation_where_it_is(tmp_path, squares):
    data = shutil.copytree(squares, tmp_path / "data")
    damaged = sorted(data.glob("*.h5"))[1]
    with h5py.File(damaged, "r+") as file:
        kspace = file["kspace"][()]
        kspace[1, 0, 3, 3] = np.nan
        file["kspace"][...] = kspace
    given = ["--baselines=zero_filled", f"--data={data}", f"--output={tmp_path / 'results'}"]
    with pytest.raises(InputError, match=f"{damaged}: expected finite samples in slice 1"):
        judge(*given)
    # What was found before is kept: with the file repaired it would go on.
    assert (tmp_path / "results" / "partial").exists()
    assert not (tmp_path / "results" / "results.json").exists()


def test_undersampled_kspace_without_its_mask_is_refused(tmp_path, squares):
    data = shutil.copytree(squares, tmp_path / "data")
    damaged = sorted(data.glob("*.h5"))[0]
    with h5py.File(damaged, "r+") as file:
        kspace = file["kspace"][()]
        kspace[..., 1::4] = 0
        file["kspace"][...] = kspace
    with pytest.raises(InputError, match=f"{damaged}: .*and no mask"):
        judge(
            "--baselines=zero_filled", f"--data={data}", "--acceleration=2",
            f"--output={tmp_path / 'results'}",
        )  # fmt: skip


def test_zeros_on_the_sides_are_no_undersampling(tmp_path, squares):
    data = shutil.copytree(squares, tmp_path / "data")
    with h5py.File(sorted(data.glob("*.h5"))[0], "r+") as file:
        kspace = file["kspace"][()]
        kspace[..., :4] = 0
        kspace[..., -3:] = 0
        file["kspace"][...] = kspace
    assert (
        judge(
            "--baselines=zero_filled", f"--data={data}", "--acceleration=2",
            f"--output={tmp_path / 'results'}",
        )
        == 0
    )  # fmt: skip


def test_a_mask_that_keeps_nothing_is_named(tmp_path, squares):
    with pytest.raises(InputError, match="h5: random mask: expected at least one sampled column"):
        judge(
            "--baselines=zero_filled", f"--data={squares}", "--mask=random",
            "--acceleration=1000", "--center_fraction=0", f"--output={tmp_path / 'results'}",
        )  # fmt: skip
    assert not (tmp_path / "results").exists()


def test_files_of_any_coil_count_and_odd_sizes_are_judged(tmp_path, weights):
    generator = np.random.default_rng(0)
    for number, shape in enumerate([(1, 1, 33, 31), (2, 5, 20, 63)]):
        samples = generator.normal(size=(2, *shape))
        fastmri_layout.write_volume(
            tmp_path / "data" / f"file{number}.h5", samples[0] + 1j * samples[1]
        )
    judge(
        f"--weights=net={weights}", f"--data={tmp_path / 'data'}", "--center_fraction=0.1",
        f"--output={tmp_path / 'results'}",
    )  # fmt: skip
    rows = read_results(tmp_path / "results")["rows"]
    assert [row["n_slices"] for row in rows] == [3, 3]
    assert rows[0]["crop"] == [[20, 63], [33, 31]]
    with pytest.raises(InputError, match=r"file0.h5: expected at least 2 coils .*found 1"):
        judge(
            "--baselines=cg_sense", f"--data={tmp_path / 'data'}", "--center_fraction=0.2",
            f"--output={tmp_path / 'other'}",
        )  # fmt: skip


def test_images_too_small_for_the_judge_are_named(tmp_path):
    samples = np.ones((1, 2, 24, 6), np.complex64)
    fastmri_layout.write_volume(tmp_path / "data" / "small.h5", samples)
    with pytest.raises(InputError, match=r"small.h5: protocol fastmri expects a region"):
        judge(
            "--baselines=zero_filled", f"--data={tmp_path / 'data'}", "--acceleration=2",
            f"--output={tmp_path / 'results'}",
        )  # fmt: skip


def test_files_with_masks_of_their_own_are_judged_as_acquired(tmp_path, squares):
    pattern = np.zeros((1, 32), bool)
    pattern[:, ::3] = pattern[:, 12:20] = True
    mask = SamplingMask(pattern, 8, "uniform", 3.0)
    for path in squares.glob("*.h5"):
        with h5py.File(path) as file:
            kspace, target = file["kspace"][()], file["reconstruction_rss"][()]
        fastmri_layout.write_volume(tmp_path / "data" / path.name, kspace, target=target, mask=mask)
    judge(
        "--baselines=zero_filled", f"--data={tmp_path / 'data'}", "--acceleration=4,8",
        f"--output={tmp_path / 'results'}",
    )  # fmt: skip
    (row,) = read_results(tmp_path / "results")["rows"]
    assert (row["mask"], row["acceleration"], row["acs"]) == ("acquired", 3, 8)
    assert row["center_fraction"] is None
    assert row["effective_acceleration"] == pytest.approx(32 / pattern.sum())
    shutil.copy(next(squares.glob("*.h5")), tmp_path / "data" / "whole.h5")
    with pytest.raises(InputError, match=r"found both: .*whole.h5 is fully sampled"):
        judge("--baselines=zero_filled", f"--data={tmp_path / 'data'}")


def test_a_program_prints_the_line_and_exits_with_1(tmp_path):
    finished = run_program("-m", "jaxrecon.evaluate", f"--data={tmp_path}", f"--weights={tmp_path}")
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {tmp_path}: expected fastmri files")
    assert len(finished.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("flag", ["--protocol=mine", "--daat=x", "data"])
def test_wrong_flags_exit_with_2(flag):
    finished = run_program("-m", "jaxrecon.evaluate", flag)
    assert finished.returncode == 2, finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
