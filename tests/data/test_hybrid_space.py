import numpy as np
import pytest
from kspace_files import random_kspace

from jaxrecon.data.hybrid_space import slices_of_volume


@pytest.mark.parametrize(
    ("planes", "axis"),
    [
        (range(7), "depth"),
        (range(1, 6), "depth"),  # zero-filled outside, as with slice resolution below 100 %
        ((0, 2, 4, 6), "readout"),
    ],
)
def test_the_axis_is_one_that_was_sampled_without_gaps(planes, axis):
    pattern = np.zeros((8, 7), bool)
    pattern[::2, list(planes)] = True
    kspace = random_kspace(2, 6, 8, 7) * pattern
    slices, mask, found = slices_of_volume(kspace, pattern)
    assert found == axis
    if axis == "depth":
        assert slices.shape == (7, 2, 6, 8)
        np.testing.assert_array_equal(mask, np.broadcast_to(np.arange(8) % 2 == 0, (6, 8)))
    else:
        assert slices.shape == (6, 2, 8, 7)
        np.testing.assert_array_equal(mask, pattern)
    np.testing.assert_array_equal((slices != 0).all(axis=(0, 1)), mask)


def test_energy_and_type_stay():
    kspace = random_kspace(2, 6, 8, 7)
    slices, _, _ = slices_of_volume(kspace, np.ones((8, 7), bool))
    assert slices.dtype == np.complex64
    np.testing.assert_allclose(np.linalg.norm(slices), np.linalg.norm(kspace), rtol=1e-6)
