r"""Train a scan-specific experiment's U-Net on auxiliary images: `python -m jaxrecon.warm_start`.

    python -m jaxrecon.warm_start --config experiments/semantic_unet.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output weights/knee_unet

Reads the fully sampled scans that `jaxrecon.embed` takes too, undersamples them by the masks of
`config.auxiliary.mask`, and trains the U-Net of `config.backbone` from the zero-filled to the fully
sampled images. A reconstruction takes the folder as `--config.backbone.warm_start=...`.
"""

import json
from pathlib import Path

import jax
from absl import flags
from flax import traverse_util
from ml_collections import config_flags
from tqdm import tqdm

from jaxrecon import command_line
from jaxrecon.data.layouts import layout
from jaxrecon.errors import InputError
from jaxrecon.physics.espirit import SMALLEST_CALIBRATION, column_calibration
from jaxrecon.scan_specific.denoiser import scan_unet
from jaxrecon.scan_specific.experiment_file import require_scan_experiment
from jaxrecon.scan_specific.warm_up import Pair, make_pair, train_unet
from jaxrecon.training.auxiliary_data import AuxiliaryData, open_auxiliary
from jaxrecon.training.compilation import use_compilation_cache
from jaxrecon.training.datasets import origin_of
from jaxrecon.training.provenance import provenance
from jaxrecon.weight_store import SPEC_FILE, write_weights

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Experiment: a file with get_config().", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder of weights to write.", required=True, flag_values=_FLAGS
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the weights.", flag_values=_FLAGS)
flags.mark_flag_as_required("config", flag_values=_FLAGS)


def _read_pairs(data: AuxiliaryData) -> list[Pair]:
    """Both images of every slice, on the host."""
    pairs = []
    for (volume, index), mask in tqdm(data.masks.items(), unit="slice", disable=None, leave=False):
        kspace = layout(volume.layout).read_slice(volume, index).kspace
        if volume.coils > 1 and mask.acs < SMALLEST_CALIBRATION:
            raise InputError(
                f"{volume.path}: expected at least {SMALLEST_CALIBRATION} calibration columns for "
                f"sensitivity maps, found {mask.acs}: set auxiliary.mask.acs"
            )
        calibration = column_calibration(mask.acs, volume.height)
        found = jax.device_get(make_pair(kspace, mask.pattern, calibration))
        pairs.append(Pair(*found))
    return pairs


def main() -> None:
    """Run the program."""
    # ---- What to train, and on what --------------------------------------------------------------
    config = command_line.configuration(_CONFIG)
    output = Path(_OUTPUT.value)
    require_scan_experiment(config, "--config")
    fields = config.backbone.to_dict()
    if "warm_up" not in fields:
        raise InputError(
            f"--config: expected a backbone with a U-Net, found {fields['name']!r}, which needs no "
            "warm start"
        )
    if (output / SPEC_FILE).exists() and not _OVERWRITE.value:
        raise InputError(
            f"--output: expected a new folder, found {output}; --overwrite replaces it"
        )
    data = open_auxiliary(config.auxiliary.to_dict())
    print(f"images: {data.description}")
    use_compilation_cache()
    network = scan_unet(fields)
    pairs = _read_pairs(data)

    # ---- Train -----------------------------------------------------------------------------------
    for report in train_unet(network, pairs, fields["warm_up"], config.seed):
        print(
            f"step {report.step}: mean absolute error {report.loss:.5f}, zero-filled "
            f"{report.zero_filled:.5f}, of images whose zero-filled peak is 1",
            flush=True,
        )

    # ---- Write -----------------------------------------------------------------------------------
    weights = traverse_util.flatten_dict(jax.device_get(report.params), sep="/")
    about = {
        "converter": "warm_start 1",
        "backbone": fields,
        "auxiliary": config.auxiliary.to_dict(),
        "seed": config.seed,
        "files": [volume.name for volume in data.volumes],
        "origin": origin_of(data.volumes[0]),
        "effective_acceleration": data.effective_acceleration,
        "mean_absolute_error": report.loss,
        "mean_absolute_error_zero_filled": report.zero_filled,
        **provenance(),
    }
    write_weights(output, weights, json.loads(json.dumps(about, default=list)))
    count = sum(array.size for array in weights.values())
    print(f"wrote {output}: {network.features}, {count:,} parameters")


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
