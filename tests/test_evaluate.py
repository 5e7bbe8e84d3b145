import json
import re
import subprocess
import sys

import fastmri
import h5py
import numpy as np
import pytest
import torch
from fastmri import evaluate as reference_metrics
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import apply_mask, center_crop_to_smallest
from fastmri.models import VarNet as ReferenceVarNet

from jaxrecon import evaluate
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError


@pytest.fixture(scope="module")
def knees(tmp_path_factory):
    """Three phantom volumes of two shapes in the fastMRI layout."""
    folder = tmp_path_factory.mktemp("knees")
    square = PhantomSettings("knee", height=32, width=32, oversampling=2, coils=3, slices=2)
    wide = PhantomSettings("knee", height=32, width=40, oversampling=2, coils=2, seed=1)
    write_phantom_dataset(folder, "fastmri", square, {"train": range(2)}, progress=False)
    write_phantom_dataset(folder, "fastmri", wide, {"train": range(2, 3)}, progress=False)
    return folder


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return ReferenceVarNet(num_cascades=2, chans=3, pools=2, sens_chans=2, sens_pools=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, reference):
    folder = tmp_path_factory.mktemp("weights")
    torch.save(reference.state_dict(), folder / "model.pt")
    _run("weight_conversion.fastmri_varnet", f"--source={folder}/model.pt", f"--output={folder}/w")
    return folder / "w"


def _run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-m", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


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
    output = tmp_path / "results.json"
    finished = _run(
        "jaxrecon.evaluate",
        f"--weights={weights}",
        f"--data={knees}",
        "--acceleration=2,4",
        "--center_fraction=0.2,0.1",
        "--data_set=knees",
        f"--output={output}",
    )
    assert finished.returncode == 0, finished.stderr
    content = json.loads(output.read_text())
    assert content["schema"] == 1
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
        assert {file["file"] for file in row["files"]} == expected.keys()
        for file in row["files"]:
            for metric, value in expected[file["file"]][row["method"]].items():
                np.testing.assert_allclose(file[metric], value, rtol=1e-4, err_msg=metric)
        for metric in ("ssim", "psnr", "nmse"):
            values = [file[row["method"]][metric] for file in expected.values()]
            np.testing.assert_allclose(row[metric]["mean"], np.mean(values), rtol=1e-4)
    # Two k-space shapes, two accelerations: a program for each shape and no more.
    assert "2 compiled program(s)" in finished.stdout
    assert (tmp_path / "results.png").stat().st_size > 0
    assert len(content["provenance"]["checkpoint_sha256"]) == 64


def test_batches_and_filled_up_coils_change_no_figure(tmp_path, knees, weights):
    rows = []
    for batch_size, coil_multiple in ((1, 1), (3, 4)):
        output = tmp_path / f"{batch_size}.json"
        finished = _run(
            "jaxrecon.evaluate",
            f"--weights={weights}",
            f"--data={knees}",
            f"--batch_size={batch_size}",
            f"--coil_multiple={coil_multiple}",
            "--panel_slices=0",
            f"--output={output}",
        )
        assert finished.returncode == 0, finished.stderr
        rows.append(json.loads(output.read_text())["rows"])
    for plain, batched in zip(*rows, strict=True):
        assert plain["n_slices"] == batched["n_slices"] == 5
        for metric in ("ssim", "psnr", "nmse"):
            np.testing.assert_allclose(batched[metric]["mean"], plain[metric]["mean"], rtol=1e-5)


def test_cmrxrecon_files_under_their_protocol(tmp_path, weights):
    settings = PhantomSettings("cardiac", height=48, width=40, coils=2, frames=5, slices=4)
    write_phantom_dataset(tmp_path, "cmrxrecon", settings, {"test": range(2)}, progress=False)
    output = tmp_path / "results.json"
    finished = _run(
        "jaxrecon.evaluate",
        f"--weights={weights}",
        f"--data={tmp_path}",
        "--layout=cmrxrecon",
        "--mask=cmrxrecon_uniform",
        "--acs=8",
        "--protocol=cmrxrecon2023",
        f"--output={output}",
    )
    assert finished.returncode == 0, finished.stderr
    for row in json.loads(output.read_text())["rows"]:
        # Three frames of two positions from each of two files.
        assert (row["n_files"], row["n_slices"]) == (2, 12)
        assert row["acs"] == 8
        # Columns 0, 4, ..., 36 and the 8 from 16 on.
        assert row["effective_acceleration"] == pytest.approx(40 / 16)
        assert 0 < row["ssim"]["mean"] < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "TMP"}, "spec.json"),
        ({"run": "TMP"}, "expected one of --run and --weights"),
        ({"weights": None, "run": "TMP"}, "config.json"),
        ({"weights": None}, "expected one of --run and --weights"),
        ({"data": None}, "--data: expected a folder"),
        ({"data": "TMP/nowhere"}, "nowhere"),
        ({"data": "TMP"}, "TMP"),
        ({"layout": "cmrxrecon"}, "expected cmrxrecon files in this folder, found none"),
        ({"layout": "dicom"}, "layout: expected one of cmrxrecon, fastmri"),
        ({"acceleration": ["four"]}, "--acceleration: expected numbers, found four"),
        (
            {"acceleration": ["4", "8", "9"], "center_fraction": ["0.1", "0.2"]},
            "center_fractions: expected one for each of the 3 accelerations, found 2",
        ),
        ({"center_fraction": ["0.5"]}, "0.5"),
        ({"contrasts": ["AXT1"]}, "expected files of the contrasts AXT1"),
    ],
)
def test_bad_input_ends_in_one_line(monkeypatch, tmp_path, knees, weights, change, message):
    output = tmp_path / "results.json"
    given = {"weights": str(weights), "data": str(knees), "output": str(output)}
    changed = {
        name: value.replace("TMP", str(tmp_path)) if isinstance(value, str) else value
        for name, value in change.items()
    }
    if not evaluate._FLAGS.is_parsed():
        evaluate._FLAGS(["evaluate"])
    for name, value in {**given, **changed}.items():
        monkeypatch.setattr(evaluate._FLAGS[name], "value", value)
    with pytest.raises(
        InputError, match=re.escape(message.replace("TMP", str(tmp_path)))
    ) as caught:
        evaluate.main()
    assert "\n" not in str(caught.value)
    assert not output.exists()


def test_a_program_prints_the_line_and_exits_with_1(tmp_path):
    finished = _run("jaxrecon.evaluate", f"--data={tmp_path}", f"--weights={tmp_path}")
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {tmp_path}/spec.json: expected")
    assert len(finished.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("flag", ["--protocol=mine", "--daat=x", "data"])
def test_wrong_flags_exit_with_2(flag):
    finished = _run("jaxrecon.evaluate", flag)
    assert finished.returncode == 2, finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
