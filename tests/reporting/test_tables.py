import math

import pytest
import results_files

from jaxrecon.errors import InputError
from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.tables import make_tables

# arXiv:2604.22557, table 2: fastMRI knee, SSIM, PSNR and NMSE at centre fractions 0.08 and 0.04;
# "B" stands where the table prints bold, "U" where it underlines.
METHODS = ("E2E-VarNet", "CMR-CLIP", "CMR-DINOv2", "CMR-BiomedCLIP")
TABLE_2 = {
    4.0: (
        (0.8061, 31.06, 0.0280, 0.7769, 29.21, 0.0412),
        (0.7864, 30.88, 0.0288, 0.7387, 27.92, 0.0548),
        (0.7412, 27.50, 0.0647, 0.6873, 21.91, 0.2781),
        (0.7848, 30.66, 0.0302, 0.7310, 27.60, 0.0591),
    ),
    8.0: (
        (0.7161, 28.59, 0.0479, 0.6552, 25.88, 0.0876),
        (0.7232, 28.72, 0.0470, 0.6668, 26.17, 0.0820),
        (0.7137, 27.33, 0.0646, 0.6566, 25.61, 0.0932),
        (0.7285, 28.84, 0.0457, 0.6712, 26.26, 0.0804),
    ),
}
MARKS = {
    4.0: ("BBBBBB", "UUUUUU", "------", "------"),
    8.0: ("------", "UUUUUU", "------", "BBBBBB"),
}


def _tables(tmp_path, rows, *, mix_protocols=False, names=None, **options):
    files = load_results([results_files.write(tmp_path, rows)])
    found = comparable_measurements(files, mix_protocols=mix_protocols, names=names)
    return make_tables(found, **options)


def _paper_rows():
    return [
        results_files.row_of_means(
            method,
            numbers[3 * place : 3 * place + 3],
            acceleration=acceleration,
            effective_acceleration=acceleration / 1.3,
            center_fraction=fraction,
            acs=acs,
        )
        for acceleration, lines in TABLE_2.items()
        for place, (fraction, acs) in enumerate(((0.08, 29), (0.04, 15)))
        for method, numbers in zip(METHODS, lines, strict=True)
    ]


def test_the_table_of_the_paper_comes_out_with_its_marks(tmp_path):
    (table,) = _tables(tmp_path, list(reversed(_paper_rows())))
    assert table.groups == ("centre fraction 0.08", "centre fraction 0.04")
    assert [measure.name for measure in table.measures] == ["ssim", "psnr", "nmse"]
    assert [block.acceleration for block in table.blocks] == [4, 8]
    for block in table.blocks:
        lines = {line.label: line for line in block.lines}
        assert lines.keys() == set(METHODS)
        for method, numbers, marks in zip(
            METHODS, TABLE_2[block.acceleration], MARKS[block.acceleration], strict=True
        ):
            cells = lines[method].cells
            assert tuple(cell.summary["mean"] for cell in cells) == numbers
            assert "".join("-BU"[cell.rank] for cell in cells) == marks, method


def test_every_block_says_what_was_really_measured(tmp_path):
    (table,) = _tables(tmp_path, _paper_rows())
    assert table.blocks[0].settings == (
        "effective 3.08, ACS 29, 4 slices",
        "effective 3.08, ACS 15, 4 slices",
    )


def test_what_was_not_measured_leaves_a_gap(tmp_path):
    rows = [
        results_files.row("a"),
        results_files.row("b"),
        results_files.row("b", center_fraction=0.04, acs=13),
    ]
    (table,) = _tables(tmp_path, rows)
    first, second = table.blocks[0].lines
    assert [cell is None for cell in first.cells] == [False] * 3 + [True] * 3
    assert None not in second.cells
    assert [cell.rank for cell in second.cells[3:]] == [0, 0, 0]


def test_measures_that_some_methods_lack_are_shown_for_the_others(tmp_path):
    lpips = {"mean": 0.2, "std": 0.1, "ci95": [0.1, 0.3]}
    rows = [
        results_files.row("a"),
        results_files.row("b", measures=[*results_files.MEASURES, "lpips"], lpips=lpips),
    ]
    (table,) = _tables(tmp_path, rows)
    assert [measure.label for measure in table.measures] == ["SSIM", "PSNR", "NMSE", "LPIPS"]
    assert [line.cells[3] is None for line in table.blocks[0].lines] == [True, False]


