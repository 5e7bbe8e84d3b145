import math

import pytest

from jaxrecon.metrics.measures import MEASURES
from jaxrecon.reporting.notation import (
    arrow,
    count,
    in_table_order,
    joined,
    number,
    slugs,
    span,
    span_of_accelerations,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(31.456, "31.46"), (30.0, "30.00"), (math.inf, "∞"), (-math.inf, "\N{MINUS SIGN}∞")],
)
def test_numbers_have_the_digits_of_their_measure(value, text):
    assert number(MEASURES["psnr"], value) == text


def test_a_value_that_is_none_is_a_dash():
    assert number(MEASURES["ssim"], math.nan) == "\N{EN DASH}"


def test_arrows_point_where_a_measure_gets_better():
    assert {name: arrow(measure) for name, measure in MEASURES.items()} == {
        "ssim": "↑",
        "psnr": "↑",
        "nmse": "↓",
        "lpips": "↓",
        "tenengrad": "↑",
    }


def test_measures_come_once_in_the_order_of_tables():
    found = in_table_order(["nmse", "ssim", "nmse", "lpips", "psnr"])
    assert [measure.name for measure in found] == ["ssim", "psnr", "nmse", "lpips"]


def test_spans_and_counts():
    assert (span([26]), span([30, 26, 28])) == ("26", "26\N{EN DASH}30")
    assert span_of_accelerations([3.201, 3.199]) == "3.20"
    assert span_of_accelerations([3.2, 2.5]) == "2.50\N{EN DASH}3.20"
    assert (count(1, "slice"), count(1767, "slice")) == ("1 slice", "1,767 slices")
    assert joined(["a", "b", "a", "c"]) == "a, b and c"


def test_names_of_files_are_safe_and_differ():
    found = slugs(["Knee 1", "Knee/1", "../x", "", "é", "Knee 1"])
    assert found == {
        "Knee 1": "knee-1",
        "Knee/1": "knee-1-2",
        "../x": "x",
        "": "unnamed",
        "é": "unnamed-2",
    }
