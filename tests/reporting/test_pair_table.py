import csv
import re

import pytest
import results_files

from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.notation import DASH
from jaxrecon.reporting.pair_table import (
    make_pair_tables,
    pair_table_csv,
    pair_table_latex,
    pair_table_markdown,
)

# Means of PSNR, SSIM, LPIPS and Tenengrad of arXiv:2511.19641, Table 1, knee; both priors.
TABLE_1 = {
    4.0: {
        "unet": ((30.31, 0.760, 0.178, 0.038), (29.47, 0.733, 0.173, 0.043)),
        "unrolled": ((31.10, 0.757, 0.155, 0.043), (30.52, 0.735, 0.124, 0.052)),
        "inr": ((31.27, 0.750, 0.111, 0.049), (31.76, 0.768, 0.096, 0.051)),
    },
    6.0: {
        "unet": ((29.39, 0.712, 0.245, 0.030), (28.47, 0.679, 0.224, 0.045)),
        "unrolled": ((30.25, 0.711, 0.200, 0.033), (29.42, 0.678, 0.165, 0.050)),
        "inr": ((30.43, 0.726, 0.155, 0.043), (31.44, 0.756, 0.125, 0.048)),
    },
}
MEASURES = ("psnr", "ssim", "lpips", "tenengrad")


def _row(method, means, **changes):
    summaries = {
        name: {"mean": mean, "std": mean / 10, "ci95": [0.9 * mean, 1.1 * mean]}
        for name, mean in zip(MEASURES, means, strict=True)
    }
    return results_files.row(
        method, **{"measures": list(MEASURES), "files": [], **summaries, **changes}
    )


def _tables(tmp_path, rows, **options):
    files = load_results([results_files.write(tmp_path, rows)])
    return make_pair_tables(comparable_measurements(files, **options))


@pytest.fixture
def table(tmp_path):
    rows = [
        _row(f"{backbone}_{prior}", means, acceleration=acceleration)
        for acceleration, backbones in TABLE_1.items()
        for backbone, pair in backbones.items()
        for prior, means in zip(("tv", "semantic"), pair, strict=True)
    ]
    (table,) = _tables(tmp_path, [_row("zero_filled", (20.0, 0.5, 0.4, 0.02)), *rows])
    return table


def test_every_cell_is_where_the_paper_has_it(table):
    assert table.data_set == "knee"
    assert table.backbones == ("U-Net", "Unrolled", "INR")
    assert [block.acceleration for block in table.blocks] == [4, 6]
    for block in table.blocks:
        assert [line.measure.name for line in block.lines] == list(MEASURES)
        for place, line in enumerate(block.lines):
            expected = [
                means[place] for pair in TABLE_1[block.acceleration].values() for means in pair
            ]
            assert [cell.summary["mean"] for cell in line.cells] == expected


def test_the_better_one_of_each_pair_is_the_paper_s_bold_one(table):
    # At R = 4: PSNR and SSIM for TV but for the INR; LPIPS and Tenengrad for the semantic prior.
    better = [[int(cell.is_best) for cell in line.cells] for line in table.blocks[0].lines]
    assert better == [[1, 0, 1, 0, 0, 1], [1, 0, 1, 0, 0, 1], [0, 1] * 3, [0, 1] * 3]


def test_markdown(table):
    lines = pair_table_markdown(table).splitlines()
    assert lines[0] == (
        "| Measure | U-Net: TV | U-Net: Semantic | Unrolled: TV | Unrolled: Semantic "
        "| INR: TV | INR: Semantic |"
    )
    assert {line.count("|") for line in lines[:12]} == {8}
    assert lines[2].startswith("| **knee (R = 4)** | *centre fraction 0.08, effective 3.20, ACS 26")
    assert lines[3].startswith("| PSNR [dB] ↑ | **30.31 ± 3.03** | 29.47 ± 2.95 |")
    assert lines[5].startswith("| LPIPS ↓ | 0.1780 ± 0.0178 | **0.1730 ± 0.0173** |")
    assert lines[-1].endswith("The better one of each pair bold.")
    assert "Best bold" not in lines[-1]