def test_data_sets_have_their_own_tables(tmp_path):
    rows = [results_files.row("a"), results_files.row("a", dataset="brain")]
    tables = _tables(tmp_path, rows)
    assert [table.data_set for table in tables] == ["knee", "brain"]


def test_several_protocols_in_one_table_stand_in_lines_and_are_ranked_apart(tmp_path):
    low, high = ((0.5, 20.0, 0.2),) * 2, ((0.9, 30.0, 0.1),) * 2
    rows = [
        results_files.row("a", high),
        results_files.row("b", low),
        results_files.row("a", low, protocol="paper_a"),
        results_files.row("b", ((0.4, 19.0, 0.3),) * 2, protocol="paper_a"),
    ]
    (table,) = _tables(tmp_path, rows, mix_protocols=True)
    assert table.is_mixed
    lines = table.blocks[0].lines
    assert [(line.label, line.judged) for line in lines] == [
        ("a", "fastmri"),
        ("b", "fastmri"),
        ("a", "paper_a"),
        ("b", "paper_a"),
    ]
    assert [line.cells[0].rank for line in lines] == [1, 0, 1, 0]
    assert "among lines judged in the same way" in table.caption


def _values(offset, files=8):
    return [
        (0.5 + offset + 0.01 * i, 20 + offset + i, 0.5 - offset - 0.01 * i) for i in range(files)
    ]


def test_the_best_is_starred_where_it_differs_from_all_others(tmp_path):
    rows = [
        results_files.row("a", _values(0.1)),
        results_files.row("b", _values(0.0)),
        results_files.row("c", _values(0.05)),
    ]
    (table,) = _tables(tmp_path, rows)
    stars = {line.label: line.cells[0].is_significant for line in table.blocks[0].lines}
    assert stars == {"a": True, "b": None, "c": None}
    assert "* differs from every other method, p < 0.05 (Wilcoxon signed-rank" in table.caption


def test_the_best_is_not_starred_where_one_other_is_as_good(tmp_path):
    close = [(ssim + 0.001 * (-1) ** i, *rest) for i, (ssim, *rest) in enumerate(_values(0.1))]
    rows = [
        results_files.row("a", _values(0.1)),
        results_files.row("b", _values(0.0)),
        results_files.row("c", close),
    ]
    (table,) = _tables(tmp_path, rows)
    assert not any(line.cells[0].is_significant for line in table.blocks[0].lines)


def test_methods_are_starred_against_a_baseline(tmp_path):
    rows = [
        results_files.row("a", _values(0.1)),
        results_files.row("b", _values(0.0)),
        results_files.row("c", _values(0.05)),
    ]
    (table,) = _tables(tmp_path, rows, names={"b": "Base"}, baseline="Base")
    stars = {line.label: line.cells[0].is_significant for line in table.blocks[0].lines}
    assert stars == {"a": True, "Base": None, "c": True}
    assert "* differs from Base" in table.caption
    with pytest.raises(InputError, match="--baseline: expected one of a, b, c, found 'Base'"):
        _tables(tmp_path, rows, baseline="Base")


def test_without_tests_there_are_no_stars_and_no_word_of_them(tmp_path):
    (table,) = _tables(tmp_path, _paper_rows())
    assert "*" not in table.caption


def test_the_caption_says_how_the_numbers_were_made(tmp_path):
    rows = [
        results_files.row(
            method,
            unit="slice",
            subset="AXT1",
            data="simulated from phantoms",
            not_computed={"lpips": "no weights"},
        )
        for method in ("a", "b", "c")
    ]
    (table,) = _tables(tmp_path, rows)
    for part in (
        "Results on knee. Mean ± standard deviation over slices. Protocol fastmri: all slices",
        "Masks: equispaced.",
        "Subset: AXT1.",
        "Simulated from phantoms.",
        "Not computed: LPIPS (no weights).",
        "Best bold, second underlined.",
    ):
        assert part in table.caption


def test_perfect_images_have_an_infinite_psnr_and_are_the_best(tmp_path):
    rows = [
        results_files.row("a", ((1.0, math.inf, 0.0),) * 2),
        results_files.row("b"),
        results_files.row("c"),
    ]
    (table,) = _tables(tmp_path, rows)
    assert [line.cells[1].rank for line in table.blocks[0].lines] == [1, 2, 2]
