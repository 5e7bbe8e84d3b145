import pytest
import results_files

from jaxrecon.errors import InputError
from jaxrecon.reporting.comparability import (
    comparable_measurements,
    first_mismatch,
    ways_of_judging,
)
from jaxrecon.reporting.measurements import load_results


def _load(tmp_path, *rows_of_files, **changes):
    paths = [
        results_files.write(tmp_path / str(number), rows, **changes)
        for number, rows in enumerate(rows_of_files)
    ]
    return load_results(paths)


def test_what_two_files_share_is_kept_once(tmp_path):
    zero_filled = results_files.row("zero_filled")
    files = _load(
        tmp_path,
        [zero_filled, results_files.row("a")],
        [zero_filled, results_files.row("b"), results_files.row("a")],
    )
    found = comparable_measurements(files)
    assert [(each.label, each.sources) for each in found] == [
        ("Zero-filled", (1, 2)),
        ("a", (1, 2)),
        ("b", (2,)),
    ]


def test_one_name_with_two_results_is_followed_by_its_run(tmp_path):
    better = ((0.95, 31.0, 0.01), (0.9, 30.0, 0.02))
    files = _load(
        tmp_path,
        [results_files.row("net", run="runs/first")],
        [results_files.row("net", better, run="runs/second"), results_files.row("other")],
    )
    labels = [each.label for each in comparable_measurements(files)]
    assert labels == ["net (first)", "net (second)", "other"]


def test_runs_of_one_name_are_told_apart_by_the_results_file(tmp_path):
    better = ((0.95, 31.0, 0.01), (0.9, 30.0, 0.02))
    files = _load(tmp_path, [results_files.row("net")], [results_files.row("net", better)])
    labels = [each.label for each in comparable_measurements(files)]
    assert labels == [f"net ({file.path})" for file in files]


def test_models_of_several_accelerations_share_a_name(tmp_path):
    # As papers do, which train one network for every acceleration.
    files = _load(
        tmp_path,
        [results_files.row("net", run="runs/x4")],
        [results_files.row("net", run="runs/x8", acceleration=8.0)],
    )
    assert [each.label for each in comparable_measurements(files)] == ["net", "net"]


def test_methods_are_renamed(tmp_path):
    files = _load(tmp_path, [results_files.row("zero_filled"), results_files.row("net")])
    found = comparable_measurements(files, names={"net": "E2E-VarNet"})
    assert [each.label for each in found] == ["Zero-filled", "E2E-VarNet"]
    with pytest.raises(InputError, match=r"--names: expected methods of net, zero_filled"):
        comparable_measurements(files, names={"nte": "x"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "paper_a"}, "expected protocol fastmri for data set knee"),
        ({"protocol": "paper_a", "acceleration": 8.0}, "expected protocol fastmri"),
        ({"mask": "random"}, "expected masks equispaced for data set knee, R = 4"),
        ({"crop": [[300, 320]]}, "expected crop 320 \N{MULTIPLICATION SIGN} 320"),
        ({"acs": 24}, "expected ACS columns 26"),
        ({"n_slices": 3}, "expected number of judged slices 4"),
        ({"subset": "AXT1"}, "expected subset of everything"),
        (
            {"files": [{"file": "other.h5", "slices": 4, "ssim": 1, "psnr": 1, "nmse": 1}]},
            "expected judged files the same",
        ),
    ],
)
def test_what_was_judged_in_another_way_is_refused_unless_asked_for(tmp_path, change, message):
    files = _load(tmp_path, [results_files.row("a")], [results_files.row("b", **change)])
    with pytest.raises(InputError) as caught:
        comparable_measurements(files)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{files[1].path}: ")
    assert f"as in {files[0].path}" in str(caught.value)
    assert "--mix_protocols" in str(caught.value)
    assert "\n" not in str(caught.value)

    found = comparable_measurements(files, mix_protocols=True)
    assert [each.label for each in found] == ["a", "b"]
    assert first_mismatch(found) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "brain", "protocol": "paper_a"},
        {"acceleration": 8.0, "mask": "random"},
        {"center_fraction": 0.04, "acs": 13},
    ],
)
def test_other_data_and_settings_may_be_judged_in_another_way(tmp_path, change):
    files = _load(tmp_path, [results_files.row("a")], [results_files.row("b", **change)])
    assert len(comparable_measurements(files)) == 2


def test_every_way_of_judging_is_named(tmp_path):
    files = _load(
        tmp_path,
        [results_files.row("a")],
        [results_files.row("a", protocol="paper_a", crop=[[300, 300]])],
        [results_files.row("b", subset="AXT1")],
    )
    found = comparable_measurements(files, mix_protocols=True)
    times = "\N{MULTIPLICATION SIGN}"
    assert ways_of_judging(found) == [
        f"fastmri; crop 320 {times} 320; subset of everything",
        f"paper_a; crop 300 {times} 300; subset of everything",
        f"fastmri; crop 320 {times} 320; subset AXT1",
    ]


def test_a_baseline_that_differs_between_files_is_refused(tmp_path):
    other = ((0.91, 30.0, 0.02), (0.8, 28.0, 0.04))
    files = _load(
        tmp_path, [results_files.row("zero_filled")], [results_files.row("zero_filled", other)]
    )
    with pytest.raises(InputError, match=r"expected ssim of zero_filled .* to be 0\.85, as in"):
        comparable_measurements(files)


def test_results_of_one_run_that_contradict_each_other_in_one_file_are_refused(tmp_path):
    other = ((0.91, 30.0, 0.02), (0.8, 28.0, 0.04))
    files = _load(tmp_path, [results_files.row("net"), results_files.row("net", other)])
    with pytest.raises(InputError, match="found several of one run"):
        comparable_measurements(files)
