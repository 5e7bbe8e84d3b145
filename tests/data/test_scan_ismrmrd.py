import importlib
import re

import h5py
import ismrmrd
import numpy as np
import pytest
from ismrmrd import xsd
from ismrmrd_files import header, readout, slice_readouts, write
from kspace_files import centred_ifft, random_kspace

from jaxrecon.data import scan_ismrmrd
from jaxrecon.data.scan_files import read_scan
from jaxrecon.errors import InputError

KSPACE = random_kspace(3, 12, 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.h5"


def test_readouts_become_columns(path):
    scan = read_scan(write(path, header((12, 10, 1)), slice_readouts(KSPACE)))
    np.testing.assert_array_equal(scan.kspace, KSPACE[None])
    assert scan.masks is None
    assert (scan.columns, scan.image_shape, scan.frames) == ((0, 10), (12, 10), 1)
    assert scan.remarks == ()


@pytest.mark.parametrize("name", ["scan.mrd", "scan.hdf5"])
def test_other_suffixes_and_groups(tmp_path, name):
    write(tmp_path / name, header((12, 10, 1)), slice_readouts(KSPACE), group="mine")
    assert read_scan(tmp_path / name).kspace.shape == (1, 3, 12, 10)


def test_undersampling_is_what_was_acquired_even_where_samples_are_zero(path):
    kspace = KSPACE.copy()
    kspace[:, :, 4] = 0
    lines = [line for line in slice_readouts(kspace) if line.idx.kspace_encode_step_1 % 2 == 0]
    scan = read_scan(write(path, header((12, 10, 1)), lines))
    np.testing.assert_array_equal(np.flatnonzero(scan.masks[0].pattern), [0, 2, 4, 6, 8])


def test_readout_oversampling_is_kept_in_kspace_and_cut_from_the_image(path):
    encoded = header((12, 10, 1), recon=(6, 8, 1), fov=(480, 300, 5), recon_fov=(240, 240, 5))
    scan = read_scan(write(path, encoded, slice_readouts(KSPACE)))
    assert scan.kspace.shape == (1, 3, 12, 10)
    assert scan.image_shape == (6, 8)
    assert scan.geometry.voxel_mm == (40, 30, 5)


def test_a_finer_image_matrix_does_not_widen_the_image(path):
    """Interpolation by the scanner: the same field of view in more pixels."""
    encoded = header((12, 10, 1), recon=(24, 20, 1), fov=(240, 200, 5), recon_fov=(240, 200, 5))
    assert read_scan(write(path, encoded, slice_readouts(KSPACE))).image_shape == (12, 10)


def test_partial_fourier_lines_lie_where_their_centre_says(path):
    """7 of 10 lines are acquired; line 2 is the centre, so that they fill columns 3 to 9."""
    lines = [readout(KSPACE[:, :, 3 + line], line) for line in range(7)]
    scan = read_scan(write(path, header((12, 10, 1), centers=(2, 0)), lines))
    np.testing.assert_array_equal(scan.kspace[0, :, :, 3:], KSPACE[:, :, 3:])
    assert not scan.kspace[..., :3].any()
    assert scan.columns == (3, 10)


def test_asymmetric_echoes_lie_where_their_centre_sample_says(path):
    lines = [readout(KSPACE[:, 4:, column], column, center=2) for column in range(10)]
    scan = read_scan(write(path, header((12, 10, 1)), lines))
    np.testing.assert_array_equal(scan.kspace[0, :, 4:], KSPACE[:, 4:])
    assert not scan.kspace[:, :, :4].any()
    np.testing.assert_array_equal(
        scan.masks[0].pattern, np.broadcast_to(np.arange(12)[:, None] >= 4, (12, 10))
    )


def test_samples_to_be_discarded_are_left_out(path):
    lines = slice_readouts(KSPACE, discard_pre=2, discard_post=1)
    scan = read_scan(write(path, header((12, 10, 1)), lines))
    np.testing.assert_array_equal(scan.kspace[0, :, 2:11], KSPACE[:, 2:11])
    assert not scan.kspace[:, :, [0, 1, 11]].any()


@pytest.mark.parametrize(
    "flag",
    [
        ismrmrd.ACQ_IS_NOISE_MEASUREMENT,
        ismrmrd.ACQ_IS_NAVIGATION_DATA,
        ismrmrd.ACQ_IS_PHASECORR_DATA,
        ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ],
)
def test_readouts_that_are_no_image_are_left_out(path, flag):
    noise = readout(random_kspace(5, 40), 0, flags=[flag])
    scan = read_scan(write(path, header((12, 10, 1)), [noise, *slice_readouts(KSPACE)]))
    np.testing.assert_array_equal(scan.kspace[0], KSPACE)
    assert scan.remarks == ("1 readouts of noise, navigators or separate calibration left out",)


@pytest.mark.parametrize(
    ("mode", "is_used"),
    [("embedded", True), (None, True), ("separate", False), ("external", False)],
)
def test_calibration_lines_count_where_they_belong_to_the_image(path, mode, is_used):
    calibration, both = (
        ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
        ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,
    )
    lines = [line for line in slice_readouts(KSPACE) if line.idx.kspace_encode_step_1 % 3 == 0]
    lines[1].set_flag(calibration)
    lines[1].set_flag(both)
    lines += [readout(KSPACE[:, :, column], column, flags=[calibration]) for column in (4, 5)]
    parallel = xsd.parallelImagingType(
        accelerationFactor=xsd.accelerationFactorType(
            kspace_encoding_step_1=3, kspace_encoding_step_2=1
        ),
        calibrationMode=mode and xsd.calibrationModeType(mode),
    )
    scan = read_scan(write(path, header((12, 10, 1), parallelImaging=parallel), lines))
    expected = [0, 3, 4, 5, 6, 9] if is_used else [0, 3, 6, 9]
    np.testing.assert_array_equal(np.flatnonzero(scan.masks[0].pattern), expected)


def test_averages_are_averaged(path):
    first, second = random_kspace(2, 3, 12, 10, seed=1)
    lines = slice_readouts(first) + slice_readouts(second, counters={"average": 1})[:5]
    scan = read_scan(write(path, header((12, 10, 1)), lines))
    expected = first.copy()
    expected[:, :, :5] = (first + second)[:, :, :5] / 2
    np.testing.assert_allclose(scan.kspace[0], expected, rtol=1e-6)
    assert "mean of 2 averages" in scan.remarks


def test_slices_and_frames_are_ordered_frame_by_frame(path):
    kspace = random_kspace(2, 2, 3, 3, 12, 10)  # contrasts, repetitions, slices
    lines = []
    for contrast, repetition, position in np.ndindex(2, 2, 3):
        # Slice numbers need not start at 0 nor follow each other.
        counters = {"contrast": contrast, "repetition": repetition, "slice": 1 + 2 * position}
        lines += slice_readouts(kspace[contrast, repetition, position], counters=counters)
    write(path, header((12, 10, 1)), lines[::-1])
    scan = read_scan(path)
    assert (scan.frames, scan.slices_in_file) == (4, 12)
    np.testing.assert_array_equal(scan.kspace, kspace.reshape(12, 3, 12, 10))
    chosen = read_scan(path, slices="2,7")
    assert chosen.indices == (2, 7)
    np.testing.assert_array_equal(chosen.kspace, kspace.reshape(12, 3, 12, 10)[[2, 7]])


def test_volumes_become_slices_along_the_second_phase_encode(path):
    volume = random_kspace(2, 12, 10, 6)
    lines = [
        readout(volume[:, :, column, plane], column, plane) for column, plane in np.ndindex(10, 6)
    ]
    # Of 6 partitions the 4 in the middle are kept.
    encoded = header((12, 10, 6), fov=(12, 10, 6), recon_fov=(12, 10, 4))
    scan = read_scan(write(path, encoded, lines))
    assert scan.kspace.shape == (4, 2, 12, 10)
    whole = _image_of_volume(volume)
    np.testing.assert_allclose(
        centred_ifft(scan.kspace), whole.transpose(3, 0, 1, 2)[1:5], rtol=1e-5, atol=1e-6
    )


def test_volumes_undersampled_in_both_directions_become_slices_along_the_readout(path):
    pattern = np.random.default_rng(0).random((10, 6)) < 0.5
    volume = random_kspace(2, 12, 10, 6) * pattern
    lines = [
        readout(volume[:, :, column, plane], column, plane)
        for column, plane in np.argwhere(pattern)
    ]
    encoded = header((12, 10, 6), fov=(240, 100, 60), recon_fov=(120, 100, 60))
    scan = read_scan(write(path, encoded, lines))
    # Readout oversampling is cut from the slices here.
    assert scan.kspace.shape == (6, 2, 10, 6)
    np.testing.assert_array_equal(scan.masks[0].pattern, pattern)
    np.testing.assert_allclose(
        centred_ifft(scan.kspace),
        _image_of_volume(volume).transpose(1, 0, 2, 3)[3:9],
        rtol=1e-5,
        atol=1e-6,
    )
    assert scan.geometry.voxel_mm == (10, 10, 20)


def _image_of_volume(kspace):
    """(coils, x, y, z) by the definition, axis by axis."""
    image = kspace
    for axis in (1, 2, 3):
        size = kspace.shape[axis]
        position = np.arange(size) - size // 2
        matrix = np.exp(2j * np.pi * np.outer(position, position) / size) / np.sqrt(size)
        image = np.moveaxis(np.moveaxis(image, axis, -1) @ matrix.T, -1, axis)
    return image


# An oblique slice: readout towards the head, phase to the patient's left, normal to the back.
ORIENTATION = {"read_dir": (0, 0, 1), "phase_dir": (1, 0, 0), "slice_dir": (0, 1, 0)}


def test_positions_are_those_of_the_scanner(path):
    lines = []
    for position in range(3):
        lines += slice_readouts(
            KSPACE,
            counters={"slice": position},
            position=(5.0, 10.0 + 8.0 * position, -20.0),
            **ORIENTATION,
        )
    encoded = header((12, 10, 1), fov=(24, 30, 5))
    geometry = read_scan(write(path, encoded, lines)).geometry
    # Slices lie 8 mm apart although they are 5 mm thick.
    assert geometry.voxel_mm == (2, 3, 8)
    # The centre pixel of slice 1; left and posterior are negative there.
    np.testing.assert_allclose(geometry.affine @ [0, 0, 1, 1], [-5, -18, -20, 1])
    # One row on is 2 mm to the head; one column on 3 mm to the left.
    np.testing.assert_allclose(geometry.affine @ [1, 0, 0, 1], [-5, -10, -18, 1])
    np.testing.assert_allclose(geometry.affine @ [0, 1, 0, 1], [-8, -10, -20, 1])


def test_a_volume_lies_around_the_position_of_its_slab(path):
    volume = random_kspace(2, 12, 10, 6)
    place = {"position": (1.0, 2.0, 3.0), **ORIENTATION}
    lines = [
        readout(volume[:, :, column, plane], column, plane, **place)
        for column, plane in np.ndindex(10, 6)
    ]
    encoded = header((12, 10, 6), fov=(24, 30, 30), recon_fov=(24, 30, 20))
    geometry = read_scan(write(path, encoded, lines)).geometry
    assert geometry.voxel_mm == (2, 3, 5)
    # Partition 6 // 2 = 3 is the slab's centre; slice 0 is partition 1.
    np.testing.assert_allclose(geometry.affine @ [0, 0, 2, 1], [-1, -2, 3, 1])
    np.testing.assert_allclose(geometry.affine @ [0, 0, 0, 1], [-1, 8, 3, 1])


def test_uneven_or_missing_positions_leave_the_place_open(path):
    lines = []
    for position, place in enumerate((0.0, 8.0, 20.0)):
        lines += slice_readouts(
            KSPACE, counters={"slice": position}, position=(0, place, 0), **ORIENTATION
        )
    geometry = read_scan(write(path, header((12, 10, 1)), lines)).geometry
    assert geometry.affine is None
    geometry = read_scan(write(path, header((12, 10, 1)), slice_readouts(KSPACE))).geometry
    assert geometry.affine is None


def test_elements_that_the_schema_does_not_know_are_passed_over(path):
    xml = xsd.ToXML(header((12, 10, 1))).replace(
        "</ismrmrdHeader>", "<vendorExtra>1</vendorExtra></ismrmrdHeader>"
    )
    write(path, xml.encode(), slice_readouts(KSPACE))
    assert read_scan(path).kspace.shape == (1, 3, 12, 10)


@pytest.mark.parametrize(
    ("matrix", "lines", "changes", "message"),
    [
        ((12, 10, 1), slice_readouts(KSPACE), {"trajectory": xsd.trajectoryType.RADIAL}, "radial"),
        ((12, 10, 1), slice_readouts(KSPACE), {"trajectory": xsd.trajectoryType.EPI}, "epi"),
        ((12, 8, 1), slice_readouts(KSPACE), {}, "inside the encoded matrix 12 x 8 x 1, found one"),
        ((8, 10, 1), slice_readouts(KSPACE), {}, "samples -2 to 9"),
        (
            (12, 10, 1),
            slice_readouts(KSPACE, flags=[ismrmrd.ACQ_IS_REVERSE]),
            {},
            "expected readouts of one direction",
        ),
        (
            (12, 10, 1),
            slice_readouts(KSPACE, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT]),
            {},
            "expected readouts of an image, found none of 10",
        ),
        (
            (12, 10, 1),
            [*slice_readouts(KSPACE), readout(KSPACE[:2, :, 0])],
            {},
            "expected one number of coils, found 2, 3",
        ),
        (
            (12, 10, 4),
            slice_readouts(KSPACE) + slice_readouts(KSPACE, counters={"repetition": 1}),
            {},
            "expected one volume of a 3-D scan, found 2 frames of 1 slabs",
        ),
        ((12, 10, 1), slice_readouts(KSPACE * 0), {}, "slice 0, found k-space of zeros only"),
    ],
)
def test_scans_of_another_kind_are_refused_in_one_line(path, matrix, lines, changes, message):
    write(path, header(matrix, **changes), lines)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_frame_without_a_slice_is_named(path):
    lines = slice_readouts(KSPACE, counters={"slice": 0})
    lines += slice_readouts(KSPACE, counters={"slice": 1})
    lines += slice_readouts(KSPACE, counters={"slice": 0, "repetition": 1})
    write(path, header((12, 10, 1)), lines)
    with pytest.raises(InputError, match="expected readouts of slice 3, found none"):
        read_scan(path)
    assert read_scan(path, slices="0-2").kspace.shape == (3, 3, 12, 10)


