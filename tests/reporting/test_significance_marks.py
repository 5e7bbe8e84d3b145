import numpy as np
import pytest
import results_files
import scipy.stats

from jaxrecon.metrics.significance import compare_methods
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.significance import differ, holm, p_value


def _rows(seed=0, files=10, methods=("a", "b", "c")):
    generator = np.random.default_rng(seed)
    truth = generator.random((files, 3))
    return [
        results_files.row(method, truth + place * 0.05 * generator.random((files, 3)))
        for place, method in enumerate(methods)
    ]


def _measurements(tmp_path, rows):
    return load_results([results_files.write(tmp_path, rows)])[0].measurements


def test_p_values_are_those_of_scipy_and_of_results_files(tmp_path):
    rows = _rows()
    first, second, _ = _measurements(tmp_path, rows)
    comparisons = {
        (each["first"], each["second"], each["metric"]): each["p"] for each in compare_methods(rows)
    }
    for name in results_files.MEASURES:
        values = [[file[name] for file in row["files"]] for row in rows[:2]]
        expected = scipy.stats.wilcoxon(*values).pvalue
        assert p_value(first, second, name) == pytest.approx(expected)
        assert p_value(first, second, name) == comparisons["a", "b", name]


@pytest.mark.parametrize("change", ["other file", "other slices", "no files", "too few files"])
def test_what_cannot_be_paired_is_not_tested(tmp_path, change):
    rows = _rows(files=4 if change == "too few files" else 10)
    if change == "other file":
        rows[1]["files"][0]["file"] = "another.h5"
    elif change == "other slices":
        rows[1]["files"][0]["slices"] = 1
    elif change == "no files":
        for row in rows:
            row["files"] = []
    first, second, _ = _measurements(tmp_path, rows)
    assert p_value(first, second, "ssim") is None


def test_holm_follows_the_published_procedure():
    # Sorted .005 .01 .03 .04 times 4 3 2 1, never falling: .02 .03 .06 .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_differences_are_corrected_for_their_number(tmp_path):
    found = _measurements(tmp_path, _rows(seed=3, files=6))
    p_values = [p_value(found[0], other, "ssim") for other in found[1:]]
    # Six files that all differ in one direction: 2 / 2^6, which for two methods is not enough.
    assert p_values == pytest.approx([2 / 64, 2 / 64])
    assert differ(found[0], found, "ssim") == [None, False, False]
    assert differ(found[0], found[:2], "ssim") == [None, True]
