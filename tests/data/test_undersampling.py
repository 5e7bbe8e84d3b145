import dataclasses
import re

import numpy as np
import pytest
from kspace_files import random_kspace, rss

from jaxrecon.data import fastmri
from jaxrecon.data.scan_files import read_scan
from jaxrecon.data.undersampling import undersample
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec

KSPACE = random_kspace(3, 2, 24, 20)
EQUISPACED = MaskSpec("equispaced", (4,), (0.1,))


def scan_of(folder, kspace=KSPACE, slices=""):
    np.save(folder / "scan.npy", kspace)
    return read_scan(folder / "scan.npy", slices=slices)


def test_drawn_masks_are_those_of_evaluation(tmp_path):
    scan = scan_of(tmp_path)
    found = undersample(scan, drawn=EQUISPACED)
    expected = EQUISPACED.draw(20, "scan.npy", 0)
    for mask in found.masks:
        np.testing.assert_array_equal(mask.pattern, expected.pattern)
        assert mask.acs == 2
    np.testing.assert_array_equal(found.kspace, KSPACE * expected.pattern)
    assert found.is_undersampled
    np.testing.assert_allclose(found.target, rss(KSPACE), rtol=1e-5)
    assert found.data_range == pytest.approx(rss(KSPACE).max(), rel=1e-5)
    assert found.effective_acceleration == expected.effective_acceleration
    assert "R = 4, effective" in found.description
    assert found.settings["mask"] == "equispaced"


def test_the_maximum_is_the_files_where_it_tells(tmp_path):
    fastmri.write_volume(tmp_path / "a.h5", KSPACE, crop_height=12, crop_width=10)
    with_maximum = undersample(read_scan(tmp_path / "a.h5", slices="1"), drawn=EQUISPACED)
    images = rss(KSPACE)[:, 6:18, 5:15]
    assert with_maximum.data_range == pytest.approx(images.max(), rel=1e-5)
    np.testing.assert_allclose(with_maximum.target, images[1:2], rtol=1e-5)
    assert with_maximum.remarks == ()
    of_slices = undersample(scan_of(tmp_path, slices="1"), drawn=EQUISPACED)
    assert of_slices.data_range == pytest.approx(rss(KSPACE)[1].max(), rel=1e-5)
    assert of_slices.remarks == ("metrics take the maximum of the slices read",)


def test_columns_never_acquired_do_not_count(tmp_path):
    fastmri.write_volume(tmp_path / "a.h5", KSPACE, padding=(3, 17))
    found = undersample(read_scan(tmp_path / "a.h5"), drawn=EQUISPACED)
    expected = EQUISPACED.draw(20, "a.h5", 0).within(3, 17)
    np.testing.assert_array_equal(found.masks[0].pattern, expected.pattern)
    whole = undersample(read_scan(tmp_path / "a.h5"))
    assert not whole.is_undersampled
    assert whole.masks[0].effective_acceleration == 1
    assert whole.target is None
    assert whole.description == "all samples"


def test_a_mask_of_single_samples_takes_samples_away(tmp_path):
    pattern = np.random.default_rng(0).random((24, 20)) < 0.4
    pattern[9:15, 7:13] = True
    found = undersample(scan_of(tmp_path), pattern=pattern)
    np.testing.assert_array_equal(found.kspace, KSPACE * pattern)
    assert found.target is not None
    assert found.calibration == (6, 6)
    assert found.masks[0].family == "acquired"


def test_a_scan_as_acquired_has_its_own_mask_and_no_target(tmp_path):
    pattern = np.zeros((1, 20), bool)
    pattern[:, ::3] = pattern[:, 8:13] = True
    found = undersample(scan_of(tmp_path, KSPACE * pattern))
    np.testing.assert_array_equal(found.masks[0].pattern, pattern)
    # Columns 8 to 12; 6 of them would begin at (20 - 6 + 1) // 2 = 7.
    assert found.masks[0].acs == 5
    assert found.calibration == (24, 5)
    assert (found.target, found.data_range) == (None, 0.0)


def test_a_given_mask_is_cut_to_what_was_acquired(tmp_path):
    acquired = np.zeros((1, 20), bool)
    acquired[:, ::2] = True
    wider = acquired.copy()
    wider[:, 9] = True
    scan = scan_of(tmp_path, KSPACE * acquired)
    found = undersample(scan, pattern=wider)
    np.testing.assert_array_equal(found.masks[0].pattern, acquired)
    assert found.remarks == ("24 samples that the mask keeps were not acquired",)
    fewer = acquired.copy()
    fewer[:, 4] = False
    found = undersample(scan, pattern=fewer)
    np.testing.assert_array_equal(found.masks[0].pattern, fewer)
    assert not found.kspace[..., 4].any()
    assert found.remarks == ()


def test_acs_can_be_given(tmp_path):
    pattern = np.zeros((1, 20), bool)
    pattern[:, ::3] = pattern[:, 8:13] = True
    scan = scan_of(tmp_path, KSPACE * pattern)
    found = undersample(scan, acs=4)
    assert (found.masks[0].acs, found.calibration) == (4, (24, 4))
    with pytest.raises(InputError, match="acs: expected 9 sampled central columns, found 6"):
        undersample(scan, acs=9)
    with pytest.raises(InputError, match="acs: expected 0 to 20 columns, found 21"):
        undersample(scan, acs=21)


@pytest.mark.parametrize(
    ("size", "expected"), [((7, 9), (7, 9)), ((24, 20), (24, 20)), ((60, 50), (48, 48))]
)
def test_calibration_of_full_kspace_is_its_centre(tmp_path, size, expected):
    found = undersample(scan_of(tmp_path, random_kspace(1, 2, *size)))
    assert found.calibration == expected


def test_slices_with_different_masks_share_the_smallest_centre(tmp_path):
    masks = np.zeros((2, 1, 1, 20), bool)
    masks[0, ..., 6:14] = masks[1, ..., 8:12] = True
    masks[..., ::5] = True
    found = undersample(scan_of(tmp_path, KSPACE[:2] * masks))
    assert [mask.acs for mask in found.masks] == [8, 4]
    assert found.calibration == (24, 4)


@pytest.mark.parametrize(
    ("undersampled", "options", "message"),
    [
        (True, {"drawn": EQUISPACED}, "expected fully sampled k-space to draw a mask for, found 2"),
        (
            True,
            {"pattern": np.arange(20)[None] % 2 == 1},
            "keeps acquired samples, found none kept",
        ),
        (False, {"drawn": MaskSpec("equispaced", (4,), (0.5,))}, "center_fraction: expected less"),
    ],
)
def test_masks_that_do_not_fit_are_refused(tmp_path, undersampled, options, message):
    mask = np.arange(20) % 2 == 0 if undersampled else np.ones(20, bool)
    scan = scan_of(tmp_path, KSPACE * mask)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        undersample(scan, **options)
    assert "\n" not in str(caught.value)


def test_the_target_is_cut_to_the_image_that_is_kept(tmp_path):
    scan = dataclasses.replace(scan_of(tmp_path), image_shape=(9, 8))
    found = undersample(scan, drawn=EQUISPACED)
    np.testing.assert_allclose(found.target, rss(KSPACE)[:, 7:16, 6:14], rtol=1e-5)
