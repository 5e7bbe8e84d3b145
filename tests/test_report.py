import csv
import json
import re
import subprocess
import sys

import pytest
import results_files
import trajectories

from jaxrecon import report
from jaxrecon.errors import InputError
from jaxrecon.priors.trajectory import write_trajectory
from jaxrecon.reporting import embedding_map


@pytest.fixture
def results(tmp_path):
    """Two folders as two evaluations write them."""
    rows = [
        results_files.row(method, acceleration=acceleration, effective_acceleration=effective)
        for acceleration, effective in ((4.0, 3.2), (8.0, 5.1))
        for method in ("zero_filled", "net")
    ]
    others = [row | {"method": "other"} for row in rows if row["method"] == "net"]
    examples = [
        results_files.example((method, "zero_filled"), seed=0) for method in ("net", "other")
    ]
    results_files.write(tmp_path / "a", rows, examples=examples[:1])
    results_files.write(tmp_path / "b", [rows[0], *others], examples=examples[1:])
    return tmp_path


def _main(monkeypatch, **given):
    if not report._FLAGS.is_parsed():
        report._FLAGS(["report"])
    for name, value in given.items():
        monkeypatch.setattr(report._FLAGS[name], "value", value)
    return report.main()


def test_one_command_makes_the_whole_report(results):
    output = results / "report"
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "jaxrecon.report",
            f"--results={results}/a,{results}/b/results.json",
            f"--output={output}",
            "--names=net=E2E-VarNet",
            "--zoom=2,3,8",
            "--pdf",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    names = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    figure = "figures/knee-file0.h5-slice-3-equispaced-r-4-26-acs-columns"
    measures = ("ssim", "psnr", "nmse")
    assert names == {
        "index.html",
        *(f"tables/knee.{kind}" for kind in ("md", "tex", "csv")),
        *(f"curves/knee_{name}.{kind}" for name in measures for kind in ("png", "svg", "pdf")),
        *(f"{figure}.{kind}" for kind in ("png", "pdf")),
    }
    size = len((output / "index.html").read_bytes()) / 1e6
    assert f"page: {output}/index.html, {size:.1f} MB, 1 of 1 example slices" in finished.stdout
    rows = list(csv.DictReader((output / "tables" / "knee.csv").read_text().splitlines()))
    assert [row["method"] for row in rows[:3]] == ["Zero-filled", "E2E-VarNet", "Zero-filled"]
    assert {row["method"] for row in rows} == {"Zero-filled", "E2E-VarNet", "other"}


