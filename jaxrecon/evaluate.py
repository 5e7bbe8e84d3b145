r"""Judge trained networks and classical methods on fastMRI or CMRxRecon files.

    python -m jaxrecon.evaluate --run runs/e2e_varnet,clip=runs/cmr_clip --baselines cg_sense,tv \
        --data fastmri_knee=/data/knee/multicoil_val,fastmri_brain=/data/brain/multicoil_val \
        --acceleration 4,8,10 --center_fraction 0.08,0.04 --settings cross --output results/ood

`--run` takes [NAME=]FOLDER[@R]: the best checkpoint of a training run; with @R (or @R+R) it is
judged at these accelerations only, so that runs trained for one each can share a name. `--weights`
takes folders of converted weights likewise. The zero-filled image is always judged.

`--data` takes [NAME=]FOLDER; the names fastmri_knee, fastmri_brain and cmrxrecon bring their
layout, anatomy, masks and protocol along. Flags that say "one for each" take one value for all data
sets, or one for each of them. All lists are divided by commas, or a flag is given several times.

The output folder holds results.json, the scores of every slice and volume as tables, example
images, lists of the judged files and pictures. Kill the program and give the same command again: it
goes on where it stopped and ends with the same numbers.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from jaxrecon import command_line
from jaxrecon.errors import InputError
from jaxrecon.metrics.lpips import LpipsWeights, load_lpips
from jaxrecon.metrics.protocols import PROTOCOLS
from jaxrecon.metrics.protocols import protocol as protocol_named
from jaxrecon.metrics.results import read_results, results_table
from jaxrecon.metrics.score_tables import FORMATS, require_format
from jaxrecon.metrics.scoring import ZERO_FILLED
from jaxrecon.physics.mask_families import FRACTION_FAMILIES
from jaxrecon.physics.sampling import FAMILIES
from jaxrecon.scan_specific.experiment_file import names_experiment
from jaxrecon.training import evaluation_folder
from jaxrecon.training.baselines import (
    BASELINES,
    Baseline,
    parse_baseline,
    require_calibration,
    target_shape,
)
from jaxrecon.training.compilation import use_compilation_cache
from jaxrecon.training.datasets import TestSet
from jaxrecon.training.evaluation import Evaluator
from jaxrecon.training.evaluation_output import write_output
from jaxrecon.training.interruption import Interruption
from jaxrecon.training.judged_runs import JudgedRun, load_run, require_distinct, require_judged
from jaxrecon.training.named_data import (
    NAMED_DATA,
    Customs,
    DataSource,
    describe,
    for_each,
    open_data,
    parse_data,
)
from jaxrecon.training.parallel import make_mesh, replicate
from jaxrecon.training.provenance import provenance, source_commit
from jaxrecon.training.setting_scores import SettingScores
from jaxrecon.training.settings import combine, settings_of
from jaxrecon.training.subset import NAMED_SUBSETS, Subset
from jaxrecon.training.trained_network import network_of_run, network_of_weights

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()


def _list(name: str, help_text: str) -> flags.FlagHolder[list[str]]:
    """A flag that takes several values, separated by commas or given again and again."""
    return flags.DEFINE_multi_string(name, [], help_text, flag_values=_FLAGS)


def _count(name: str, default: int | None, help_text: str, least: int) -> flags.FlagHolder[int]:
    return flags.DEFINE_integer(name, default, help_text, lower_bound=least, flag_values=_FLAGS)


_RUN = _list("run", "Folders of training runs: [NAME=]FOLDER[@R].")
_WEIGHTS = _list("weights", "Folders of converted weights: [NAME=]FOLDER[@R].")
_BASELINES = _list(
    "baselines",
    f"Methods without a training set: {', '.join(BASELINES)} (NAME:WEIGHT sets a regularisation "
    "weight), or files of experiments on one scan.",
)
_DATA = flags.DEFINE_multi_string(
    "data",
    [],
    f"Folder of k-space files with all below it: [NAME=]FOLDER; known: {', '.join(NAMED_DATA)}.",
    flag_values=_FLAGS,
)
_LAYOUT = _list("layout", "Module of jaxrecon.data that reads the files, one for each; fastmri.")
_ANATOMY = _list("anatomy", "What the data show, for results, one for each.")
_CONTRASTS = _list("contrasts", "Keep only files of these contrasts.")
_ACQUISITION = _list("acquisition", "Keep only files whose contrast contains one of these.")
_SUBSET = _list("subset", f"Named part of the data, one for each: {', '.join(NAMED_SUBSETS)}.")
_SUBSET_COUNT = _count("subset_count", None, "Judge so many files of each data set.", 1)
_SUBSET_SLICES = _count("subset_slices", None, "Judge so many slices of each data set.", 1)
_SUBSET_FRACTION = flags.DEFINE_float(
    "subset_fraction", None, "Judge this fraction of the files of each.", flag_values=_FLAGS
)
_FILE_LIST = _list("file_list", "Text files with the names of the files to judge, one for each.")
_MASK = _list("mask", f"Family of the masks, one for each: {', '.join(FAMILIES)}; equispaced.")
_ACCELERATION = _list("acceleration", "Nominal accelerations; 4.")
_CENTER_FRACTION = _list("center_fraction", "Fully sampled fractions of the columns; 0.08.")
_SETTINGS = flags.DEFINE_enum(
    "settings",
    "paired",
    ["paired", "cross"],
    "One fraction for all or each R, or every combination.",
    flag_values=_FLAGS,
)
_ACS = _count("acs", 24, "Fully sampled columns, for families that count them.", 0)
_PROTOCOL = flags.DEFINE_enum(
    "protocol", None, list(PROTOCOLS), "How images are judged; fastmri.", flag_values=_FLAGS
)
_LPIPS = flags.DEFINE_string(
    "lpips_weights", None, "Folder of LPIPS's converted weights, for paper_b.", flag_values=_FLAGS
)
_BATCH_SIZE = _count("batch_size", 1, "Slices at a time.", 1)
_COIL_MULTIPLE = _count("coil_multiple", 1, "Pad with zero coils to a multiple of this.", 1)
_THREADS = _count("threads", 2, "Threads that read.", 0)
_WORKERS = _count("workers", 0, "Processes that read.", 0)
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave out and count bad files and slices.", flag_values=_FLAGS
)
_EXAMPLES = _count("examples", 3, "Slices of each setting whose images are kept.", 0)
_SAVE_RECONSTRUCTIONS = flags.DEFINE_bool(
    "save_reconstructions",
    False,
    "Keep all images, in fastMRI's submission layout.",
    flag_values=_FLAGS,
)
_TABLE_FORMAT = flags.DEFINE_enum(
    "table_format", "csv", FORMATS, "Format of the scores' tables.", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string("output", "results", "Folder to write to.", flag_values=_FLAGS)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Remove what an earlier evaluation left there.", flag_values=_FLAGS
)


def _values(holder: flags.FlagHolder[list[str]]) -> list[str]:
    return [value for text in holder.value for value in text.split(",") if value]


def _numbers(holder: flags.FlagHolder[list[str]], default: float) -> tuple[float, ...]:
    values = _values(holder)
    try:
        return tuple(float(value) for value in values) or (default,)
    except ValueError:
        raise InputError(f"--{holder.name}: expected numbers, found {','.join(values)}") from None


def _sources() -> list[DataSource]:
    """The data sets, with what flags say in the place of their customs."""
    sources = [parse_data(text) for text in _values(_DATA)]
    if not sources:
        raise InputError("--data: expected a folder of k-space files, found none")
    names = [source.name for source in sources]
    if len(set(map(evaluation_folder.slug, names))) < len(names):
        raise InputError(
            f"--data: expected names that differ, found {', '.join(names)}: give NAME=FOLDER"
        )
    layouts = for_each("layout", _values(_LAYOUT), sources, lambda one: one.customs.layout, str)
    anatomies = for_each(
        "anatomy", _values(_ANATOMY), sources, lambda one: one.customs.anatomy, str
    )
    masks = for_each("mask", _values(_MASK), sources, lambda one: one.customs.mask, str)
    protocols = [_PROTOCOL.value or source.customs.protocol for source in sources]
    customs = map(Customs, layouts, anatomies, masks, protocols)
    return [
        dataclasses.replace(source, customs=custom)
        for source, custom in zip(sources, customs, strict=True)
    ]


def _masks(family: str) -> dict[str, Any]:
    """Fields of `config.mask`."""
    accelerations: tuple[int | float, ...] = _numbers(_ACCELERATION, 4.0)
    fractions: tuple[int | float, ...] = ()
    if family in FRACTION_FAMILIES:
        fractions = _numbers(_CENTER_FRACTION, 0.08)
        accelerations, fractions = combine(accelerations, fractions, _SETTINGS.value)
    return {
        "family": family,
        "accelerations": accelerations,
        "center_fractions": fractions,
        "acs": _ACS.value,
        "training_seed": 0,
    }


def _test_sets(lpips: LpipsWeights | None) -> list[TestSet]:
    sources = _sources()
    # All that can be wrong without reading a file comes first.
    masks = [_masks(source.customs.mask) for source in sources]
    protocols = [protocol_named(source.customs.protocol, lpips) for source in sources]
    named = for_each("subset", _values(_SUBSET), sources, lambda _: "", str)
    lists = for_each("file_list", _values(_FILE_LIST), sources, lambda _: None, Path)
    subsets = [
        Subset(
            acquisition=tuple(_values(_ACQUISITION)),
            file_list=file_list,
            count=_SUBSET_COUNT.value,
            fraction=_SUBSET_FRACTION.value,
            slices=_SUBSET_SLICES.value,
            name=name,
        )
        for name, file_list in zip(named, lists, strict=True)
    ]
    return [
        open_data(
            source, mask, protocol, subset, contrasts=_values(_CONTRASTS), skip_bad=_SKIP_BAD.value
        )
        for source, mask, protocol, subset in zip(sources, masks, protocols, subsets, strict=True)
    ]


def _settings(
    runs: Sequence[JudgedRun],
    baselines: Sequence[Baseline],
    test_sets: Sequence[TestSet],
    lpips: LpipsWeights | None,
) -> dict[str, Any]:
    """All that determines the results, as JSON values; the folder keeps evaluations apart by it."""
    return {
        "commit": source_commit(),
        "runs": {run.label: run.provenance["checkpoint_sha256"] for run in runs},
        "baselines": {one.method.name: one.setting for one in baselines},
        "data": {test_set.name: describe(test_set) for test_set in test_sets},
        "lpips_sha256": lpips and lpips.sha256,
        "batch_size": _BATCH_SIZE.value,
        "coil_multiple": _COIL_MULTIPLE.value,
        "examples": _EXAMPLES.value,
        "save_reconstructions": _SAVE_RECONSTRUCTIONS.value,
        "table_format": _TABLE_FORMAT.value,
    }


def main() -> int:
    """Run the program."""
    # ---- What to judge, and on what --------------------------------------------------------------
    if not (_values(_RUN) or _values(_WEIGHTS) or _values(_BASELINES)):
        raise InputError("expected --run, --weights or --baselines to judge, found none of them")
    require_format(_TABLE_FORMAT.value)
    names = dict.fromkeys(_values(_BASELINES))
    for name in names:
        if name != ZERO_FILLED and not names_experiment(name):
            parse_baseline(name)
    lpips = None if _LPIPS.value is None else load_lpips(Path(_LPIPS.value))
    test_sets = _test_sets(lpips)
    use_compilation_cache()
    image_shape = target_shape(test_sets) if any(map(names_experiment, names)) else None
    baselines = [parse_baseline(name, image_shape) for name in names if name != ZERO_FILLED]
    runs = [load_run(text, network_of_run) for text in _values(_RUN)]
    runs += [load_run(text, network_of_weights) for text in _values(_WEIGHTS)]
    require_distinct(runs, [*BASELINES, *(one.method.name for one in baselines)])

    # ---- Settings: every mask is drawn and checked before anything is computed -------------------
    mesh = make_mesh(_BATCH_SIZE.value)
    runs = [run.placed(lambda variables: replicate(variables, mesh)) for run in runs]
    folder = Path(_OUTPUT.value)
    parts = [
        SettingScores(
            folder,
            setting,
            [
                *(one.method for one in baselines),
                *(run.method for run in runs if run.is_judged_at(setting.acceleration)),
            ],
            batch_size=_BATCH_SIZE.value,
            coil_multiple=_COIL_MULTIPLE.value,
            examples=_EXAMPLES.value,
            save_reconstructions=_SAVE_RECONSTRUCTIONS.value,
        )
        for test_set in test_sets
        for setting in settings_of(test_set)
    ]
    require_judged(runs, [part.setting.acceleration for part in parts])
    if baselines:
        for part in parts:
            require_calibration(part.setting, part.masks)
    settings = _settings(runs, baselines, test_sets, lpips)
    for test_set in test_sets:
        judge = test_set.protocol
        print(f"{test_set.name}: protocol {judge.name}: {judge.description}")
        for name, reason in judge.not_computed.items():
            print(f"{test_set.name}: {name} is not computed: {reason}")
    if evaluation_folder.claim(folder, settings, overwrite=_OVERWRITE.value):
        print(results_table(read_results(folder)["rows"]))
        print(f"{folder}: finished before; --overwrite starts anew")
        return command_line.DONE

    # ---- Score -----------------------------------------------------------------------------------
    evaluator = Evaluator(mesh)
    with Interruption() as interruption:
        for part in parts:
            is_complete = part.complete(
                evaluator,
                threads=_THREADS.value,
                workers=_WORKERS.value,
                should_stop=lambda: interruption.requested,
            )
            if not is_complete:
                print(f"stopped in {part.title}: the same command goes on from there")
                return command_line.STOPPED_EARLY

    # ---- Write -----------------------------------------------------------------------------------
    about = {
        **provenance(),
        "evaluation": settings,
        "runs": {run.label: run.provenance for run in runs},
    }
    rows = write_output(folder, parts, about, table_format=_TABLE_FORMAT.value)
    print(results_table(rows))
    print(f"results: {folder}; {evaluator.programs} compiled program(s)")
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
