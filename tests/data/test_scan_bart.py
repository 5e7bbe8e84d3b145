import re

import numpy as np
import pytest
from kspace_files import centred_ifft, random_kspace

from jaxrecon.data.scan_files import read_scan
from jaxrecon.errors import InputError


def write_bart(path, array):
    """As BART's documentation describes its files; `array` in BART's order of axes."""
    sizes = array.shape + (1,) * (16 - array.ndim)
    path.with_name(f"{path.name}.hdr").write_text(
        "# Dimensions\n" + " ".join(map(str, sizes)) + "\n# Command\nphantom -k scan\n"
    )
    array.astype("<c8").ravel(order="F").tofile(path.with_name(f"{path.name}.cfl"))
    return path


def with_axes(array, **places):
    """An array of named axes, in BART's order of 16."""
    order = sorted(places, key=lambda name: places[name])
    moved = array.transpose([list(places).index(name) for name in order])
    shape = [1] * 16
    for name, size in zip(order, moved.shape, strict=True):
        shape[places[name]] = size
    return moved.reshape(shape)


@pytest.mark.parametrize("name", ["scan", "scan.cfl", "scan.hdr"])
def test_a_slice_with_coils_by_any_of_its_names(tmp_path, name):
    kspace = random_kspace(3, 10, 8)
    write_bart(tmp_path / "scan", with_axes(kspace, coils=3, readout=0, phase=1))
    scan = read_scan(tmp_path / name)
    np.testing.assert_array_equal(scan.kspace, kspace[None])
    assert (scan.name, scan.path) == ("scan", tmp_path / "scan.cfl")
    assert scan.masks is None


def test_names_may_hold_points(tmp_path):
    kspace = random_kspace(2, 10, 8)
    write_bart(tmp_path / "scan.1", with_axes(kspace, coils=3, readout=0, phase=1))
    assert read_scan(tmp_path / "scan.1.cfl").kspace.shape == (1, 2, 10, 8)


def test_two_phase_encodes_without_a_readout(tmp_path):
    """The layout of slices that were taken out of a 3-D scan: 1 x 230 x 180 x 8, say."""
    kspace = random_kspace(3, 10, 8) * (np.random.default_rng(0).random((10, 8)) < 0.5)
    write_bart(tmp_path / "scan", with_axes(kspace, coils=3, rows=1, columns=2))
    scan = read_scan(tmp_path / "scan")
    np.testing.assert_array_equal(scan.kspace, kspace[None])
    assert scan.masks[0].pattern.shape == (10, 8)


def test_slices_and_frames(tmp_path):
    kspace = random_kspace(4, 3, 2, 10, 8)  # frames, positions, coils, height, width
    axes = {"time": 10, "slices": 13, "coils": 3, "readout": 0, "phase": 1}
    write_bart(tmp_path / "scan", with_axes(kspace, **axes))
    scan = read_scan(tmp_path / "scan")
    assert (scan.frames, scan.slices_in_file) == (4, 12)
    np.testing.assert_array_equal(scan.kspace, kspace.reshape(12, 2, 10, 8))
    chosen = read_scan(tmp_path / "scan", slices="7")
    np.testing.assert_array_equal(chosen.kspace[0], kspace[2, 1])


def test_a_volume_becomes_slices_along_its_second_phase_encode(tmp_path):
    kspace = random_kspace(2, 6, 8, 5)
    kspace[:, :, ::3] = 0
    write_bart(tmp_path / "scan", kspace.transpose(1, 2, 3, 0))
    scan = read_scan(tmp_path / "scan")
    assert scan.kspace.shape == (5, 2, 6, 8)
    assert scan.masks[0].pattern.shape == (1, 8)
    # The image of the slices is the slices of the volume's image.
    volume = centred_ifft(kspace.transpose(0, 3, 1, 2))
    position = np.arange(5) - 2
    matrix = np.exp(2j * np.pi * np.outer(position, position) / 5) / np.sqrt(5)
    expected = np.einsum("sk,ckyx->scyx", matrix, volume)
    np.testing.assert_allclose(centred_ifft(scan.kspace), expected, rtol=1e-5, atol=1e-6)


def test_a_volume_undersampled_in_both_directions_becomes_slices_along_the_readout(tmp_path):
    pattern = np.random.default_rng(3).random((8, 7)) < 0.5
    kspace = random_kspace(2, 6, 8, 7) * pattern
    write_bart(tmp_path / "scan", kspace.transpose(1, 2, 3, 0))
    scan = read_scan(tmp_path / "scan")
    assert scan.kspace.shape == (6, 2, 8, 7)
    np.testing.assert_array_equal(scan.masks[0].pattern, pattern)
    assert any("slices along the readout" in remark for remark in scan.remarks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "scan.cfl").write_bytes(b"\0" * 100), "expected 1920 bytes, complex64 of"),
        (lambda f: (f / "scan.cfl").unlink(), "scan.cfl: expected BART's data"),
        (lambda f: (f / "scan.hdr").unlink(), "scan.hdr: expected BART's header"),
        (
            lambda f: (f / "scan.hdr").write_text("# Dimensions\n10 x\n"),
            "expected 1 to 16 positive",
        ),
        (lambda f: (f / "scan.hdr").write_text(""), "expected 1 to 16 positive sizes, found ''"),
        (lambda f: (f / "scan.hdr").write_text("10 0 1 3"), "found '10 0 1 3'"),
        (lambda f: (f / "scan.hdr").write_bytes(b"\xff\xfe"), "scan.hdr: expected BART's header"),
    ],
)
def test_damaged_pairs_are_named(tmp_path, change, message):
    write_bart(tmp_path / "scan", with_axes(random_kspace(3, 10, 8), coils=3, readout=0, phase=1))
    change(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_scan(tmp_path / "scan.cfl")
    assert "\n" not in str(caught.value)


def test_axes_of_another_meaning_are_refused(tmp_path):
    kspace = random_kspace(3, 4, 10, 8)
    write_bart(tmp_path / "scan", with_axes(kspace, coils=3, maps=4, readout=0, phase=1))
    with pytest.raises(InputError, match=r"found the axis 4 \(length 4\)"):
        read_scan(tmp_path / "scan")


def test_several_volumes_are_refused(tmp_path):
    kspace = random_kspace(2, 3, 4, 5, 6)
    axes = {"time": 10, "coils": 3, "readout": 0, "phase": 1, "partition": 2}
    write_bart(tmp_path / "scan", with_axes(kspace, **axes))
    with pytest.raises(InputError, match="expected one volume of a 3-D scan, found 2"):
        read_scan(tmp_path / "scan")
