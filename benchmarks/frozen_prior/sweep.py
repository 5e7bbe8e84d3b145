"""What a frozen pretrained encoder brings, on real cardiac images: about two hours on 2 CPU cores.

    python -m benchmarks.frozen_prior.sweep --workdir runs/frozen_prior

Simulates the data (see "Real data" in the README: `JAXRECON_REAL_DATA` must be set), converts the
encoder, trains every arm of `experiment.py` at every acceleration and seed with `jaxrecon.train`,
and writes tables and a figure of what they reach. Kill it and give the same command again: it goes
on where it stopped. With `--summary` it trains nothing and reads what is there.
"""

import json
import os
from pathlib import Path

from absl import flags

from benchmarks.frozen_prior.experiment import ARMS
from benchmarks.frozen_prior.summary import write_summary
from benchmarks.programs import call
from jaxrecon import command_line
from jaxrecon.errors import InputError

_FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/frozen_prior", "Folder of data, weights and runs.", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/frozen_prior", "Folder of the tables and the figure.", flag_values=_FLAGS
)
_STEPS = flags.DEFINE_integer(
    "steps", 0, "Training steps of a run; the experiment's by default.", flag_values=_FLAGS
)
_SUMMARY = flags.DEFINE_bool("summary", False, "Only read what is there.", flag_values=_FLAGS)

HERE = Path(__file__).resolve().parent

# Acceleration and seed.
SETTINGS = ((8, 0), (4, 0), (10, 0), (8, 1))

_PHANTOMS = "--matrix=128x128 --cases=8 --layout=fastmri --oversampling=1"


def simulations(images: Path) -> dict[str, str]:
    """Arguments of `jaxrecon.simulate` by folder."""
    return {
        "cardiac": f"--images={images}/cardiac_sax.npz --matrix=128x128 --slices=1 --seed=1 "
        "--parts=train=0-79,validation=80-89,test=90-99",
        "knee": f"--images={images}/knee_single_coil_kspace.npz --key=kspace --layout=fastmri "
        "--transpose --matrix=256x132",
        "head": f"--images={images}/head_single_coil_kspace.npz --key=kspace --layout=fastmri",
        "cardiac_phantom": f"--anatomy=cardiac {_PHANTOMS}",
        "knee_phantom": f"--anatomy=knee {_PHANTOMS}",
        "brain_phantom": f"--anatomy=brain {_PHANTOMS}",
    }


def prepare(workdir: Path, real_data: Path) -> None:
    """Simulate the data and convert the encoder, each where it is missing."""
    for name, arguments in simulations(real_data / "data").items():
        done = workdir / "data" / f"{name}.done"
        if not done.exists():
            call(workdir, "jaxrecon.simulate", f"--output=data/{name}", *arguments.split())
            done.touch()
    call(
        workdir,
        "weight_conversion.dinov2",
        f"--source={real_data / 'weights' / 'dinov2-small-derived'}",
        "--output=weights/dinov2_small_derived",
    )


def main() -> int:
    """Run the program."""
    workdir = Path(_WORKDIR.value).resolve()
    settings = [
        (f"R{acceleration}_seed{seed}_{arm}", arm, acceleration, seed)
        for acceleration, seed in SETTINGS
        for arm in ARMS
    ]
    if not _SUMMARY.value:
        if "JAXRECON_REAL_DATA" not in os.environ:
            raise InputError("JAXRECON_REAL_DATA: expected a folder of real data, found none")
        (workdir / "data").mkdir(parents=True, exist_ok=True)
        prepare(workdir, Path(os.environ["JAXRECON_REAL_DATA"]).resolve())
    for name, arm, acceleration, seed in settings:
        if _SUMMARY.value or (workdir / name / "results.json").exists():
            continue
        overrides = [
            f"--config.seed={seed}",
            f"--config.mask.training_seed={seed}",
            f"--config.mask.accelerations={acceleration},",
        ]
        if arm == "random_encoder":
            overrides.append(f"--config.model.refinement.encoder.seed={seed}")
        if _STEPS.value:
            overrides.append(f"--config.training.steps={_STEPS.value}")
        config = f"--config={HERE / 'experiment.py'}:{arm}"
        call(workdir, "jaxrecon.train", config, f"--workdir={name}", *overrides)
    finished = {
        name: json.loads((workdir / name / "results.json").read_text())
        for name, *_ in settings
        if (workdir / name / "results.json").exists()
    }
    write_summary(Path(_OUTPUT.value), finished)
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
