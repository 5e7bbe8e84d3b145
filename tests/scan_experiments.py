"""Tiny experiments on one scan, and what they need on disk."""

import sys
from unittest import mock

from absl.testing import flagsaver

EXPERIMENT = """
from jaxrecon.scan_config import {backbone}_config

def get_config(regulariser="{regulariser}"):
    config = {backbone}_config()
    config.name = "{backbone}_" + regulariser
    config.regulariser = regulariser
    config.steps = 4
    config.report_every = 2
    config.prior.encoder.architecture = "dinov2_vit_s14"
    config.prior.encoder.weights = "random"
    config.prior.image_size = 28
    config.prior.layers = (1, 2)
    config.prior.level_weights = (0.5, 1.0)
    config.auxiliary.mask.acs = 12
    config.auxiliary.mask.accelerations = (2,)
{fields}
    return config
"""
FIELDS = {
    "inr": """
    config.tv_steps = 3
    config.learning_rate = 1e-3
    config.backbone.layers = 3
    config.backbone.features = 16
    config.backbone.adaptor_features = 8
""",
    "unet": """
    config.backbone.features = (4, 8)
    config.backbone.warm_up.steps = 3
    config.backbone.warm_up.batch_size = 2
""",
}


def write_experiment(folder, backbone, regulariser="tv"):
    """An experiment's file; `get_config` takes another regulariser as its argument."""
    path = folder / f"{backbone}_{regulariser}.py"
    fields = FIELDS[backbone]
    path.write_text(EXPERIMENT.format(backbone=backbone, regulariser=regulariser, fields=fields))
    return path


def call_program(module, *arguments):
    """Run a program with a `--config` in this process."""
    command = [module.__name__, *map(str, arguments)]
    saved = flagsaver.save_flag_values(module._FLAGS)
    # A configuration's overrides are looked for there, whatever the flags are parsed from.
    with mock.patch.object(sys, "argv", command):
        try:
            module._FLAGS(command)
            return module.main()
        finally:
            flagsaver.restore_flag_values(saved, module._FLAGS)
