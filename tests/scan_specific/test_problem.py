import math
from fractions import Fraction
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parallel_imaging import columns_mask, points_mask
from scan_problems import slices
from scipy import stats

from jaxrecon.scan_specific import problem
from jaxrecon.scan_specific.problem import draw_holdout

make_problem = jax.jit(problem.make_problem)


def columns(height, width):
    return columns_mask(width, 4)


def points(height, width):
    return points_mask(height, width, 4)


def leaves_without_peak(problem):
    return {name: leaf for name, leaf in problem._asdict().items() if name != "peak"}


@pytest.mark.parametrize("is_points", [False, True])
@pytest.mark.parametrize(("height", "width"), [(24, 20), (17, 15)])
def test_it_is_scaled_by_the_peak_of_the_zero_filled_image(height, width, is_points):
    kspace, mask, maps = slices(height, width, points=is_points)
    found = make_problem(kspace, mask, maps)
    axes = (-2, -1)
    sampled = np.asarray(kspace, np.complex128) * np.asarray(mask)[:, None]
    coil_images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(sampled, axes), norm="ortho"), axes)
    expected = np.sum(np.conj(np.asarray(maps)) * coil_images, 1)
    peak = np.abs(expected).max(axes)
    np.testing.assert_allclose(found.peak, peak, rtol=1e-5)
    np.testing.assert_allclose(found.zero_filled, expected / peak[:, None, None], atol=1e-5)
    scaled = sampled / peak[:, None, None, None]
    np.testing.assert_allclose(found.kspace, scaled, rtol=1e-5, atol=1e-6 * np.abs(scaled).max())


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_another_scale_of_k_space_is_another_peak_and_nothing_else(scale):
    kspace, mask, maps = slices()
    expected, found = (make_problem(factor * kspace, mask, maps) for factor in (1, scale))
    np.testing.assert_allclose(found.peak, scale * expected.peak, rtol=1e-5)
    for name, leaf in leaves_without_peak(expected).items():
        limit = 1e-6 * float(jnp.abs(leaf).max())
        np.testing.assert_allclose(getattr(found, name), leaf, rtol=1e-5, atol=limit, err_msg=name)


@pytest.mark.parametrize("is_points", [False, True])
def test_what_was_not_sampled_is_ignored(is_points):
    kspace, mask, maps = slices(points=is_points)
    expected = make_problem(kspace, mask, maps)
    found = make_problem(jnp.where(mask[:, None], kspace, jnp.nan), mask, maps)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_empty_k_space_stays_empty():
    kspace, mask, maps = slices()
    found = make_problem(0 * kspace, mask, maps)
    assert (found.kspace == 0).all()
    assert (found.zero_filled == 0).all()
    np.testing.assert_array_equal(found.peak, 1)


def test_without_a_holdout_all_samples_are_on_both_sides():
    kspace, mask, maps = slices()
    found = make_problem(kspace, mask, maps)
    np.testing.assert_array_equal(found.loss_mask, mask)
    np.testing.assert_array_equal(found.consistency_mask, mask)


@pytest.mark.parametrize("is_points", [False, True])
def test_the_two_sides_are_disjoint_and_together_all_samples(is_points):
    kspace, mask, maps = slices(19, 22, points=is_points)
    keys = jax.random.split(jax.random.key(0), len(mask))
    holdout = jnp.stack(
        [draw_holdout(key, m, 19, 0.4, 0.5) for key, m in zip(keys, mask, strict=True)]
    )
    # A sample that was never acquired stays out, even where it is asked for.
    found = make_problem(kspace, mask, maps, holdout | ~mask)
    assert not (found.loss_mask & found.consistency_mask).any()
    whole = np.broadcast_to(mask, found.loss_mask.shape)
    np.testing.assert_array_equal(found.loss_mask | found.consistency_mask, whole)
    np.testing.assert_array_equal(found.loss_mask, holdout)
    np.testing.assert_array_equal(found.mask, mask)


@pytest.mark.parametrize("make_mask", [columns, points])
@pytest.mark.parametrize(("height", "width"), [(24, 20), (640, 371)])
@pytest.mark.parametrize("fraction", [0.4, 0.29, 0.9])
def test_the_fraction_is_exact_rounded_down(make_mask, height, width, fraction):
    mask = make_mask(height, width)
    found = draw_holdout(jax.random.key(1), mask, height, fraction, 0.5)
    whole = np.broadcast_to(mask, (height, width))
    expected = math.floor(int(whole.sum()) * Fraction(str(fraction)))
    assert int(found.sum()) == expected
    assert not (found & ~whole).any()


def test_a_draw_is_a_function_of_its_key():
    mask = points(24, 20)
    first, again, other = (
        draw_holdout(jax.random.key(seed), mask, 24, 0.4, 0.5) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def density(height, width, sigma):
    """The Gaussian at all points, in double precision, not normalised."""
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return np.exp(-(rows**2 + columns**2) / (2 * sigma**2))


def draws(number, mask, height, fraction, sigma):
    keys = jax.random.split(jax.random.key(7), number)
    drawn = jax.jit(jax.vmap(lambda key: draw_holdout(key, mask, height, fraction, sigma)))
    return np.asarray(drawn(keys))


def is_drawn_from(counts, probabilities):
    """Chi-square test: false for a right draw once in a million."""
    return stats.chisquare(counts, probabilities / probabilities.sum() * counts.sum()).pvalue > 1e-6


def test_single_samples_follow_the_gaussian():
    height, width, sigma = 7, 8, 0.5
    mask = jnp.asarray(np.random.default_rng(0).random((height, width)) < 0.8)
    whole = np.asarray(mask)
    counts = draws(20_000, mask, height, 1.5 / whole.sum(), sigma).sum(0)
    assert counts.sum() == 20_000
    assert is_drawn_from(counts[whole], density(height, width, sigma)[whole])
    assert not is_drawn_from(counts[whole], density(height, width, 0.55)[whole])


def test_pairs_follow_draws_without_replacement():
    height, width, sigma = 5, 6, 0.7
    places = [(0, 1), (1, 4), (2, 2), (4, 3)]
    mask = np.zeros((height, width), bool)
    mask[tuple(np.transpose(places))] = True
    drawn = draws(20_000, jnp.asarray(mask), height, 0.5, sigma)
    probabilities = density(height, width, sigma)[tuple(np.transpose(places))]
    probabilities /= probabilities.sum()
    counts, expected = [], []
    for i, j in combinations(range(4), 2):
        counts.append((drawn[:, *places[i]] & drawn[:, *places[j]]).sum())
        p, q = probabilities[i], probabilities[j]
        expected.append(p * q / (1 - p) + p * q / (1 - q))
    assert sum(counts) == 20_000
    assert sum(expected) == pytest.approx(1)
    assert is_drawn_from(np.array(counts), np.array(expected))


def test_samples_of_a_column_mask_are_drawn_one_by_one_near_the_centre():
    height, width = 31, 24
    mask = columns(height, width)
    drawn = draws(200, mask, height, 0.4, 0.5)
    rows, columns_ = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    radius = np.hypot(rows, columns_)
    whole = np.broadcast_to(mask, radius.shape)
    assert radius[np.nonzero(drawn)[1:]].mean() < 0.8 * radius[whole].mean()
    # Not whole columns.
    sampled = drawn[:, :, np.asarray(mask)[0]]
    assert (sampled.any(1) & ~sampled.all(1)).mean() > 0.9
