import re

import numpy as np
import pytest
from kspace_files import random_kspace

from jaxrecon.data.scan import choose_slices
from jaxrecon.data.scan_arrays import parse_axes, read_mask
from jaxrecon.data.scan_files import read_scan
from jaxrecon.errors import InputError

KSPACE = random_kspace(2, 3, 10, 8)


def save(folder, **arrays):
    np.savez(folder / "scan.npz", **arrays)
    return folder / "scan.npz"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (KSPACE[0, 0], KSPACE[:1, :1]),
        (KSPACE[0], KSPACE[:1]),
        (KSPACE, KSPACE),
        (KSPACE.astype(np.complex128), KSPACE),
        (np.stack([KSPACE.real, KSPACE.imag], -1), KSPACE),
    ],
)
def test_axes_are_slices_coils_height_width(tmp_path, array, expected):
    np.save(tmp_path / "scan.npy", array)
    scan = read_scan(tmp_path / "scan.npy")
    assert scan.kspace.dtype == np.complex64
    np.testing.assert_array_equal(scan.kspace, expected)
    assert scan.masks is None
    assert scan.indices == tuple(range(len(expected)))
    assert (scan.coils, scan.shape, scan.image_shape) == (expected.shape[1], (10, 8), (10, 8))


def test_coils_at_the_end_are_seen_where_no_other_axis_can_be_theirs(tmp_path):
    kspace = random_kspace(5, 70, 66)
    np.save(tmp_path / "scan.npy", kspace.transpose(1, 2, 0))
    scan = read_scan(tmp_path / "scan.npy")
    np.testing.assert_array_equal(scan.kspace[0], kspace)
    assert "axes height, width, coils" in scan.remarks


@pytest.mark.parametrize("axes", ["width,height,slices,coils", "w,h,s,c"])
def test_axes_in_any_order(tmp_path, axes):
    np.save(tmp_path / "scan.npy", KSPACE.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.npy", axes=axes).kspace, KSPACE)


def test_slices_of_a_single_coil_by_their_axes(tmp_path):
    np.save(tmp_path / "scan.npy", KSPACE[:, 0])
    scan = read_scan(tmp_path / "scan.npy", axes="slices,height,width", slices="1")
    np.testing.assert_array_equal(scan.kspace, KSPACE[1:, :1])
    assert (scan.indices, scan.slices_in_file) == ((1,), 2)


@pytest.mark.parametrize("text", ["height", "height,height", "h,w,x", "hw", "h,w,c,s,t", "coils,h"])
def test_axes_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="axes: expected"):
        parse_axes(text, 3)


def test_axes_are_as_many_as_the_array_has():
    with pytest.raises(InputError, match="axes: expected 3 axes"):
        parse_axes("h,w", 3)


def test_the_array_called_kspace_is_taken_and_its_mask(tmp_path):
    mask = np.zeros(8)
    mask[[1, 3, 4, 7]] = 1
    path = save(tmp_path, kspace=KSPACE, maps=KSPACE, mask=mask)
    scan = read_scan(path)
    # Samples that the mask does not keep are taken away.
    np.testing.assert_array_equal(scan.kspace, KSPACE * mask)
    assert all(mask.acs == 2 for mask in scan.masks)
    np.testing.assert_array_equal(scan.masks[0].pattern[0], mask.astype(bool))


def test_a_mask_of_single_samples_follows_the_order_of_the_axes(tmp_path):
    mask = np.random.default_rng(0).random((10, 8)) < 0.5
    path = save(tmp_path, kspace=KSPACE.swapaxes(-1, -2), pattern=mask.T)
    scan = read_scan(path, axes="s,c,w,h", mask_key="pattern")
    np.testing.assert_array_equal(scan.masks[0].pattern, mask)
    np.testing.assert_array_equal(scan.kspace, KSPACE * mask)


def test_a_mask_of_ones_is_no_mask(tmp_path):
    assert read_scan(save(tmp_path, kspace=KSPACE, mask=np.ones(8))).masks is None


