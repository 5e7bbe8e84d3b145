import json
import math

import pytest

from jaxrecon.errors import InputError
from jaxrecon.metrics.results import read_results, results_table, write_results

SUMMARY = {"mean": 0.5, "std": 0.1, "ci95": [0.4, 0.6]}


def make_row(**changes):
    row = {
        "method": "net",
        "dataset": "knees",
        "mask": "equispaced",
        "acceleration": 4.0,
        "effective_acceleration": 3.2,
        "acs": 24,
        "protocol": "fastmri",
        "n_slices": 10,
        "ssim": SUMMARY,
        "psnr": {**SUMMARY, "mean": 30.0},
    }
    return {**row, **changes}


def test_what_is_written_is_read_from_the_file_or_its_folder(tmp_path):
    row = make_row(run="runs/a", center_fraction=0.08, measures=["ssim"], unit="slice")
    comparison = {"first": "a", "second": "b", "p": None}
    write_results(
        tmp_path / "results.json",
        {"commit": "abc"},
        [row],
        comparisons=[comparison],
        examples=["examples/a.npz"],
    )
    for path in (tmp_path, tmp_path / "results.json", str(tmp_path)):
        content = read_results(path)
        assert content["provenance"] == {"commit": "abc"}
        assert content["comparisons"] == [comparison]
        assert content["examples"] == ["examples/a.npz"]
        (found,) = content["rows"]
        assert {name: found[name] for name in row} == row
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_what_an_older_file_does_not_say_is_empty(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"schema": 1, "provenance": {"config": {}}, "rows": [make_row()]}))
    content = read_results(path)
    assert (content["comparisons"], content["examples"]) == ([], [])
    (row,) = content["rows"]
    assert row["measures"] == ["ssim", "psnr"]
    assert (row["run"], row["center_fraction"], row["subset"]) == (None, None, "")
    assert (row["unit"], row["not_computed"], row["data"]) == ("file", {}, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a results file, found .*No such file"),
        ('{"schema": 1, "rows": [', "expected a results file, found Expecting value"),
        ("[1]", "expected a results file, found JSON without a schema"),
        ('{"rows": []}', "expected a results file, found JSON without a schema"),
        ('{"schema": 2, "rows": []}', "expected schema 1, found 2"),
        ('{"schema": 1}', "expected rows of results, found none"),
        ('{"schema": 1, "rows": []}', "expected rows of results, found none"),
        ('{"schema": 1, "rows": [1]}', "expected rows of results, found none"),
        (
            json.dumps({"schema": 1, "rows": [make_row(), {"method": "a"}]}),
            "expected complete rows, found none of dataset, mask, .* in row 1",
        ),
        (
            json.dumps({"schema": 1, "rows": [make_row(measures=["ssim", "lpips"])]}),
            "expected complete rows, found none of lpips in row 0",
        ),
        (
            json.dumps({"schema": 1, "rows": [{**make_row(), "ssim": 0.5, "psnr": 30}]}),
            "expected complete rows, found none of ssim, psnr in row 0",
        ),
    ],
)
def test_what_is_no_results_file_is_named(tmp_path, text, message):
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"{path}: {message}") as caught:
        read_results(tmp_path / "results.json")
    assert "\n" not in str(caught.value)


def test_tables_show_what_was_measured():
    rows = [
        make_row(center_fraction=0.08),
        make_row(method="other", acs=[5, 7, 6], psnr={**SUMMARY, "mean": math.inf}),
    ]
    del rows[1]["ssim"]
    header, first, second = results_table(rows).splitlines()
    assert header.split() == [
        "data", "mask", "R", "cf", "effective", "ACS", "slices", "method", "SSIM", "PSNR",
    ]  # fmt: skip
    assert first.split() == [
        "knees", "equispaced", "4", "0.08", "3.20", "24", "10", "net", "0.5000", "±", "0.1000",
        "30.00", "±", "0.10",
    ]  # fmt: skip
    assert second.split()[3:] == ["-", "3.20", "5-7", "10", "other", "-", "inf"]
