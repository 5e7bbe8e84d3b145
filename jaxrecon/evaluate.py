"""Judge a trained network on a folder of fastMRI or CMRxRecon files.

    python -m jaxrecon.evaluate --run runs/e2e_varnet --data /data/knee/multicoil_val \
        --layout fastmri --mask equispaced --acceleration 4,8 --center_fraction 0.08,0.04 \
        --protocol fastmri --output results/knee.json

`--run` is the folder of a training run, whose best checkpoint is taken; `--weights` is a folder of
converted weights instead. Prints a table beside the zero-filled image, and writes the results with
what it takes to repeat them, and a picture of a few slices beside them.
"""

from pathlib import Path
from typing import Any

from absl import flags

from jaxrecon import command_line
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import PROTOCOLS
from jaxrecon.metrics.protocols import protocol as protocol_named
from jaxrecon.metrics.results import results_table, write_results
from jaxrecon.physics.sampling import FAMILIES
from jaxrecon.training import datasets
from jaxrecon.training.compilation import use_compilation_cache
from jaxrecon.training.evaluation import Evaluator
from jaxrecon.training.panel import save_png
from jaxrecon.training.parallel import make_mesh, replicate
from jaxrecon.training.provenance import provenance
from jaxrecon.training.trained_network import TrainedNetwork, network_of_run, network_of_weights

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string("run", None, "Folder of a training run.", flag_values=_FLAGS)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Folder of converted weights, instead of --run.", flag_values=_FLAGS
)
_NAME = flags.DEFINE_string(
    "name", None, "Name of the network in results; its own by default.", flag_values=_FLAGS
)
_DATA = flags.DEFINE_string(
    "data", None, "Folder of k-space files, searched with all below it.", flag_values=_FLAGS
)
_LAYOUT = flags.DEFINE_string(
    "layout", "fastmri", "Module of jaxrecon.data that reads the files.", flag_values=_FLAGS
)
_DATA_SET = flags.DEFINE_string(
    "data_set", None, "Name of the data in results; the folder's.", flag_values=_FLAGS
)
_ANATOMY = flags.DEFINE_string(
    "anatomy", "", "What the data show, for results.", flag_values=_FLAGS
)
_CONTRASTS = flags.DEFINE_list(
    "contrasts", [], "Keep only files of these contrasts.", flag_values=_FLAGS
)
_MASK = flags.DEFINE_enum(
    "mask", "equispaced", FAMILIES, "Family of the masks.", flag_values=_FLAGS
)
_ACCELERATION = flags.DEFINE_list(
    "acceleration", ["4"], "Nominal accelerations, one after another.", flag_values=_FLAGS
)
_CENTER_FRACTION = flags.DEFINE_list(
    "center_fraction",
    ["0.08"],
    "Fully sampled fraction of the columns: one, or one for each R.",
    flag_values=_FLAGS,
)
_ACS = flags.DEFINE_integer(
    "acs", 24, "Fully sampled columns, for families that count them.", flag_values=_FLAGS
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol", "fastmri", list(PROTOCOLS), "How images are judged.", flag_values=_FLAGS
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 1, "Slices at a time.", lower_bound=1, flag_values=_FLAGS
)
_COIL_MULTIPLE = flags.DEFINE_integer(
    "coil_multiple",
    1,
    "Pad coils with zero coils to a multiple of this.",
    lower_bound=1,
    flag_values=_FLAGS,
)
_THREADS = flags.DEFINE_integer(
    "threads", 2, "Threads that read.", lower_bound=0, flag_values=_FLAGS
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Processes that read.", lower_bound=0, flag_values=_FLAGS
)
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave out and count bad files and slices.", flag_values=_FLAGS
)
_PANEL = flags.DEFINE_integer(
    "panel_slices", 4, "Slices in the picture; 0: none.", lower_bound=0, flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", "results.json", "Results file to write.", flag_values=_FLAGS
)


def _numbers(name: str, values: list[str]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except ValueError:
        raise InputError(f"--{name}: expected numbers, found {','.join(values)}") from None


def _mask_config() -> dict[str, Any]:
    accelerations = _numbers("acceleration", _ACCELERATION.value)
    fractions = _numbers("center_fraction", _CENTER_FRACTION.value)
    if len(fractions) == 1:
        fractions *= len(accelerations)
    return {
        "family": _MASK.value,
        "accelerations": accelerations,
        "center_fractions": fractions,
        "acs": _ACS.value,
        "training_seed": 0,
    }


def _network() -> TrainedNetwork:
    if (_RUN.value is None) == (_WEIGHTS.value is None):
        raise InputError(
            f"expected one of --run and --weights, found {_RUN.value!r} and {_WEIGHTS.value!r}"
        )
    if _WEIGHTS.value is not None:
        return network_of_weights(Path(_WEIGHTS.value))
    return network_of_run(Path(_RUN.value))


def main() -> int:
    """Run the program."""
    if _DATA.value is None:
        raise InputError("--data: expected a folder of k-space files, found none")
    use_compilation_cache()
    network = _network()
    protocol = protocol_named(_PROTOCOL.value)
    on_bad = "skip" if _SKIP_BAD.value else "error"
    volumes = datasets.load_volumes(
        _DATA.value,
        _LAYOUT.value,
        contrasts=tuple(_CONTRASTS.value),
        with_maxima=protocol.data_range == "volume",
        check="values" if _SKIP_BAD.value else "structure",
        on_bad_file=on_bad,
        on_bad_slice=on_bad,
    )
    data_set = _DATA_SET.value or Path(_DATA.value).name
    test_set = datasets.TestSet(data_set, _ANATOMY.value, volumes, _mask_config(), protocol)

    mesh = make_mesh(_BATCH_SIZE.value)
    variables = replicate(network.variables, mesh)
    evaluator = Evaluator(network.model, _NAME.value or network.name, mesh)
    rows = evaluator.test(
        variables,
        test_set,
        batch_size=_BATCH_SIZE.value,
        coil_multiple=_COIL_MULTIPLE.value,
        threads=_THREADS.value,
        workers=_WORKERS.value,
    )
    output = Path(_OUTPUT.value)
    write_results(output, {**provenance(), **network.source}, rows)
    print(f"protocol {protocol.name}: {protocol.description}")
    print(results_table(rows))
    print(f"results: {output}; {evaluator.programs} compiled program(s)")
    if _PANEL.value:
        picture = output.with_suffix(".png")
        save_png(picture, evaluator.test_panel(variables, test_set, _PANEL.value))
        print(f"picture: {picture}")
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