def test_without_a_mask_the_zero_columns_tell(tmp_path):
    kspace = KSPACE.copy()
    kspace[..., [0, 2, 5]] = 0
    scan = read_scan(save(tmp_path, data=kspace, other=np.ones(3)))
    np.testing.assert_array_equal(np.flatnonzero(~scan.masks[0].pattern[0]), [0, 2, 5])
    assert any("zero in every coil" in remark for remark in scan.remarks)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (
            {"a": KSPACE, "b": KSPACE[0]},
            {},
            "found a (complex64 2x3x10x8), b (complex64 3x10x8): choose one with --key",
        ),
        ({"a": np.ones(4), "b": np.ones(5)}, {}, "expected one array of complex k-space"),
        ({"a": KSPACE}, {"key": "k"}, "expected the array 'k', found a (complex64"),
        ({"a": KSPACE}, {"mask_key": "m"}, "expected the array 'm', found a (complex64"),
        ({"a": np.ones((8, 8))}, {}, "expected complex k-space of 2 to 4 axes, found float64"),
        ({"kspace": KSPACE[0, 0, 0]}, {}, "found complex64 of the shape (8,)"),
        ({"kspace": KSPACE[None]}, {}, "found complex64 of the shape (1, 2, 3, 10, 8)"),
        ({"kspace": KSPACE[:0]}, {}, "found complex64 of the shape (0, 3, 10, 8)"),
        ({"kspace": KSPACE, "mask": np.ones(10)}, {}, "expected a mask of the shape (8,), (1, 8)"),
        ({"kspace": KSPACE, "mask": np.zeros(8)}, {}, "expected a mask that keeps something"),
        ({"kspace": KSPACE, "mask": np.full(8, 2)}, {}, "expected a mask of zeros and ones"),
        ({"kspace": KSPACE, "mask": np.full(8, "a")}, {}, "expected a mask of zeros and ones"),
        ({"kspace": KSPACE * np.nan}, {}, "slice 0, found NaN or infinity"),
        (
            {"kspace": KSPACE * np.array([1, 0]).reshape(2, 1, 1, 1)},
            {},
            "slice 1, found k-space of zeros only",
        ),
        ({"kspace": KSPACE}, {"slices": "1-2"}, "expected slices from 0 to 1, found 2"),
        ({}, {}, "expected arrays of numbers, found none"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(tmp_path, arrays, options, message):
    path = save(tmp_path, **arrays)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_scan(path, **options)
    assert "\n" not in str(caught.value)


def test_truncated_and_foreign_files_are_named(tmp_path):
    whole = save(tmp_path, kspace=KSPACE)
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:500])
    np.save(tmp_path / "whole.npy", KSPACE)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-8])
    (tmp_path / "text.npy").write_text("not an array")
    np.savez(tmp_path / "pickled.npz", a=np.array([None]))
    for name in ("cut.npz", "cut.npy", "text.npy", "pickled.npz"):
        with pytest.raises(
            InputError, match=rf"{name}: expected arrays of numbers, found "
        ) as caught:
            read_scan(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_content_decides_between_one_array_and_several(tmp_path):
    np.save(tmp_path / "scan.npy", KSPACE)
    (tmp_path / "scan.npy").rename(tmp_path / "scan.npz")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.npz").kspace, KSPACE)


def test_masks_come_from_numpy_and_bart(tmp_path):
    mask = np.random.default_rng(0).random((10, 8)) < 0.5
    np.save(tmp_path / "m.npy", mask)
    np.savez(tmp_path / "m.npz", mask=mask.astype(np.float32), other=np.ones(2))
    (tmp_path / "m.hdr").write_text("# Dimensions\n10 8 1\n")
    mask.astype(np.complex64).ravel(order="F").tofile(tmp_path / "m.cfl")
    for name in ("m.npy", "m.npz", "m.cfl", "m"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 10, 8), mask)


def test_a_mask_file_of_several_arrays_or_another_width_is_refused(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.ones(8), b=np.ones(8))
    with pytest.raises(InputError, match="expected one array or one called 'mask'"):
        read_mask(tmp_path / "m.npz", 10, 8)
    np.save(tmp_path / "m.npy", np.ones((8, 10)))
    with pytest.raises(InputError, match=r"m\.npy: expected a mask of the shape \(8,\)"):
        read_mask(tmp_path / "m.npy", 10, 8)
    with pytest.raises(InputError, match=r"no\.npy: expected arrays of numbers, found"):
        read_mask(tmp_path / "no.npy", 10, 8)


def test_a_mask_of_single_samples_is_found(tmp_path):
    mask = np.random.default_rng(0).random((32, 24)) < 0.3
    mask[13:19, 10:15] = True
    np.save(tmp_path / "scan.npy", random_kspace(2, 32, 24) * mask)
    found = read_scan(tmp_path / "scan.npy").masks[0]
    np.testing.assert_array_equal(found.pattern, mask)
    assert found.acs == 5
    assert found.effective_acceleration == mask.size / mask.sum()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", (0, 1, 2, 3, 4)), ("middle", (2,)), ("3,1-2", (1, 2, 3)), (" 0 - 1 , 1", (0, 1))],
)
def test_slices_are_chosen_by_numbers_and_ranges(tmp_path, text, expected):
    assert choose_slices(text, 5, tmp_path) == expected


@pytest.mark.parametrize("text", ["a", "3-1", "-1", "1,,2", "1.5"])
def test_slices_of_another_form_are_refused(tmp_path, text):
    with pytest.raises(InputError, match="slices: expected numbers and ranges"):
        choose_slices(text, 5, tmp_path)
