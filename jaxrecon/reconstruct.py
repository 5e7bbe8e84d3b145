r"""Reconstruct one scan: `python -m jaxrecon.reconstruct`.

    python -m jaxrecon.reconstruct --input scan.h5 --run runs/varnet --output recon.nii.gz,recon.png

The scan is a fastMRI `.h5`, a CMRxRecon `.mat`, an ISMRMRD `.h5`, k-space in `.npy` or `.npz`, or
BART's `.cfl` with its `.hdr`. `--output` names one file or several: `.h5` (fastMRI's submission
layout), `.nii`, `.nii.gz`, `.npy`, and `.png`, a contact sheet. The method is a trained network
(`--run`, `--weights`), or `--method` zero_filled, cg_sense, tv or wavelet, which need no training.

K-space is taken as it was acquired: its mask comes from the file, from `--mask_file`, or from the
samples that are zero. Fully sampled k-space can be undersampled, by `--mask_file` or a family:

    python -m jaxrecon.reconstruct --input full.h5 --mask equispaced --acceleration 4 \
        --center_fraction 0.08 --method cg_sense --output recon.h5

Then the figures against the full image are printed too. A gallery shows methods side by side. It
leaves each slice's images (`.npz`) and their figures (`.json`) beside it, for `jaxrecon.report`:

    python -m jaxrecon.reconstruct --input full.h5 --mask equispaced --acceleration 4 \
        --gallery zero_filled,cg_sense,tv,runs/a,runs/b --output gallery.png

With `--config` a network is fitted to the scan by itself, guided by a semantic prior that
`jaxrecon.embed` made, or by total variation. It is kept in `--workdir` step by step, goes on there
after a kill, and leaves its path, `trajectory.h5`, for `jaxrecon.report`:

    python -m jaxrecon.reconstruct --input scan.h5 --config experiments/semantic_inr.py \
        --config.prior.embeddings=priors/knee.h5 --workdir runs/scan --output scan.png
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from jaxrecon import command_line
from jaxrecon.data.image_files import WRITERS, check_output, suffix_of
from jaxrecon.data.scan import Scan
from jaxrecon.data.scan_arrays import read_mask
from jaxrecon.data.scan_files import read_scan
from jaxrecon.data.undersampling import UndersampledScan, undersample
from jaxrecon.errors import InputError
from jaxrecon.metrics.results import RESULTS_FILE, Row, write_results
from jaxrecon.metrics.scan_scores import ScanScores, scan_rows, score_scan, scores_table
from jaxrecon.physics.mask_families import ACS_FAMILIES, FAMILIES
from jaxrecon.physics.sampling import MaskSpec
from jaxrecon.reporting.reconstruction_files import PICTURE, write_gallery, write_images
from jaxrecon.scan_specific.experiment_file import open_fit, require_scan_experiment
from jaxrecon.training.compilation import use_compilation_cache
from jaxrecon.training.interruption import Interruption
from jaxrecon.training.reconstruction import (
    METHODS,
    Method,
    Options,
    example_of,
    method_named,
    network_method,
    reconstruct_scan,
)
from jaxrecon.training.scan_description import describe, scan_provenance
from jaxrecon.training.scan_specific_method import ScanSpecific, StoppedEarlyError
from jaxrecon.training.trained_network import network_of_run, network_of_weights

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_INPUT = flags.DEFINE_string("input", None, "The scan.", required=True, flag_values=_FLAGS)
_OUTPUT = flags.DEFINE_list(
    "output",
    None,
    "Files to write; the suffix tells the format.",
    required=True,
    flag_values=_FLAGS,
)
_RUN = flags.DEFINE_string("run", None, "Folder of a training run.", flag_values=_FLAGS)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Folder of converted weights, instead of --run.", flag_values=_FLAGS
)
_METHOD = flags.DEFINE_enum(
    "method", None, list(METHODS), "A method without training, instead.", flag_values=_FLAGS
)
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "An experiment on one scan, instead: a file with get_config().",
    flag_values=_FLAGS,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the fit of --config; beside --output.", flag_values=_FLAGS
)
_GALLERY = flags.DEFINE_list(
    "gallery",
    [],
    "Methods (NAME, or NAME:REGULARISATION) and folders of runs or weights, side by side, instead.",
    flag_values=_FLAGS,
)
_REGULARISATION = flags.DEFINE_float(
    "regularisation",
    None,
    "Of cg_sense, tv and wavelet, relative to the image; each has its own default.",
    0.0,
    flag_values=_FLAGS,
)
_ITERATIONS = flags.DEFINE_integer(
    "iterations", None, "Of cg_sense, tv and wavelet.", 1, flag_values=_FLAGS
)
_SLICES = flags.DEFINE_string(
    "slices",
    None,
    "Slices, such as 10-14,20 or middle; all by default, for --gallery the middle one.",
    flag_values=_FLAGS,
)
_AXES = flags.DEFINE_string(
    "axes",
    "",
    "Order of the axes of .npy and .npz, such as height,width,coils.",
    flag_values=_FLAGS,
)
_KEY = flags.DEFINE_string("key", "", "Array of k-space in an .npz file.", flag_values=_FLAGS)
_MASK_KEY = flags.DEFINE_string(
    "mask_key", "", "Array of the mask in an .npz file.", flag_values=_FLAGS
)
_MASK_FILE = flags.DEFINE_string(
    "mask_file",
    None,
    "A mask (.npy, .npz, .cfl) of the shape (width,) or (height, width): the one the scan was "
    "acquired with, or one to undersample it with.",
    flag_values=_FLAGS,
)
_MASK = flags.DEFINE_enum(
    "mask", None, FAMILIES, "Family of masks to undersample with.", flag_values=_FLAGS
)
_ACCELERATION = flags.DEFINE_float(
    "acceleration", 4.0, "Nominal acceleration of --mask.", flag_values=_FLAGS
)
_CENTER_FRACTION = flags.DEFINE_float(
    "center_fraction", 0.08, "Fully sampled fraction of --mask's columns.", flag_values=_FLAGS
)
_ACS = flags.DEFINE_integer(
    "acs",
    None,
    "Fully sampled central columns: of families that count them (24 by default), or of a mask "
    "that does not show them.",
    0,
    flag_values=_FLAGS,
)
_CROP = flags.DEFINE_string(
    "crop", "", "Rows x columns of the image's centre to keep, 320x320.", flag_values=_FLAGS
)
_COMPLEX = flags.DEFINE_bool(
    "complex", False, "Write complex images, of methods that have them.", flag_values=_FLAGS
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 1, "Slices at a time.", lower_bound=1, flag_values=_FLAGS
)


def _outputs(scan_path: Path) -> list[Path]:
    """The files to write, checked as far as that can be done before there is anything to write."""
    paths = [Path(name) for name in _OUTPUT.value if name]
    suffixes = (PICTURE,) if _GALLERY.value else (*WRITERS, PICTURE)
    if not paths:
        raise InputError(f"--output: expected a file ending in {', '.join(suffixes)}, found none")
    for path in paths:
        if suffix_of(path) not in suffixes:
            raise InputError(
                f"--output: expected a file ending in {', '.join(suffixes)}, found {path}"
            )
        if path.absolute() == scan_path.absolute():
            raise InputError(f"--output: expected another file than the scan, found {path}")
        check_output(path)
    if _GALLERY.value and len(paths) > 1:
        raise InputError(f"--output: expected one picture of a gallery, found {len(paths)}")
    return paths


def _methods(fitted: ScanSpecific | None) -> list[Method]:
    """The methods that the flags name; of a gallery, each under a name of its own; no fits."""
    given = [
        f"--{flag.name}"
        for flag in (_RUN, _WEIGHTS, _METHOD, _CONFIG, _GALLERY)
        if flag.value not in (None, [])
    ]
    if len(given) != 1:
        raise InputError(
            "expected one of --run, --weights, --method, --config and --gallery, found "
            f"{' and '.join(given) or 'none'}"
        )
    if fitted is not None:
        return []
    options = Options(_REGULARISATION.value, _ITERATIONS.value)
    if _RUN.value is not None:
        return [network_method(network_of_run(Path(_RUN.value)), Path(_RUN.value))]
    if _WEIGHTS.value is not None:
        folder = Path(_WEIGHTS.value)
        return [network_method(network_of_weights(folder), folder)]
    if _METHOD.value is not None:
        return [method_named(_METHOD.value, options)]
    methods = [method_named(text, options) for text in _GALLERY.value]
    names = [method.name for method in methods]
    methods = [
        dataclasses.replace(method, name=f"{method.name} ({Path(text).name})")
        if names.count(method.name) > 1
        else method
        for method, text in zip(methods, _GALLERY.value, strict=True)
    ]
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"--gallery: expected each method once, found {twice} twice")
    return methods


def _undersampled(scan: Scan) -> UndersampledScan:
    if _MASK.value is not None and _MASK_FILE.value is not None:
        raise InputError("expected one of --mask and --mask_file, found both")
    if _MASK_FILE.value is not None:
        pattern = read_mask(Path(_MASK_FILE.value), *scan.shape)
        return undersample(scan, pattern=pattern, acs=_ACS.value)
    if _MASK.value is None:
        for flag in (_ACCELERATION, _CENTER_FRACTION):
            if _FLAGS[flag.name].present:
                raise InputError(f"--{flag.name}: expected only with --mask, found no --mask")
        return undersample(scan, acs=_ACS.value)
    counts_columns = _MASK.value in ACS_FAMILIES
    if _ACS.value is not None and not counts_columns:
        raise InputError(f"--acs: {_MASK.value} masks take --center_fraction instead")
    if counts_columns and _FLAGS[_CENTER_FRACTION.name].present:
        raise InputError(f"--center_fraction: {_MASK.value} masks take --acs instead")
    fractions = () if counts_columns else (_CENTER_FRACTION.value,)
    spec = MaskSpec(_MASK.value, (_ACCELERATION.value,), fractions, _ACS.value or 0)
    return undersample(scan, drawn=spec)


def _cropped(scan: Scan) -> Scan:
    if not _CROP.value:
        return scan
    match = re.fullmatch(r"(\d+)x(\d+)", _CROP.value)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 1 or size[0] > scan.shape[0] or size[1] > scan.shape[1]:
        raise InputError(
            f"--crop: expected rows x columns up to {scan.shape[0]}x{scan.shape[1]}, "
            f"found {_CROP.value!r}"
        )
    return dataclasses.replace(scan, image_shape=size)


def _rows(
    scan: Scan,
    measured: UndersampledScan,
    methods: Sequence[Method],
    scores: Mapping[str, ScanScores],
    data: str,
) -> list[Row]:
    """Rows of results; none without a target."""
    fraction = None
    if _MASK.value is not None and _MASK.value not in ACS_FAMILIES:
        fraction = _CENTER_FRACTION.value
    runs = {method.name: method.run for method in methods}
    return scan_rows(scan, measured.masks, dict(scores), runs, center_fraction=fraction, data=data)


def _scan_specific(interruption: Interruption, outputs: Sequence[Path]) -> ScanSpecific | None:
    """The fit that --config names."""
    if _CONFIG.value is None:
        if _WORKDIR.value is not None:
            raise InputError("--workdir: expected only with --config, found no --config")
        return None
    config = command_line.configuration(_CONFIG)
    require_scan_experiment(config, "--config")
    folder = Path(_WORKDIR.value or outputs[0].with_name(f"{outputs[0].name.split('.')[0]}_fit"))
    with_tuples = config.to_dict()
    bar = tqdm(unit="step", disable=None, leave=False)

    def progress(steps: int, losses: Mapping[str, float]) -> None:
        bar.update(steps - bar.n)
        bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()})

    fit = open_fit(with_tuples)
    if fit.prior is not None and fit.prior.memory:
        print(f"memory: {fit.prior.memory}")
    return ScanSpecific(fit, folder, lambda: interruption.requested, progress)


def main() -> int:
    """Run the program."""
    with Interruption() as interruption:
        try:
            return _run(interruption)
        except StoppedEarlyError:
            print("stopped: the same command goes on from there")
            return command_line.STOPPED_EARLY


def _run(interruption: Interruption) -> int:
    # ---- What to reconstruct, and how ------------------------------------------------------------
    scan_path = Path(_INPUT.value)
    outputs = _outputs(scan_path)
    use_compilation_cache()
    fitted = _scan_specific(interruption, outputs)
    methods = _methods(fitted)
    real = [method.name for method in methods if not method.gives_complex]
    if _COMPLEX.value and (real or _GALLERY.value):
        found = "--gallery" if _GALLERY.value else real[0]
        raise InputError(f"--complex: expected a method with complex images, found {found}")
    default_slices = "middle" if _GALLERY.value else ""
    scan = _cropped(
        read_scan(
            scan_path,
            slices=default_slices if _SLICES.value is None else _SLICES.value,
            axes=_AXES.value,
            key=_KEY.value,
            mask_key=_MASK_KEY.value,
        )
    )
    measured = _undersampled(scan)
    print(describe(scan, measured))
    if fitted is not None:
        fitted = fitted.for_images(scan.image_shape)
        methods = [fitted.method()]
    if any(method.run for method in methods) and measured.masks[0].pattern.shape[0] > 1:
        print("networks are trained with masks of whole columns, this one is of single samples")
    about = scan_provenance(scan, measured, methods)
    if fitted is not None:
        identity = {name: about[name] for name in ("scan_sha256", "slices", "crop", "sampling")}
        if fitted.claim({**identity, "batch_size": _BATCH_SIZE.value}):
            print(f"{fitted.folder}: goes on where it stopped")
        print(f"{fitted.name}: {fitted.fit.backbone.description}, {fitted.fit.total_steps} steps")

    # ---- Reconstruct -----------------------------------------------------------------------------
    judged = list(methods)
    needs_baseline = measured.target is not None or fitted is not None
    if needs_baseline and "zero_filled" not in [method.name for method in methods]:
        # No figure without the baseline's beside it.
        judged.insert(0, method_named("zero_filled", Options()))
    with tqdm(total=len(scan.indices), unit="slice", disable=None, leave=False) as bar:
        reconstructed = reconstruct_scan(
            judged,
            measured,
            scan.image_shape,
            batch_size=_BATCH_SIZE.value,
            report=lambda done: bar.update(done - bar.n),
        )
    results = {method.name: each for method, each in zip(judged, reconstructed, strict=True)}
    magnitudes = {name: np.abs(each.images) for name, each in results.items()}
    scores = {}
    if measured.target is not None:
        scores = {
            name: score_scan(scan, images, measured.target, measured.data_range)
            for name, images in magnitudes.items()
        }
    print(scores_table({name: each.seconds for name, each in results.items()}, scores))

    # ---- Write -----------------------------------------------------------------------------------
    if _GALLERY.value:
        shown = {method.name: magnitudes[method.name] for method in methods}
        places = range(len(scan.indices))
        examples = [example_of(scan, measured, shown, scores, place) for place in places]
        named = {name: found for name, found in scores.items() if name in shown}
        rows = _rows(scan, measured, methods, named, about["data"])
        heading = f"{scan.name}: {measured.description}"
        outputs += write_gallery(outputs[0], heading, examples, rows, about)
    else:
        method = methods[0]
        write_images(
            outputs,
            scan,
            results[method.name].images,
            method=method.name,
            description=measured.description,
            keeps_complex=_COMPLEX.value,
            about=about,
        )
    if fitted is not None:
        zero_filled = magnitudes["zero_filled"]
        outputs.append(
            fitted.write_trajectory(scan, measured, zero_filled, _BATCH_SIZE.value, about)
        )
        rows = _rows(scan, measured, judged, scores, about["data"])
        if rows:
            outputs.append(fitted.folder / RESULTS_FILE)
            write_results(outputs[-1], about, rows)
    print("wrote " + ", ".join(map(str, outputs)))
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
