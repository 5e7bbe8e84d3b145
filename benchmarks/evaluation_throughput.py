"""Evaluation of a fastMRI data set beside fastMRI's own code: seconds per slice, files to figures.

    python benchmarks/evaluation_throughput.py \
        --output benchmarks/results/evaluation_throughput.json

Both read the same files in fastMRI's layout, undersample them by the same masks, reconstruct them
with the same weights one slice at a time, save the images in the submission layout and find SSIM,
PSNR and NMSE of every volume. The peer is PyPI fastmri on torch: its data set, transform and
VarNet under `no_grad`, `save_reconstructions`, then its `evaluate`. Ours judges the zero-filled
images besides. Rounds alternate between the two, so that a busy machine slows both alike; the
first round of each warms up and is not counted, and what it compiled is reported by itself.

Files are simulated (knee phantoms) unless `--data` names a folder. Exits with 1 if the figures
disagree.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import fastmri
import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from fastmri.data import SliceDataset, transforms
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.evaluate import evaluate as reference_evaluate
from fastmri.models import VarNet as ReferenceVarNet
from flax import traverse_util

from jaxrecon import command_line
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import protocol
from jaxrecon.models.build import build_model
from jaxrecon.training.datasets import TestSet, load_volumes
from jaxrecon.training.evaluation import Evaluator, JudgedMethod, network_reconstruction
from jaxrecon.training.parallel import make_mesh, replicate
from jaxrecon.training.setting_scores import SettingScores
from jaxrecon.training.settings import settings_of
from weight_conversion.fastmri_varnet import convert_varnet

_DATA = flags.DEFINE_string("data", None, "Folder of fastMRI files, all in one; simulated without.")
_CASES = flags.DEFINE_integer("cases", 2, "Simulated files.")
_SLICES = flags.DEFINE_integer("slices", 4, "Slices of each.")
_SIZE = flags.DEFINE_integer("size", 256, "Rows and columns; k-space has twice the rows.")
_COILS = flags.DEFINE_integer("coils", 8, "Receive coils.")
_CASCADES = flags.DEFINE_integer("cascades", 12, "Cascades of the network.")
_CHANNELS = flags.DEFINE_integer("channels", 18, "Channels of its first level.")
_POOLS = flags.DEFINE_integer("pools", 4, "Levels below the first.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each.")
_THREADS = flags.DEFINE_integer("threads", 2, "Threads that read, here.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes that read, on both sides.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.")

_ACCELERATION, _FRACTION = 4, 0.08
_FIGURES = ("SSIM", "PSNR", "NMSE")


def simulated_files(folder: Path) -> Path:
    settings = PhantomSettings(
        "knee",
        height=_SIZE.value,
        width=_SIZE.value,
        oversampling=2,
        coils=_COILS.value,
        slices=_SLICES.value,
    )
    written = write_phantom_dataset(folder, "fastmri", settings, {"test": range(_CASES.value)})
    return written.files[0].parent


class Reference:
    """fastMRI's inference and evaluation of a folder."""

    def __init__(self, network: ReferenceVarNet, data: Path):
        mask = create_mask_for_mask_type("equispaced", [_FRACTION], [_ACCELERATION])
        transform = transforms.VarNetDataTransform(mask_func=mask)
        slices = SliceDataset(root=data, challenge="multicoil", transform=transform)
        self._loader = torch.utils.data.DataLoader(slices, num_workers=_WORKERS.value)
        self._network, self._data = network.eval(), data

    def __call__(self, folder: Path) -> dict[str, float]:
        volumes: dict[str, list[np.ndarray]] = {}
        with torch.no_grad():
            for sample in self._loader:
                image = self._network(
                    sample.masked_kspace, sample.mask, int(sample.num_low_frequencies[0])
                )
                _, image = transforms.center_crop_to_smallest(sample.target, image)
                volumes.setdefault(sample.fname[0], []).append(image[0].numpy())
        fastmri.save_reconstructions({name: np.stack(v) for name, v in volumes.items()}, folder)
        arguments = argparse.Namespace(
            target_path=self._data, predictions_path=folder, acquisition=None, acceleration=None
        )
        means = reference_evaluate(arguments, "reconstruction_rss").means()
        return {name: np.asarray(means[name]).item() for name in _FIGURES}


