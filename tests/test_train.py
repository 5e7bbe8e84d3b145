"""Whole runs of `python -m jaxrecon.train`, tiny ones."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

STEPS = 12

EXPERIMENT = """
from ml_collections import ConfigDict

from jaxrecon.config import default_config, test_set_config


def get_config():
    config = default_config()
    config.name = "tiny"
    config.phantoms = ConfigDict({
        "heart": {
            "layout": "cmrxrecon", "anatomy": "cardiac", "cases": 4, "frames": 2,
            "height": 32, "width": 32, "coils": 2,
        },
    })
    config.data.root = "phantom:heart"
    config.mask.acs = 6
    config.model.cascades = 2
    config.model.refinement.channels = 2
    config.model.refinement.pools = 1
    config.model.sensitivity.channels = 2
    config.model.sensitivity.pools = 1
    config.training.steps = 12
    config.training.validate_every = 6
    config.training.checkpoint_every = 2
    config.training.log_every = 3
    config.training.panel_slices = 1
    more = test_set_config()
    more.root, more.layout = "phantom:heart", "cmrxrecon"
    more.mask.accelerations, more.mask.acs = (4, 8), 6
    config.test_sets.everything = more
    return config
"""

# One trained number times the zero-filled image: compiles at once.
NETWORK = """
from flax import linen as nn

from jaxrecon.physics.zero_filled import zero_filled


class Scaled(nn.Module):
    @nn.compact
    def __call__(self, kspace, mask, acs):
        return self.param("scale", nn.initializers.ones, ()) * zero_filled(kspace)


def build(config):
    return Scaled()
"""


class Trainer:
    """Starts runs that share a folder of compiled programs."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.experiment = folder / "experiment.py"
        self.experiment.write_text(EXPERIMENT)
        (folder / "networks_of_ours").mkdir()
        (folder / "networks_of_ours" / "scaled.py").write_text(NETWORK)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "JAXRECON_CACHE": str(folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

    def start(self, workdir: Path, *flags: str) -> subprocess.Popen:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "jaxrecon.train"),
                *(f"--config={self.experiment}", f"--workdir={workdir}", *flags),
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, workdir: Path, *flags: str) -> subprocess.CompletedProcess:
        process = self.start(workdir, *flags)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def finish(self, workdir: Path, *flags: str) -> str:
        finished = self.run(workdir, *flags)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


def wait_until(process: subprocess.Popen, condition) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def metrics(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def results(workdir: Path) -> dict:
    return json.loads((workdir / "results.json").read_text())


def assert_one_line(finished: subprocess.CompletedProcess, code: int, *parts: str) -> None:
    assert finished.returncode == code, finished.stderr
    assert finished.stderr.startswith("error: ")
    assert finished.stderr.count("\n") == 1
    for part in parts:
        assert part in finished.stderr


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return Trainer(tmp_path_factory.mktemp("trainer"))


@pytest.fixture(scope="module")
def uninterrupted(trainer):
    """A run from beginning to end, and what it printed."""
    workdir = trainer.folder / "uninterrupted"
    return workdir, trainer.finish(workdir)


def test_a_run_leaves_its_configuration_metrics_pictures_and_checkpoints(uninterrupted):
    workdir, _ = uninterrupted
    assert json.loads((workdir / "config.json").read_text())["training"]["steps"] == STEPS
    lines = metrics(workdir)
    losses = [line["step"] for line in lines if "train/loss" in line]
    # Every 3 steps, and wherever a checkpoint or a validation asks for them.
    assert losses == [2, 3, 4, 6, 8, 9, 10, 12]
    assert {"train/gradient_norm", "learning_rate"} < lines[0].keys()
    assert [line["step"] for line in lines if "validation/ssim" in line] == [6, 12]
    assert {path.name for path in (workdir / "figures").iterdir()} == {
        "validation_0000006.png",
        "validation_0000012.png",
        "test_test.png",
        "test_everything.png",
    }
    assert (workdir / "checkpoints" / "last" / str(STEPS)).is_dir()
    assert list((workdir / "tensorboard").iterdir())


def test_results_hold_every_row_beside_zero_filled_and_what_repeats_them(uninterrupted):
    workdir, _ = uninterrupted
    content = results(workdir)
    assert content["schema"] == 1
    provenance = content["provenance"]
    assert provenance["config"] == json.loads((workdir / "config.json").read_text())
    assert {"commit", "versions", "devices", "command", "date"} < provenance.keys()
    assert len(provenance["checkpoint_sha256"]) == 64
    assert provenance["checkpoint_step"] in (6, STEPS)
    assert provenance["encoder_sha256"] is None
    rows = content["rows"]
    assert [(row["dataset"], row["acceleration"], row["method"]) for row in rows] == [
        ("test", 4, "zero_filled"),
        ("test", 4, "tiny"),
        ("everything", 4, "zero_filled"),
        ("everything", 4, "tiny"),
        ("everything", 8, "zero_filled"),
        ("everything", 8, "tiny"),
    ]
    for row in rows:
        assert row["mask"] == "cmrxrecon_uniform"
        assert row["acs"] == 6
        assert row["protocol"] == "fastmri"
        assert row["n_slices"] == (2 if row["dataset"] == "test" else 8)
        # Every R-th of 32 columns and the 6 in the centre, some of which are both.
        sampled = len({*range(0, 32, int(row["acceleration"])), *range(13, 19)})
        assert row["effective_acceleration"] == pytest.approx(32 / sampled)
        for metric in ("ssim", "psnr", "nmse"):
            assert row[metric].keys() >= {"mean", "std", "ci95"}
        assert 0 < row["ssim"]["mean"] < 1


def test_a_run_tells_what_it_is_about_to_do_and_prints_the_results(uninterrupted):
    workdir, printed = uninterrupted
    assert f"tiny: starting in {workdir}" in printed
    assert "data: 4 training, 2 validation slices; 4 steps per epoch, 12 in all" in printed
    assert "cascades/refinement" in printed
    assert "memory per device" in printed
    row = results(workdir)["rows"][0]
    assert f"{row['ssim']['mean']:.4f}" in printed
    assert printed.count("zero_filled") == 3


def assert_same_run(workdir: Path, expected: Path) -> None:
    """The same best parameters to the bit, and the same scores."""
    ours, theirs = results(workdir), results(expected)
    for field in ("checkpoint_sha256", "checkpoint_step"):
        assert ours["provenance"][field] == theirs["provenance"][field]
    assert ours["rows"] == theirs["rows"]


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(trainer, uninterrupted, tmp_path):
    expected, _ = uninterrupted
    moments = (
        # After the first checkpoint; and between a validation and the checkpoint after it.
        lambda: (tmp_path / "checkpoints" / "last" / "2").exists(),
        lambda: '"validation/ssim"' in (tmp_path / "metrics.jsonl").read_text(),
    )
    for moment in moments:
        process = trainer.start(tmp_path)
        wait_until(process, moment)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "results.json").exists()
    assert f"tiny: resuming in {tmp_path}" in trainer.finish(tmp_path)
    assert_same_run(tmp_path, expected)
    assert metrics(tmp_path) == metrics(expected)


