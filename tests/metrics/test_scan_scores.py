import numpy as np
import pytest
from fastmri import evaluate as reference

from jaxrecon.data.scan_files import read_scan
from jaxrecon.data.undersampling import undersample
from jaxrecon.metrics.results import read_results, write_results
from jaxrecon.metrics.scan_scores import scan_rows, score_scan, scores_table
from jaxrecon.physics.sampling import MaskSpec

MASK = MaskSpec("equispaced", (4,), (0.1,))


def scan_of(folder, *shape):
    generator = np.random.default_rng(0)
    kspace = generator.normal(size=(2, *shape))
    np.save(folder / "scan.npy", (kspace[0] + 1j * kspace[1]).astype(np.complex64))
    return read_scan(folder / "scan.npy")


def test_scores_equal_those_of_the_reference_code(tmp_path):
    scan = scan_of(tmp_path, 3, 2, 24, 20)
    measured = undersample(scan, drawn=MASK)
    target = measured.target
    images = target + np.random.default_rng(1).normal(0, 0.1, target.shape).astype(np.float32)
    scores = score_scan(scan, images, target, measured.data_range)
    for found, truth, image in [
        (scores.scan, target, images),
        *((scores.slices[n], target[n : n + 1], images[n : n + 1]) for n in range(3)),
    ]:
        expected = {
            "ssim": reference.ssim(truth, image, maxval=target.max()),
            "psnr": reference.psnr(truth, image, maxval=target.max()),
            "nmse": reference.nmse(truth, image),
        }
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


def test_rows_are_those_of_a_results_file(tmp_path):
    scan = scan_of(tmp_path, 3, 2, 24, 20)
    measured = undersample(scan, drawn=MASK)
    images = {"zero_filled": measured.target * 0.9, "net": measured.target * 0.99}
    scores = {
        name: score_scan(scan, found, measured.target, measured.data_range)
        for name, found in images.items()
    }
    rows = scan_rows(scan, measured.masks, scores, {"net": "runs/a"}, center_fraction=0.1)
    write_results(tmp_path / "results.json", {}, rows)
    found = read_results(tmp_path / "results.json")["rows"]
    assert [(row["method"], row["run"]) for row in found] == [
        ("zero_filled", None),
        ("net", "runs/a"),
    ]
    for row in found:
        assert (row["n_files"], row["n_slices"], row["acceleration"]) == (1, 3, 4)
        assert row["effective_acceleration"] == measured.effective_acceleration
        assert (row["mask"], row["center_fraction"]) == ("equispaced", 0.1)
        assert row["ssim"]["mean"] == scores[row["method"]].scan["ssim"]
        assert row["dataset"] == tmp_path.name


def test_images_smaller_than_a_window_have_no_scores(tmp_path):
    scan = scan_of(tmp_path, 2, 2, 6, 20)
    measured = undersample(scan, drawn=MASK)
    scores = score_scan(scan, measured.target, measured.target, measured.data_range)
    assert (scores.scan, scores.slices) == ({}, [{}, {}])
    assert scan_rows(scan, measured.masks, {"net": scores}, {}) == []
    assert scores_table({"net": 1.25}, {"net": scores}).splitlines() == [
        "method  seconds",
        "net     1.2",
    ]


def test_the_table_has_a_line_a_method(tmp_path):
    scan = scan_of(tmp_path, 1, 2, 24, 20)
    measured = undersample(scan, drawn=MASK)
    half = score_scan(scan, measured.target * 0.5, measured.target, measured.data_range)
    header, line = scores_table({"net": 0.3}, {"net": half}).splitlines()
    assert header.split() == ["method", "SSIM", "PSNR", "NMSE", "seconds"]
    name, ssim, psnr, nmse, seconds = line.split()
    assert (name, seconds) == ("net", "0.3")
    assert float(nmse) == pytest.approx(0.25, abs=1e-4)
    assert float(ssim) == pytest.approx(half.scan["ssim"], abs=1e-4)
    assert float(psnr) == pytest.approx(half.scan["psnr"], abs=1e-2)