def test_latex(table):
    text = pair_table_latex(table)
    assert r" & \multicolumn{2}{c}{U-Net} & \multicolumn{2}{c}{Unrolled}" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){6-7}" in text
    assert r"PSNR [dB] $\uparrow$ & \textbf{30.31 $\pm$ 3.03} & 29.47 $\pm$ 2.95 &" in text
    assert not re.search("[^\x00-\x7f]", text)
    for line in text.splitlines():
        if "pm" in line and "caption" not in line:
            assert line.count("&") == 6
    assert text.count("{") == text.count("}")


def test_csv(table):
    rows = list(csv.DictReader(pair_table_csv(table).splitlines()))
    assert len(rows) == 2 * 4 * 6
    (found,) = [
        row
        for row in rows
        if (row["acceleration"], row["measure"], row["backbone"], row["prior"])
        == ("6", "lpips", "INR", "semantic")
    ]
    assert (float(found["mean"]), found["is_best"]) == (0.125, "1")


def _means(table):
    return [cell and cell.summary["mean"] for cell in table.blocks[0].lines[0].cells]


def test_a_random_encoder_is_held_against_the_same_baseline(tmp_path):
    rows = [
        _row("inr_tv", (30.0, 0.7, 0.2, 0.1)),
        _row("inr_semantic", (31.0, 0.7, 0.2, 0.1)),
        _row("inr_semantic (random encoder)", (29.0, 0.7, 0.2, 0.1)),
    ]
    (table,) = _tables(tmp_path, rows)
    assert table.backbones == ("INR", "INR (random encoder)")
    assert _means(table) == [30, 31, 30, 29]
    # Two that look equal: none is the better one.
    assert not any(cell.is_best for cell in table.blocks[0].lines[1].cells)
    own = [*rows, _row("inr_tv (random encoder)", (28.0, 0.7, 0.2, 0.1))]
    (table,) = _tables(tmp_path, own)
    assert _means(table) == [30, 31, 28, 29]


def test_what_has_no_twin_judged_alike_is_left_out(tmp_path):
    means = (30.0, 0.7, 0.2, 0.1)
    assert _tables(tmp_path, [_row("inr_semantic", means), _row("unet_tv", means)]) == []
    rows = [_row("inr_semantic", means), _row("inr_tv", means, protocol="paper_a")]
    assert _tables(tmp_path, rows, mix_protocols=True) == []
    runs = [
        _row("inr_semantic", means),
        _row("inr_tv", means, run="runs/one"),
        _row("inr_tv", (31.0, *means[1:]), run="runs/two"),
    ]
    assert _tables(tmp_path, runs) == []


def test_a_backbone_without_a_result_has_dashes(tmp_path):
    means = (30.0, 0.7, 0.2, 0.1)
    rows = [_row(f"{name}_{prior}", means, acceleration=acceleration)
            for name, acceleration in (("inr", 4.0), ("unet", 6.0))
            for prior in ("tv", "semantic")]  # fmt: skip
    (table,) = _tables(tmp_path, rows)
    assert _means(table) == [30, 30, None, None]
    line = f"| PSNR [dB] ↑ | 30.00 ± 3.00 | 30.00 ± 3.00 | {DASH} | {DASH} |"
    assert line in pair_table_markdown(table)
    assert " & -- & -- " in pair_table_latex(table)
    assert len(list(csv.DictReader(pair_table_csv(table).splitlines()))) == 2 * 4 * 2


def test_a_measure_that_one_of_a_pair_lacks_has_no_best(tmp_path):
    rows = [
        _row("inr_tv", (30.0, 0.7, 0.2, 0.1), measures=["psnr", "ssim", "lpips"]),
        _row("inr_semantic", (31.0, 0.7, 0.2, 0.1)),
    ]
    (table,) = _tables(tmp_path, rows)
    first, second = table.blocks[0].lines[-1].cells
    assert first is None
    assert second.summary["mean"] == 0.1
    assert not second.is_best