def test_a_run_asked_to_stop_exits_with_75_and_goes_on(trainer, uninterrupted, tmp_path):
    expected, _ = uninterrupted
    process = trainer.start(tmp_path)
    wait_until(process, lambda: (tmp_path / "checkpoints" / "last" / "2").exists())
    process.terminate()
    output, errors = process.communicate()
    assert process.returncode == 75, errors
    (line,) = (line for line in output.splitlines() if line.startswith("stopped at step "))
    step = int(line.split()[3])
    assert 2 <= step < STEPS
    assert "the same command goes on" in line
    assert (tmp_path / "checkpoints" / "last" / str(step)).is_dir()
    trainer.finish(tmp_path)
    assert_same_run(tmp_path, expected)
    validations = [
        [line for line in metrics(d) if "validation/ssim" in line] for d in (tmp_path, expected)
    ]
    assert validations[0] == validations[1]


def test_another_configuration_is_refused_in_the_same_folder(trainer, uninterrupted):
    workdir, _ = uninterrupted
    before = (workdir / "results.json").read_text()
    refused = trainer.run(workdir, "--config.seed=3")
    assert_one_line(refused, 1, str(workdir), "another seed", "name another --workdir")
    assert (workdir / "results.json").read_text() == before


SCALED = ("--config.model.name=networks_of_ours.scaled", "--config.training.checkpoint_every=0")


def test_early_stopping_ends_the_run_and_tests_the_best_step(trainer, tmp_path):
    """With a learning rate that rounds away no validation is better than the first."""
    flags = (
        *SCALED,
        "--config.optimizer.learning_rate=1e-30",
        "--config.training.validate_every=2",
        "--config.training.patience=2",
    )
    printed = trainer.finish(tmp_path, *flags)
    assert "step 6: no better validation SSIM in 2 validations" in printed
    assert [line["step"] for line in metrics(tmp_path) if "validation/ssim" in line] == [2, 4, 6]
    assert results(tmp_path)["provenance"]["checkpoint_step"] == 2
    # The network is the identity, so its rows are the zero-filled image's.
    zero_filled, network = results(tmp_path)["rows"][:2]
    assert network["ssim"]["mean"] == pytest.approx(zero_filled["ssim"]["mean"], rel=1e-6)
    # Started again it has nothing left to train, and says the same.
    before = metrics(tmp_path)
    assert "step 6: no better validation SSIM" in trainer.finish(tmp_path, *flags)
    assert metrics(tmp_path) == before


def test_training_that_diverges_stops_and_names_the_step(trainer, tmp_path):
    flags = (*SCALED, "--config.optimizer.learning_rate=1e30", "--config.training.log_every=5")
    diverged = trainer.run(tmp_path, *flags)
    assert_one_line(diverged, 1, "error: step 2: expected finite numbers, found", "loss = nan")
    assert not (tmp_path / "results.json").exists()
    assert not list((tmp_path / "checkpoints" / "last").iterdir())


def test_an_unknown_field_on_the_command_line_names_the_closest(trainer, tmp_path):
    refused = trainer.run(tmp_path / "run", "--config.optimizer.learning_rat=1")
    assert_one_line(refused, 1, "learning_rat", '"learning_rate"')
    assert not (tmp_path / "run").exists()


def test_an_unknown_field_in_the_experiment_names_the_closest(trainer, tmp_path):
    path = tmp_path / "mistaken.py"
    path.write_text(
        textwrap.dedent(
            """
            from jaxrecon.config import default_config

            def get_config():
                config = default_config()
                config.training.batch_sice = 2
                return config
            """
        )
    )
    refused = trainer.run(tmp_path / "run", f"--config={path}")
    assert_one_line(refused, 1, "batch_sice", '"batch_size"')
    assert not (tmp_path / "run").exists()


def test_a_missing_experiment_is_named(trainer, tmp_path):
    refused = trainer.run(tmp_path / "run", f"--config={tmp_path / 'none.py'}")
    assert_one_line(refused, 1, str(tmp_path / "none.py"))