def _damage(results, change):
    path = results / "b" / "results.json"
    content = json.loads(path.read_text())
    if change == "missing":
        path.unlink()
    elif change == "truncated":
        path.write_text(path.read_text()[:100])
    elif change == "foreign":
        path.write_text('{"name": "package"}')
    elif change == "list":
        path.write_text("[1, 2]")
    elif change == "newer":
        path.write_text(json.dumps(content | {"schema": 2}))
    elif change == "no rows":
        path.write_text(json.dumps(content | {"rows": []}))
    elif change == "binary":
        path.write_bytes(b"\x89PNG\xff\xfe")
    elif change == "damaged row":
        del content["rows"][0]["effective_acceleration"]
        path.write_text(json.dumps(content))
    elif change == "protocol":
        content["rows"][1]["protocol"] = "paper_a"
        path.write_text(json.dumps(content))
    elif change == "example":
        (results / "b" / "examples" / "0.npz").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "b/results.json: expected a results file"),
        ("truncated", "b/results.json: expected a results file"),
        ("foreign", "b/results.json: expected a results file"),
        ("list", "b/results.json: expected a results file"),
        ("newer", "b/results.json: expected schema 1, found 2"),
        ("no rows", "b/results.json: expected rows of results, found none"),
        ("binary", "b/results.json: expected a results file"),
        ("damaged row", "effective_acceleration"),
        ("protocol", "b/results.json: expected protocol fastmri for data set knee"),
        ("example", "b/examples/0.npz: expected images of a slice"),
    ],
)
def test_damaged_input_ends_in_one_line_and_writes_nothing(monkeypatch, results, change, message):
    _damage(results, change)
    output = results / "report"
    folders = [str(results / "a"), str(results / "b" / "results.json")]
    with pytest.raises(InputError) as caught:
        _main(monkeypatch, results=folders, output=str(output))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not output.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"results": []}, "--results: expected results files, found none"),
        ({"names": ["net"]}, "--names: expected name=Name To Show, found 'net'"),
        ({"names": ["net=A", "other=A"]}, "--names: expected different names"),
        ({"names": ["nothing=A"]}, "--names: expected methods of net, other, zero_filled"),
        ({"baseline": "nothing"}, "--baseline: expected one of Zero-filled, net, other"),
        ({"zoom": "1,2"}, "--zoom: expected row,column,size in pixels, found '1,2'"),
        ({"zoom": "20,0,9"}, "--zoom: expected a box within 24 x 20 pixels"),
    ],
)
def test_wrong_wishes_end_in_one_line_and_write_nothing(monkeypatch, results, change, message):
    output = results / "report"
    given = {"results": [str(results / "a"), str(results / "b")], "output": str(output), **change}
    with pytest.raises(InputError, match=re.escape(message)):
        _main(monkeypatch, **given)
    assert not output.exists()


def test_an_output_that_is_a_file_is_named(monkeypatch, results):
    (results / "report").write_text("a file")
    with pytest.raises(InputError, match="report: expected a folder to write to"):
        _main(monkeypatch, results=[str(results / "a")], output=str(results / "report"))
    assert (results / "report").read_text() == "a file"


def test_protocols_are_mixed_when_asked_for(monkeypatch, results):
    _damage(results, "protocol")
    output = results / "report"
    folders = [str(results / "a"), str(results / "b")]
    _main(monkeypatch, results=folders, output=str(output), mix_protocols=True, examples=0)
    table = (output / "tables" / "knee.md").read_text()
    assert "| other | paper\\_a |" in table
    assert "| net | fastmri |" in table
    assert not (output / "figures").exists()


def test_trajectories_make_a_report_of_their_own(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(embedding_map, "has_umap", lambda: False)
    write_trajectory(tmp_path / "scan" / "trajectory.h5", trajectories.made(slices=1))
    output = tmp_path / "report"
    given = {"results": [], "trajectories": [str(tmp_path / "scan")], "output": str(output)}
    assert _main(monkeypatch, **given) == 0
    printed = capsys.readouterr().out
    assert "tables: none" in printed
    assert "trajectories: 3 files in" in printed
    name = "inr_semantic-knee.h5-slice-0"
    assert {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} == {
        "index.html",
        *(f"trajectories/{name}_{kind}.png" for kind in ("pictures", "embeddings", "losses")),
    }
    page = (output / "index.html").read_text()
    assert "1 trajectory" in page
    assert 'href="#tables"' not in page

    with pytest.raises(InputError, match="--trajectory_slice: expected one of 0 to 0"):
        _main(monkeypatch, **given, trajectory_slice=1)


def test_pairs_of_priors_get_a_table_of_their_own(monkeypatch, tmp_path):
    rows = [results_files.row(f"inr_{prior}") for prior in ("tv", "semantic")]
    results_files.write(tmp_path / "a", rows)
    _main(monkeypatch, results=[str(tmp_path / "a")], output=str(tmp_path / "report"))
    names = {path.name for path in (tmp_path / "report" / "tables").iterdir()}
    assert {f"knee_tv_and_semantic.{kind}" for kind in ("md", "tex", "csv")} <= names
    assert (
        "total variation against the semantic prior"
        in (tmp_path / "report" / "index.html").read_text()
    )
