"""Methods of an evaluation that need no training set: classical ones, and scan-specific fits.

They see the same undersampled k-space as the networks, and sensitivity maps by ESPIRiT from its
calibration columns and at least 24 rows.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jaxrecon.errors import InputError
from jaxrecon.metrics.scoring import ZERO_FILLED, Batch
from jaxrecon.physics.espirit import SMALLEST_CALIBRATION
from jaxrecon.physics.sampling import SamplingMask
from jaxrecon.scan_specific.experiment_file import names_experiment, open_fit, read_experiment
from jaxrecon.training.classical_methods import SOLVERS
from jaxrecon.training.datasets import TestSet
from jaxrecon.training.evaluation import JudgedMethod
from jaxrecon.training.scan_specific_method import judged_fit
from jaxrecon.training.settings import Setting

BASELINES = (ZERO_FILLED, *SOLVERS)
"""All baselines by name; the zero-filled image is always judged."""


@dataclasses.dataclass(frozen=True, eq=False)
class Baseline:
    """A method without a training set, and its setting.

    Attributes:
        method: the method.
        setting: weight of a classical method's regularisation, None for its own; or the experiment
            and the prior of a scan-specific fit, JSON values.
    """

    method: JudgedMethod
    setting: Any


def parse_baseline(text: str, image_shape: tuple[int, int] | None = None) -> Baseline:
    """A method without a training set as the command line names it.

    Args:
        text: one of `BASELINES` but the zero-filled image; NAME:WEIGHT sets the weight of its
            regularisation. It stands in results. Or an experiment on one scan, FILE.py or
            FILE.py:ARGUMENT, whose own name does.
        image_shape: rows and columns of the targets, which a semantic prior looks at.

    Raises:
        InputError: there is no such method, the weight is no number, or the experiment cannot be
            used.
    """
    if names_experiment(text):
        fit = open_fit(read_experiment(text).to_dict())
        fit = dataclasses.replace(fit, image_shape=image_shape)
        setting = {"config": dict(fit.config), "prior": fit.prior and dict(fit.prior.provenance)}
        return Baseline(judged_fit(fit), json.loads(json.dumps(setting, default=list)))
    name, _, weight = text.partition(":")
    if name not in SOLVERS:
        known = ", ".join(BASELINES)
        raise InputError(
            f"--baselines: expected some of {known}, or experiments' files, found {text!r}"
        )
    try:
        regularisation = float(weight) if weight else None
    except ValueError:
        raise InputError(f"--baselines: expected a number after ':', found {text!r}") from None
    solve = SOLVERS[name]
    options = {} if regularisation is None else {"regularisation": regularisation}

    def reconstruct(_variables: PyTree, batch: Batch) -> Array:
        return jnp.abs(solve(batch["kspace"], batch["mask"], batch["maps"], **options))

    return Baseline(JudgedMethod(text, reconstruct, needs_maps=True), regularisation)


def target_shape(test_sets: Sequence[TestSet]) -> tuple[int, int]:
    """Rows and columns of all targets.

    Args:
        test_sets: the data sets.

    Raises:
        InputError: they differ; the message names two files.
    """
    found: dict[tuple[int, int], str] = {}
    for test_set in test_sets:
        for volume in test_set.volumes:
            shape = (
                min(volume.target_height, volume.height),
                min(volume.target_width, volume.width),
            )
            found.setdefault(shape, volume.path)
    if len(found) > 1:
        (first, path), (second, other) = list(found.items())[:2]
        raise InputError(
            "--baselines: expected images of one size for experiments on one scan, found "
            f"{first[0]} x {first[1]} in {path} and {second[0]} x {second[1]} in {other}: evaluate "
            "them apart"
        )
    return next(iter(found))


def require_calibration(setting: Setting, masks: Mapping[str, SamplingMask]) -> None:
    """See that ESPIRiT can find maps for every file, before anything is computed.

    Args:
        setting: the data set and its masks.
        masks: of every file.

    Raises:
        InputError: a file has a single coil, or too few calibration columns.
    """
    for volume in setting.test_set.volumes:
        if volume.name not in masks:
            continue
        if volume.coils < 2:
            raise InputError(
                f"{volume.path}: expected at least 2 coils for the baselines' sensitivity maps, "
                f"found {volume.coils}: leave them out of --baselines"
            )
        if masks[volume.name].acs < SMALLEST_CALIBRATION:
            raise InputError(
                f"{volume.path}: expected at least {SMALLEST_CALIBRATION} calibration columns for "
                f"the baselines' sensitivity maps, found {masks[volume.name].acs} with "
                f"{setting.name}: leave them out of --baselines"
            )
