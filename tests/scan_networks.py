"""Small untrained networks on disk, as converted weights and as a training run."""

import numpy as np

from jaxrecon.config import default_config
from jaxrecon.models.build import build_model, parameter_shapes
from jaxrecon.training import run_folder
from jaxrecon.training.checkpoint import Checkpoints
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.state import initial_state
from jaxrecon.weight_store import write_weights


def small_config(name="small"):
    config = default_config()
    config.name = name
    config.model.cascades = 2
    for part in (config.model.refinement, config.model.sensitivity):
        part.channels, part.pools = 2, 1
    return config


def write_small_weights(folder, seed=0):
    config = run_folder.as_json(small_config())
    generator = np.random.default_rng(seed)
    flat = {
        path: generator.normal(0, 0.1, shape).astype(np.float32)
        for path, shape in parameter_shapes(config["model"]).items()
    }
    write_weights(folder, flat, {"model": config["model"]})
    return folder


def write_small_run(folder, name="small", seed=0):
    config = small_config(name)
    run_folder.claim(folder, config)
    network = build_model(run_folder.as_json(config)["model"])
    checkpoints = Checkpoints(folder / "checkpoints")
    optimizer = make_optimizer(config.optimizer.to_dict(), steps_per_epoch=1)
    checkpoints.save_best(initial_state(network, optimizer, seed))
    checkpoints.close()
    return folder
