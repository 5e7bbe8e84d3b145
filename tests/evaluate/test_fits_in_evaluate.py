import h5py
import numpy as np
import pytest
from evaluation import judge
from scan_experiments import call_program, write_experiment

from jaxrecon import reconstruct
from jaxrecon.errors import InputError
from jaxrecon.metrics.results import read_results

# How ml_collections loads an experiment's file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

MASK = ("--mask=gaussian", "--acceleration=2", "--acs=12")


def test_a_fit_is_judged_as_it_reconstructs(tmp_path, squares):
    experiment = write_experiment(tmp_path, "inr")
    output = tmp_path / "results"
    judge(
        f"--baselines={experiment}:none",
        f"--data=knees={squares}",
        "--subset_count=1",
        "--protocol=paper_b",
        "--save_reconstructions",
        f"--output={output}",
        *MASK,
    )
    content = read_results(output)
    assert [row["method"] for row in content["rows"]] == ["zero_filled", "inr_none"]
    settings = content["provenance"]["evaluation"]["baselines"]["inr_none"]
    assert settings["config"]["regulariser"] == "none"
    name = next(iter((output / "reconstructions").rglob("inr_none/**/*.h5")))
    with h5py.File(name) as file:
        judged = file["reconstruction"][()]
    call_program(
        reconstruct,
        f"--input={squares / name.name}",
        f"--config={experiment}",
        "--config.regulariser=none",
        f"--output={tmp_path}/alone.npy",
        f"--workdir={tmp_path}/fit",
        *MASK,
    )
    alone = np.load(tmp_path / "alone.npy")
    np.testing.assert_allclose(judged, alone, rtol=0, atol=1e-5 * alone.max())


def test_bad_experiments_end_in_one_line(tmp_path, knees, squares):
    arguments = (f"--data=knees={squares}", f"--output={tmp_path}/results", *MASK)
    with pytest.raises(InputError, match=r"nothing.py: expected an experiment's file"):
        judge(f"--baselines={tmp_path}/nothing.py", *arguments)
    (tmp_path / "broken.py").write_text("def get_config():\n    raise ValueError('no')\n")
    with pytest.raises(InputError, match=r"broken.py: expected .* found ValueError\('no'\)"):
        judge(f"--baselines={tmp_path}/broken.py", *arguments)
    experiment = write_experiment(tmp_path, "inr")
    with pytest.raises(InputError, match="expected images of one size"):
        judge(
            f"--baselines={experiment}",
            f"--data=knees={knees}",
            f"--output={tmp_path}/results",
            *MASK,
        )
