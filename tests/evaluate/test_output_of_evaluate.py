import csv
import shutil

import numpy as np
import pytest
from evaluation import judge

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.metrics.example_images import read_example
from jaxrecon.metrics.results import read_results


def test_cmrxrecon_files_under_their_protocol(tmp_path, weights):
    settings = PhantomSettings("cardiac", height=48, width=40, coils=2, frames=5, slices=4)
    write_phantom_dataset(tmp_path, "cmrxrecon", settings, {"test": range(2)}, progress=False)
    output = tmp_path / "results"
    # The name brings layout, masks, anatomy and protocol along.
    judge(f"--weights={weights}", f"--data=cmrxrecon={tmp_path}", "--acs=8", f"--output={output}")
    for row in read_results(output)["rows"]:
        # Three frames of two positions from each of two files.
        assert (row["n_files"], row["n_slices"]) == (2, 12)
        assert (row["protocol"], row["anatomy"]) == ("cmrxrecon2023", "cardiac")
        assert (row["mask"], row["acs"], row["center_fraction"]) == ("cmrxrecon_uniform", 8, None)
        assert row["crop"] == [[16, 20]]
        assert row["data"].startswith("simulated: phantom of ellipses")
        # Columns 0, 4, ..., 36 and the 8 from 16 on.
        assert row["effective_acceleration"] == pytest.approx(40 / 16)
        assert 0 < row["ssim"]["mean"] < 1


def test_one_call_judges_several_runs_data_sets_and_settings(
    tmp_path, squares, weights, other_weights, capsys
):
    single = tmp_path / "single"
    single.mkdir()
    shutil.copy(sorted(squares.glob("*.h5"))[0], single)
    output = tmp_path / "results"
    judge(
        f"--weights=first={weights},second={other_weights}@4",
        f"--weights=second={weights}@8",
        f"--data=two={squares},one={single}",
        "--anatomy=knee,",
        "--acceleration=4,8",
        "--center_fraction=0.1,0.04",
        "--settings=cross",
        "--protocol=paper_a",
        f"--output={output}",
    )
    content = read_results(output)
    methods = ("zero_filled", "first", "second")
    assert [
        (row["dataset"], row["acceleration"], row["center_fraction"], row["method"])
        for row in content["rows"]
    ] == [
        (data, r, fraction, method)
        for data in ("two", "one")
        for r in (4, 8)
        for fraction in (0.1, 0.04)
        for method in methods
    ]
    assert {row["unit"] for row in content["rows"]} == {"slice"}
    runs = content["provenance"]["runs"]
    assert set(runs) == {"first", "second @4", "second @8"}
    assert runs["first"]["checkpoint_sha256"] == runs["second @8"]["checkpoint_sha256"]
    for row in content["rows"]:
        if row["method"] == "second":
            expected = other_weights if row["acceleration"] == 4 else weights
            assert row["run"] == str(expected)
    # Runs of one architecture share programs: one for the one shape.
    assert "1 compiled program(s)" in capsys.readouterr().out
    # Three pairs of methods, three measures, four settings, two data sets.
    assert len(content["comparisons"]) == 3 * 3 * 4 * 2
    at_8 = [
        found
        for found in content["comparisons"]
        if (found["first"], found["second"], found["acceleration"]) == ("first", "second", 8)
    ]
    assert {found["median_difference"] for found in at_8} == {0}
    assert {found["p"] for found in at_8} == {None}

    with (output / "slices.csv").open() as file:
        slices = list(csv.DictReader(file))
    assert len(slices) == 3 * 4 * (4 + 2)
    with (output / "volumes.csv").open() as file:
        volumes = list(csv.DictReader(file))
    assert len(volumes) == 3 * 4 * (2 + 1)
    row = content["rows"][1]
    of_row = [
        float(found["psnr"])
        for found in slices
        if (found["method"], found["dataset"], found["acceleration"], found["center_fraction"])
        == ("first", "two", "4.0", "0.1")
    ]
    assert len(of_row) == row["n_slices"] == 4
    assert np.mean(of_row) == pytest.approx(row["psnr"]["mean"])

    example = read_example(output / content["examples"][0])
    assert list(example.images) == list(methods)
    assert example.target.shape == example.images["first"].shape == (32, 32)
    assert len(content["examples"]) == 4 * (2 + 1)
    for listed in ("two", "one"):
        again = tmp_path / listed
        judge(
            "--baselines=zero_filled", f"--data={listed}={squares}", f"--output={again}",
            f"--file_list={output / 'file_lists' / listed}.txt",
        )  # fmt: skip
        assert read_results(again)["rows"][0]["n_slices"] == {"two": 4, "one": 2}[listed]


def test_classical_baselines_are_rows(tmp_path, squares):
    judge(
        "--baselines=cg_sense,tv:0.01", f"--data={squares}", "--acceleration=2",
        "--center_fraction=0.25", "--batch_size=2", f"--output={tmp_path / 'results'}",
    )  # fmt: skip
    content = read_results(tmp_path / "results")
    rows = {row["method"]: row for row in content["rows"]}
    assert list(rows) == ["zero_filled", "cg_sense", "tv:0.01"]
    assert rows["cg_sense"]["ssim"]["mean"] > rows["zero_filled"]["ssim"]["mean"]
    assert rows["tv:0.01"]["nmse"]["mean"] < rows["zero_filled"]["nmse"]["mean"]
    assert content["provenance"]["evaluation"]["baselines"] == {
        "cg_sense": None, "tv:0.01": 0.01,
    }  # fmt: skip


def test_a_row_says_what_was_not_computed(tmp_path, squares, capsys):
    judge(
        "--baselines=zero_filled", f"--data={squares}", "--protocol=paper_b",
        f"--output={tmp_path / 'results'}", "--table_format=parquet",
    )  # fmt: skip
    assert "lpips is not computed" in capsys.readouterr().out
    (row,) = read_results(tmp_path / "results")["rows"]
    assert row["measures"] == ["psnr", "ssim", "tenengrad"]
    assert row["not_computed"] == {"lpips": "no weights were given"}
    assert "lpips" not in row
    assert (tmp_path / "results" / "slices.parquet").exists()
