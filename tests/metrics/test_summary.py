import numpy as np
import pytest
import scipy.stats

from jaxrecon.errors import InputError
from jaxrecon.metrics.summary import summarise_values


def test_mean_and_standard_deviation():
    values = [0.8, 0.9, 0.7, 0.85]
    found = summarise_values(values)
    assert found["mean"] == pytest.approx(0.8125)
    assert found["std"] == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize("count", [5, 40])
def test_interval_equals_scipys_bootstrap(count):
    values = np.random.default_rng(1).gamma(2, 1, count)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=5
    ).confidence_interval
    # Two runs of 10,000 resamples differ by their own sampling error, about 0.02 standard errors.
    tolerance = 0.15 * values.std() / np.sqrt(count)
    found = summarise_values(list(values))["ci95"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_interval_is_that_of_a_normal_mean_for_many_values():
    values = np.random.default_rng(2).normal(30, 2, 400)
    low, high = summarise_values(list(values))["ci95"]
    half = 1.96 * values.std() / np.sqrt(400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.05 * half)


def test_the_same_values_give_the_same_interval():
    values = [1.0, 2.0, 4.0, 8.0]
    assert summarise_values(values) == summarise_values(values)


def test_one_file_and_equal_files_have_no_spread():
    assert summarise_values([0.5]) == {"mean": 0.5, "std": 0.0, "ci95": [0.5, 0.5]}
    assert summarise_values([0.5] * 3) == {"mean": 0.5, "std": 0.0, "ci95": [0.5, 0.5]}


def test_an_infinite_value_makes_the_summary_infinite():
    inf = float("inf")
    assert summarise_values([30.0, inf]) == {"mean": inf, "std": inf, "ci95": [inf, inf]}


def test_bad_values_are_refused():
    with pytest.raises(InputError, match="at least one value, found none"):
        summarise_values([])
    with pytest.raises(InputError, match="found NaN in 1 of 2 values"):
        summarise_values([1.0, float("nan")])


def test_slices_are_drawn_file_by_file():
    generator = np.random.default_rng(3)
    level = generator.normal(0.8, 0.05, 12)
    values = np.concatenate([one + generator.normal(0, 1e-4, 10) for one in level])
    files = [f"file{i:02}.h5" for i in range(12) for _ in range(10)]
    found = summarise_values(list(values), files)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    # Slices that are all but copies add nothing to what their files say.
    np.testing.assert_allclose(
        found["ci95"], summarise_values(list(level))["ci95"], rtol=0, atol=1e-4
    )
    low, high = summarise_values(list(values))["ci95"]
    assert high - low < 0.5 * np.diff(found["ci95"])


def test_files_of_more_slices_weigh_more():
    found = summarise_values([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert found["mean"] == 0.75
    assert found["ci95"] == [0.0, 1.0]


def test_one_file_of_several_slices_says_nothing_of_others():
    found = summarise_values([1.0, 3.0], ["a", "a"])
    assert found == {"mean": 2.0, "std": pytest.approx(2**0.5), "ci95": [2.0, 2.0]}
