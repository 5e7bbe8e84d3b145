import csv
import io
import re

import pytest
import results_files
from markdown_it import MarkdownIt

from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.table_formats import as_csv, as_latex, as_markdown, latex_text
from jaxrecon.reporting.tables import make_tables

VALUES = {
    "zero_filled": ((0.5, 20.0, 0.3), (0.6, 22.0, 0.2)),
    "net": ((0.9, 30.0, 0.02), (0.8, 28.0, 0.04)),
    "a_b|<c>": ((0.7, 25.0, 0.1), (0.7, 25.0, 0.1)),
}


@pytest.fixture
def files(tmp_path):
    rows = [
        results_files.row(method, values, center_fraction=fraction, acs=acs)
        for fraction, acs in ((0.08, 26), (0.04, 13))
        for method, values in VALUES.items()
    ]
    return load_results([results_files.write(tmp_path, rows)])


@pytest.fixture
def table(files):
    return make_tables(comparable_measurements(files))[0]


def _rows_of_html(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


def test_markdown_is_a_table_to_a_parser(table):
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(as_markdown(table))
    rows = _rows_of_html(html)
    assert {len(row) for row in rows} == {7}
    assert rows[0][:3] == [
        "Method",
        "centre fraction 0.08: SSIM ↑",
        "centre fraction 0.08: PSNR [dB] ↑",
    ]
    assert rows[1][1] == "<em>effective 3.20, ACS 26, 4 slices</em>"
    lines = {row[0]: row[1:] for row in rows[2:]}
    assert lines["net"][0] == "<strong>0.8500</strong> ± 0.0707"
    assert lines["Zero-filled"][1] == "21.00 ± 1.41"
    assert lines["a_b|&lt;c&gt;"][2] == "<u>0.1000</u> ± 0.0000"


def test_latex_has_as_many_columns_in_every_line(table):
    text = as_latex(table)
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin") == text.count(r"\end")
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert columns == "lrrrrrr"
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 2 + 1 + 3
    for line in lines:
        spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d)\}", line)]
        assert len(re.split(r"(?<!\\)&", line)) - len(spans) + sum(spans) == 7, line
    assert r"\textbf{0.8500} $\pm$ 0.0707" in text
    assert r"\underline{0.1000} $\pm$ 0.0000" in text
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7}" in text
    assert r"a\_b|\textless{}c\textgreater{}" in text


def test_latex_s_own_characters_are_escaped():
    assert latex_text(r"50% of A_1 & {B}^2 ~ \x $1 #3") == (
        r"50\% of A\_1 \& \{B\}\textasciicircum{}2 \textasciitilde{} \textbackslash{}x \$1 \#3"
    )
    assert latex_text("R \N{MULTIPLICATION SIGN} 4") == r"R $\times$ 4"


def test_csv_holds_every_number_at_full_precision(table, files):
    rows = list(csv.DictReader(io.StringIO(as_csv(table, files))))
    assert len(rows) == 6
    found = {(row["method"], row["center_fraction"]): row for row in rows}
    net = found["net", "0.04"]
    expected = next(
        each for each in files[0].measurements
        if each.method == "net" and each.center_fraction == 0.04
    )  # fmt: skip
    for name, summary in expected.measures.items():
        assert float(net[f"{name}_mean"]) == summary["mean"]
        assert float(net[f"{name}_std"]) == summary["std"]
        low, high = float(net[f"{name}_ci95_low"]), float(net[f"{name}_ci95_high"])
        assert [low, high] == summary["ci95"]
    assert net["effective_acceleration"] == "3.2"
    assert (net["crop"], net["acs"], net["run"]) == ("320x320", "13", "runs/net")
    assert net["results"] == str(files[0].path)


def test_a_table_that_mixes_says_in_every_line_how_it_was_judged(tmp_path):
    rows = [results_files.row("a"), results_files.row("b", protocol="paper_a")]
    files = load_results([results_files.write(tmp_path, rows)])
    table = make_tables(comparable_measurements(files, mix_protocols=True))[0]
    assert "| a | fastmri |" in as_markdown(table)
    assert r"b & paper\_a &" in as_latex(table)
    for line in as_latex(table).splitlines():
        if line.endswith(r"\\"):
            spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d)\}", line)]
            assert len(re.split(r"(?<!\\)&", line)) - len(spans) + sum(spans) == 5, line