@pytest.mark.parametrize("xml", [b"not xml", b"<a/>", b""])
def test_a_header_that_is_none_is_named(path, xml):
    write(path, xml, slice_readouts(KSPACE))
    with pytest.raises(InputError, match=r"scan\.h5: expected an ISMRMRD header, found") as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)


def test_images_instead_of_raw_data_are_refused(path):
    write(path, header((12, 10, 1)), slice_readouts(KSPACE))
    with h5py.File(path, "r+") as file:
        for name in ("header", "attributes"):
            file[f"dataset/{name}"] = np.zeros(1)
    with pytest.raises(InputError, match="expected raw data in 'dataset', found images"):
        read_scan(path)


def test_a_readout_shorter_than_its_header_says_is_refused(path):
    write(path, header((12, 10, 1)), slice_readouts(KSPACE))
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][()]
        rows[3]["data"] = rows[3]["data"][:-6]
        file["dataset/data"][...] = rows
    with pytest.raises(InputError, match="expected whole readouts, found"):
        read_scan(path)


def test_a_truncated_file_is_named(path):
    write(path, header((12, 10, 1)), slice_readouts(KSPACE))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"scan\.h5: expected a complete HDF5 file"):
        read_scan(path)


def test_the_missing_package_is_named_with_its_extra(path, monkeypatch):
    write(path, header((12, 10, 1)), slice_readouts(KSPACE))

    def without(wanted):
        if wanted == "ismrmrd":
            raise ImportError(wanted)
        return importlib.__import__(wanted)

    monkeypatch.setattr(scan_ismrmrd.importlib, "import_module", without)
    with pytest.raises(InputError, match=r"package ismrmrd.*jaxrecon\[medical\]"):
        read_scan(path)
