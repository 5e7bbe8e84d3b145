import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from jaxrecon.errors import InputError
from jaxrecon.metrics.significance import compare_methods, signed_rank_p


def p_by_enumeration(differences):
    """Of all signs that the ranks may have, how many are as far from balance as these."""
    ranks = rankdata(np.abs(differences))
    found = abs(np.sum(np.sign(differences) * ranks))
    sums = [
        abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return np.mean([total >= found for total in sums])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [6, 9, 12])
def test_p_is_exact_for_few_files(seed, count):
    generator = np.random.default_rng(seed)
    first = generator.normal(0.3, 1, count)
    second = generator.normal(0, 1, count)
    assert signed_rank_p(list(first), list(second)) == pytest.approx(
        p_by_enumeration(first - second)
    )


def test_p_does_not_depend_on_the_order_of_the_methods():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 80)).tolist()
    assert signed_rank_p(first, second) == pytest.approx(signed_rank_p(second, first))


def test_no_p_where_too_few_files_differ():
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert signed_rank_p(values[:5], [0.0] * 5) is None
    assert signed_rank_p(values, [0.0] * 5 + values[5:]) is None
    assert signed_rank_p(values, [0.0] * 6) == pytest.approx(2 / 2**6)


def test_perfect_images_are_equal():
    infinite = [np.inf] * 8
    assert signed_rank_p(infinite, infinite) is None
    assert signed_rank_p(infinite, [30.0] * 8) == pytest.approx(2 / 2**8)


def make_row(method, values, acceleration=4.0, **changes):
    row = {
        "method": method,
        "dataset": "knees",
        "mask": "equispaced",
        "acceleration": acceleration,
        "center_fraction": 0.08,
        "measures": ["ssim", "psnr"],
        "files": [
            {"file": f"file{i}.h5", "slices": 3, "ssim": value, "psnr": 30 + value}
            for i, value in enumerate(values)
        ],
    }
    return {**row, **changes}


def test_every_pair_of_methods_is_compared_in_its_setting():
    better = [0.8, 0.82, 0.7, 0.75, 0.9, 0.66, 0.71]
    worse = [value - 0.01 * (i + 1) for i, value in enumerate(better)]
    rows = [
        make_row("a", better), make_row("b", worse), make_row("c", better),
        make_row("a", better, 8.0), make_row("b", worse, 8.0),
    ]  # fmt: skip
    # Pairs are found by the file's name, not by its place.
    rows[1]["files"] = rows[1]["files"][::-1]
    found = compare_methods(rows)
    assert [(one["acceleration"], one["first"], one["second"], one["metric"]) for one in found] == [
        (r, *pair, metric)
        for r, pairs in ((4, ("ab", "ac", "bc")), (8, ("ab",)))
        for pair in pairs
        for metric in ("ssim", "psnr")
    ]
    first = found[0]
    assert first["n"] == 7
    assert first["median_difference"] == pytest.approx(0.04)
    assert first["p"] == pytest.approx(2 / 2**7)
    assert (first["dataset"], first["mask"], first["center_fraction"]) == (
        "knees",
        "equispaced",
        0.08,
    )
    same = found[2]
    assert (same["median_difference"], same["p"]) == (0, None)


def test_methods_judged_on_different_slices_are_not_compared():
    rows = [make_row("a", [0.1] * 6), make_row("b", [0.2] * 6)]
    rows[1]["files"][2]["slices"] = 2
    with pytest.raises(InputError, match="expected a and b to be judged on the same slices"):
        compare_methods(rows)