class Ours:
    """jaxrecon's evaluation of the same folder with the same weights."""

    def __init__(self, network: ReferenceVarNet, data: Path):
        state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        flat, config = convert_varnet(state)
        params = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(flat, sep="/"))
        mesh = make_mesh(1)
        reconstruct = network_reconstruction(build_model(config))
        self._method = JudgedMethod("net", reconstruct, replicate({"params": params}, mesh))
        self._evaluator = Evaluator(mesh)
        mask = {
            "family": "equispaced",
            "accelerations": (_ACCELERATION,),
            "center_fractions": (_FRACTION,),
            "acs": 0,
            "training_seed": 0,
        }
        volumes = load_volumes(data, "fastmri", with_maxima=True)
        self._protocol = protocol("fastmri")
        (self._setting,) = settings_of(TestSet("knee", "knee", volumes, mask, self._protocol))
        self.slices = sum(volume.slices for volume in volumes)
        self.shape = "x".join(map(str, (volumes[0].coils, volumes[0].height, volumes[0].width)))

    @property
    def compile_seconds(self) -> float:
        return self._evaluator.compile_seconds

    def __call__(self, folder: Path) -> dict[str, float]:
        part = SettingScores(
            folder,
            self._setting,
            [self._method],
            batch_size=1,
            coil_multiple=1,
            examples=0,
            save_reconstructions=True,
        )
        part.complete(
            self._evaluator,
            threads=_THREADS.value,
            workers=_WORKERS.value,
            should_stop=lambda: False,
        )
        files = self._protocol.summarise(part.load()["net"])
        return {
            name: float(np.mean([file.metrics[name.lower()] for file in files]))
            for name in _FIGURES
        }


def main() -> None:
    torch.manual_seed(0)
    network = ReferenceVarNet(
        num_cascades=_CASCADES.value, chans=_CHANNELS.value, pools=_POOLS.value
    )
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(_DATA.value) if _DATA.value else simulated_files(Path(scratch, "data"))
        sides = {"jaxrecon": Ours(network, data), "fastmri": Reference(network, data)}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        figures: dict[str, dict[str, float]] = {}
        for number in range(_ROUNDS.value + 1):
            for name, evaluate in sides.items():
                folder = Path(scratch, f"{name}{number}")
                folder.mkdir()
                start = time.perf_counter()
                figures[name] = evaluate(folder)
                seconds[name].append(time.perf_counter() - start)
    ours = sides["jaxrecon"]
    medians = {name: float(np.median(taken[1:])) / ours.slices for name, taken in seconds.items()}
    for name in _FIGURES:
        found, expected = figures["jaxrecon"][name], figures["fastmri"][name]
        if abs(found - expected) > 1e-4 * abs(expected):
            raise InputError(f"{name}: expected fastMRI's {expected}, found {found}")
    results = {
        "slices": ours.slices,
        "kspace": ours.shape,
        "jaxrecon_seconds_per_slice": medians["jaxrecon"],
        "fastmri_seconds_per_slice": medians["fastmri"],
        "ratio": medians["jaxrecon"] / medians["fastmri"],
        "compile_seconds": ours.compile_seconds,
        "figures": figures,
    }
    print(
        f"{ours.slices} slices of {ours.shape}: "
        f"jaxrecon {medians['jaxrecon']:.2f} s, fastmri {medians['fastmri']:.2f} s per slice, "
        f"ratio {results['ratio']:.2f}; compiled in {ours.compile_seconds:.1f} s"
    )
    if _OUTPUT.value:
        Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(_OUTPUT.value).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
