import numpy as np
import pytest
import sigpy.mri

from jaxrecon.data.acquired_sampling import (
    acquired_mask,
    central_run,
    find_pattern,
    fully_sampled_centre,
    sampling_of,
)
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import sampling_mask


def kspace_of(pattern, coils=2):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(2, coils, *pattern.shape))
    return (samples[0] + 1j * samples[1]).astype(np.complex64) * pattern


@pytest.mark.parametrize("width", [9, 12])
@pytest.mark.parametrize("acs", [0, 1, 4, 5])
def test_central_run_is_placed_as_masks_place_it(width, acs):
    columns = np.zeros(width, bool)
    first = (width - acs + 1) // 2
    columns[first : first + acs] = True
    assert central_run(columns) == acs


def test_all_columns_are_one_run():
    assert central_run(np.ones(7, bool)) == 7


def test_acs_of_a_drawn_mask_is_found():
    drawn = sampling_mask("equispaced", 368, 4, center_fraction=0.08, seed=123)
    found = acquired_mask(drawn.pattern, 64)
    # One neighbour of the 29 central columns is sampled as well.
    assert drawn.acs <= found.acs <= drawn.acs + 2
    assert found.effective_acceleration == found.acceleration == drawn.effective_acceleration
    assert found.family == "acquired"


def test_poisson_disc_mask_has_the_calibration_region_it_was_made_with():
    mask = sigpy.mri.poisson((64, 48), 6, calib=(20, 16), seed=1).real > 0
    rows, columns = fully_sampled_centre(mask, 64)
    assert min(rows, columns) >= 16
    top, left = (64 - rows + 1) // 2, (48 - columns + 1) // 2
    assert mask[top : top + rows, left : left + columns].all()


def test_the_centre_is_the_rectangle_with_the_longest_short_side():
    mask = np.zeros((20, 20), bool)
    mask[9:11] = True  # 2 x 20
    mask[7:13, 8:12] = True  # 6 x 4
    assert fully_sampled_centre(mask, 20) == (6, 4)


def test_masks_of_columns_have_a_centre_of_full_height():
    mask = np.zeros((1, 12), bool)
    mask[0, 4:8] = True
    assert fully_sampled_centre(mask, 30) == (30, 4)


def test_a_mask_without_a_centre_has_none():
    mask = np.ones((8, 8), bool)
    mask[4, 4] = False
    assert fully_sampled_centre(mask, 8) == (0, 0)


def test_rows_that_are_all_alike_become_one():
    pattern = np.zeros((6, 9), bool)
    pattern[:, ::3] = True
    assert acquired_mask(pattern, 6).pattern.shape == (1, 9)


def test_a_mask_that_keeps_nothing_is_refused():
    with pytest.raises(InputError, match="found none"):
        acquired_mask(np.zeros((1, 8), bool), 4)


def test_zero_columns_and_single_samples_are_found():
    columns = np.zeros((10, 12), bool)
    columns[:, ::3] = True
    np.testing.assert_array_equal(find_pattern(kspace_of(columns)), columns)
    scattered = np.random.default_rng(1).random((10, 12)) < 0.4
    np.testing.assert_array_equal(find_pattern(kspace_of(scattered)), scattered)


def test_a_sample_of_one_coil_that_is_zero_was_sampled():
    kspace = kspace_of(np.ones((4, 6), bool))
    kspace[0, 2, 3] = 0
    assert find_pattern(kspace).all()


def test_a_few_zeros_by_chance_are_samples():
    pattern = np.ones((40, 40), bool)
    pattern[3, 5] = pattern[20, 20] = False
    assert find_pattern(kspace_of(pattern)).all()


def test_a_run_of_columns_is_full_sampling_of_what_was_acquired():
    patterns = np.zeros((2, 6, 10), bool)
    patterns[:, :, 2:9] = True
    assert sampling_of(patterns) == (None, (2, 9))


def test_slices_may_differ_and_share_equal_masks():
    patterns = np.zeros((3, 6, 10), bool)
    patterns[:2, :, ::2] = True
    patterns[2, :, ::3] = True
    masks, columns = sampling_of(patterns)
    assert columns == (0, 10)
    assert masks[0] is masks[1]
    assert [mask.effective_acceleration for mask in masks] == [2, 2, 2.5]
