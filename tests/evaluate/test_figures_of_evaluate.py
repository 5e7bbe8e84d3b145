import argparse

import fastmri
import h5py
import numpy as np
import pytest
import torch
from evaluation import judge, run_program
from fastmri import evaluate as reference_metrics
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import apply_mask, center_crop_to_smallest

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.metrics.results import read_results


def _reference_files(reference, folder, acceleration, fraction):
    """SSIM, PSNR and NMSE of each file as fastMRI's own code finds them."""
    files = {}
    for path in sorted(folder.rglob("*.h5")):
        with h5py.File(path) as file:
            kspace, target = file["kspace"][()], file["reconstruction_rss"][()]
        mask_function = create_mask_for_mask_type("equispaced", [fraction], [acceleration])
        images, zero_filled = [], []
        for slice_kspace in kspace:
            masked, mask, low_frequencies = apply_mask(
                torch.view_as_real(torch.from_numpy(slice_kspace)),
                mask_function,
                seed=tuple(map(ord, path.name)),
            )
            with torch.no_grad():
                image = reference(masked[None], mask[None].bool(), low_frequencies)[0]
            zeros = fastmri.rss(fastmri.complex_abs(fastmri.ifft2c(masked)))
            for collection, found in ((images, image), (zero_filled, zeros)):
                collection.append(center_crop_to_smallest(found, torch.from_numpy(target[0]))[0])
        files[path.name] = {
            method: {
                "ssim": reference_metrics.ssim(target, np.stack(found)),
                "psnr": reference_metrics.psnr(target, np.stack(found)),
                "nmse": reference_metrics.nmse(target, np.stack(found)),
            }
            for method, found in (("w", images), ("zero_filled", zero_filled))
        }
    return files


def test_figures_equal_those_of_the_reference_code(tmp_path, knees, weights, reference):
    output = tmp_path / "results"
    finished = run_program(
        "-m",
        "jaxrecon.evaluate",
        f"--weights={weights}",
        f"--data=knees={knees}",
        "--acceleration=2,4",
        "--center_fraction=0.2,0.1",
        f"--output={output}",
    )
    assert finished.returncode == 0, finished.stderr
    content = read_results(output)
    assert [(row["method"], row["acceleration"]) for row in content["rows"]] == [
        ("zero_filled", 2),
        ("w", 2),
        ("zero_filled", 4),
        ("w", 4),
    ]
    for row in content["rows"]:
        fraction = {2: 0.2, 4: 0.1}[row["acceleration"]]
        expected = _reference_files(reference, knees, int(row["acceleration"]), fraction)
        assert (row["n_files"], row["n_slices"], row["dataset"]) == (3, 5, "knees")
        assert row["center_fraction"] == fraction
        assert row["run"] == (str(weights) if row["method"] == "w" else None)
        assert {file["file"] for file in row["files"]} == expected.keys()
        for file in row["files"]:
            for metric, value in expected[file["file"]][row["method"]].items():
                np.testing.assert_allclose(file[metric], value, rtol=1e-5, err_msg=metric)
        for metric in ("ssim", "psnr", "nmse"):
            values = [file[row["method"]][metric] for file in expected.values()]
            np.testing.assert_allclose(row[metric]["mean"], np.mean(values), rtol=1e-5)
    # Two k-space shapes, two accelerations: a program for each shape and no more.
    assert "2 compiled program(s)" in finished.stdout
    assert len(list((output / "figures").glob("*_w.png"))) == 2
    assert len(content["provenance"]["runs"]["w"]["checkpoint_sha256"]) == 64
    assert not (output / "partial").exists()


def test_fastmris_own_evaluation_of_the_saved_reconstructions_finds_our_figures(
    tmp_path, squares, weights
):
    judge(
        f"--weights={weights}", f"--data=knees={squares}", "--save_reconstructions",
        f"--output={tmp_path}",
    )  # fmt: skip
    for row in read_results(tmp_path)["rows"]:
        folder = tmp_path / "reconstructions" / row["method"] / "knees_equispaced_R=4_cf=0.08"
        arguments = argparse.Namespace(
            target_path=squares, predictions_path=folder, acquisition=None, acceleration=None
        )
        # The means that it prints, where NumPy is older than 2.
        means = reference_metrics.evaluate(arguments, "reconstruction_rss").means()
        for name in ("SSIM", "PSNR", "NMSE"):
            mean = row[name.lower()]["mean"]
            assert mean == pytest.approx(np.asarray(means[name]).item(), rel=1e-5)


def test_batches_and_filled_up_coils_change_no_figure(tmp_path, knees, weights):
    rows = []
    for batch_size, coil_multiple in ((1, 1), (2, 4)):
        output = tmp_path / f"{batch_size}"
        judge(
            f"--weights={weights}",
            f"--data={knees}",
            f"--batch_size={batch_size}",
            f"--coil_multiple={coil_multiple}",
            "--examples=0",
            f"--output={output}",
        )
        rows.append(read_results(output)["rows"])
    for plain, *others in zip(*rows, strict=True):
        for batched in others:
            assert plain["n_slices"] == batched["n_slices"] == 5
            for one, other in zip(plain["files"], batched["files"], strict=True):
                assert one["file"] == other["file"]
                for metric in ("ssim", "psnr", "nmse"):
                    np.testing.assert_allclose(other[metric], one[metric], rtol=1e-5)


def test_five_shapes_compile_at_most_as_many_programs_as_buckets(tmp_path, capsys):
    for number, (width, coils) in enumerate(((32, 2), (32, 3), (40, 3), (32, 4), (48, 2))):
        settings = PhantomSettings("knee", height=32, width=width, oversampling=2, coils=coils)
        numbers = range(number, number + 1)
        write_phantom_dataset(tmp_path, "fastmri", settings, {"train": numbers}, progress=False)
    given = ["--baselines=zero_filled", f"--data={tmp_path}", "--acceleration=4,8"]
    given += ["--center_fraction=0.1,0.04", "--settings=cross"]
    judge(*given, "--coil_multiple=4", f"--output={tmp_path / 'padded'}")
    # Coils are filled up to 4: three sizes are left.
    assert "3 compiled program(s)" in capsys.readouterr().out
    judge(*given, f"--output={tmp_path / 'plain'}")
    assert "5 compiled program(s)" in capsys.readouterr().out
    padded, plain = (read_results(tmp_path / name)["rows"] for name in ("padded", "plain"))
    assert len(plain) == 4
    for one, other in zip(padded, plain, strict=True):
        assert one["n_files"] == other["n_files"] == 5
        assert one["ssim"]["mean"] == pytest.approx(other["ssim"]["mean"], rel=1e-5)
