import math

import pytest

from jaxrecon.metrics.measures import MEASURES
from jaxrecon.reporting.ranking import ranks


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        ("ssim", [0.9, 0.95, 0.85], [2, 1, 0]),
        ("nmse", [0.02, 0.01, 0.03], [2, 1, 0]),
        ("psnr", [31.2, 31.204, 30.0], [1, 1, 2]),  # Equal as they are printed.
        ("psnr", [31.2, 30.0, 30.001], [1, 2, 2]),
        ("ssim", [0.9, 0.8], [1, 0]),  # The second of two is the worse one.
        ("ssim", [0.9], [0]),
        ("ssim", [0.9, 0.9, 0.9], [0, 0, 0]),
        ("psnr", [math.inf, 30.0, 20.0], [1, 2, 0]),
    ],
)
def test_the_best_and_the_second_best_are_marked(measure, values, expected):
    assert ranks(values, MEASURES[measure]) == expected
