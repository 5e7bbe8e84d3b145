import json

import pytest
import results_files

from jaxrecon.errors import InputError
from jaxrecon.reporting.measurements import load_results


def test_a_row_is_read_whole(tmp_path):
    path = results_files.write(tmp_path, [results_files.row("net", acs=[29, 30])])
    (file,) = load_results([tmp_path])
    (found,) = file.measurements
    assert file.path == path
    assert (found.method, found.run, found.acs) == ("net", "runs/net", (29, 30))
    assert found.calibration == "centre fraction 0.08"
    assert found.crop == ((320, 320),)
    assert found.measures["psnr"]["mean"] == pytest.approx(29.0)
    assert found.judged_files == {("file0.h5", 2), ("file1.h5", 2)}


def test_masks_that_count_columns_are_headed_by_their_number(tmp_path):
    results_files.write(tmp_path, [results_files.row("net", center_fraction=None, acs=24)])
    assert load_results([tmp_path])[0].measurements[0].calibration == "24 ACS columns"


def test_a_training_run_s_own_results_are_of_that_run(tmp_path):
    older = {"center_fraction", "subset", "data", "unit", "measures", "not_computed", "run"}
    rows = [
        {name: value for name, value in results_files.row(method).items() if name not in older}
        for method in ("zero_filled", "net")
    ]
    folder = tmp_path / "runs" / "quickstart"
    results_files.write(folder, rows, provenance={"config": {"name": "net"}})
    path = folder / "results.json"
    content = json.loads(path.read_text())
    del content["comparisons"], content["examples"]
    path.write_text(json.dumps(content))
    (file,) = load_results([folder])
    assert [found.run for found in file.measurements] == [None, str(folder)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acs": None}, "row 0: expected a row of results"),
        ({"acs": []}, "no number of calibration columns"),
        ({"acceleration": "four"}, "row 0: expected a row of results"),
        ({"crop": [320]}, "row 0: expected a row of results"),
        ({"files": [{"slices": 1}]}, "row 0: expected a field 'file'"),
        ({"ssim": {"mean": 1.0}}, "row 0: expected a field 'ci95'"),
        ({"measures": ["ssim", "sharpness"], "sharpness": {"mean": 1}}, "found sharpness"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, change, message):
    path = results_files.write(tmp_path, [results_files.row("net", **change)])
    with pytest.raises(InputError) as caught:
        load_results([path])
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_without_a_field_is_named(tmp_path):
    row = results_files.row("net")
    del row["n_slices"]
    path = results_files.write(tmp_path, [row])
    with pytest.raises(InputError, match="row 0: expected a field 'n_slices', found none"):
        load_results([path])


def test_a_file_given_twice_is_refused(tmp_path):
    path = results_files.write(tmp_path, [results_files.row("net")])
    with pytest.raises(InputError, match="expected each results file once"):
        load_results([path, tmp_path])
