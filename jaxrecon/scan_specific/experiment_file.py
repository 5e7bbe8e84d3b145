"""Experiments on one scan, from files with `get_config()`."""

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxrecon.errors import InputError
from jaxrecon.priors.semantic_prior import SemanticPrior, open_prior
from jaxrecon.scan_specific.backbone import open_backbone
from jaxrecon.scan_specific.fit import Fit

_FILE = re.compile(r"(?P<path>.+\.py)(:(?P<argument>.*))?")


def names_experiment(text: str) -> bool:
    """Whether a text names an experiment's file, FILE.py or FILE.py:ARGUMENT."""
    return _FILE.fullmatch(text) is not None


def read_experiment(text: str) -> ConfigDict:
    """The configuration of an experiment's file.

    Args:
        text: FILE.py with `get_config()`, or FILE.py:ARGUMENT with `get_config(ARGUMENT)`.

    Raises:
        InputError: there is no such file, it cannot be run, or it is not one on a single scan.
    """
    found = _FILE.fullmatch(text)
    path = Path(found["path"] if found else text)
    if found is None or not path.is_file():
        raise InputError(f"{path}: expected an experiment's file with get_config(), found none")
    arguments = () if found["argument"] is None else (found["argument"],)
    try:
        config = runpy.run_path(str(path))["get_config"](*arguments)
    except Exception as error:  # whatever the file raises
        raise InputError(
            f"{path}: expected an experiment's file with get_config(), found {error!r}"
        ) from None
    require_scan_experiment(config, str(path))
    return config


def require_scan_experiment(config: ConfigDict, name: str) -> None:
    """See that a configuration is one of `jaxrecon.scan_config`.

    Args:
        config: the configuration.
        name: where it comes from, for messages.

    Raises:
        InputError: it is another kind of experiment.
    """
    if not isinstance(config, ConfigDict) or "backbone" not in config or "prior" not in config:
        raise InputError(
            f"{name}: expected an experiment on one scan (jaxrecon.scan_config), found another: "
            "networks that were trained on many are named by their run's folder"
        )


def open_fit(config: Mapping[str, Any]) -> Fit:
    """An experiment, ready to be fitted.

    The prior is opened where it is the regulariser, or where its embeddings are given: a fit with
    another regulariser can be looked at in its space.

    Args:
        config: the experiment.

    Raises:
        InputError: a field, the prior or the warm start is not usable.
    """
    prior: SemanticPrior | None = None
    if config["regulariser"] == "semantic" or config["prior"]["embeddings"]:
        prior = open_prior(config["prior"])
    return Fit(config, open_backbone(config), prior)


def method_name(fit: Fit) -> str:
    """The experiment's name in results, which says so where its encoder is not pretrained."""
    is_guided = fit.config["regulariser"] == "semantic"
    is_random = is_guided and fit.prior is not None and fit.prior.is_random
    return f"{fit.config['name']}{' (random encoder)' if is_random else ''}"
