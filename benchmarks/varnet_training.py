"""Train the reference E2E-VarNet (PyPI fastmri, torch) and jaxrecon's on the same batches.

    python benchmarks/varnet_training.py --config experiments/cardiac_images.py --seeds 0,1 \
        --accelerations 4,8 --output benchmarks/results/varnet_training.json

Both see the same slices in the same order with the same optimiser and loss, and jaxrecon's network
starts once from the reference's initial weights ("same weights") and once from its own draw. The
experiment's folders must be there: see its docstring. Test images are judged by scikit-image's SSIM
with each image's maximum. Prints SSIM and seconds per step side by side.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from fastmri.losses import SSIMLoss
from fastmri.models import VarNet as ReferenceVarNet
from flax import traverse_util
from ml_collections import config_flags
from skimage.metrics import structural_similarity

from jaxrecon import command_line
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.metrics.protocols import protocol
from jaxrecon.models.build import build_model
from jaxrecon.training import datasets
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.state import initial_state, make_train_step
from weight_conversion.fastmri_varnet import convert_varnet

_CONFIG = config_flags.DEFINE_config_file("config", "experiments/cardiac_images.py")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Of initial weights and data order.")
_ACCELERATIONS = flags.DEFINE_list("accelerations", ["4", "8"], "Nominal accelerations.")
_STEPS = flags.DEFINE_integer("steps", 0, "Training steps; the experiment's by default.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.")


def reference_network(config, seed):
    torch.manual_seed(seed)
    return ReferenceVarNet(
        num_cascades=config.model.cascades,
        chans=config.model.refinement.channels,
        pools=config.model.refinement.pools,
        sens_chans=config.model.sensitivity.channels,
        sens_pools=config.model.sensitivity.pools,
    )


def as_torch(batch):
    kspace = torch.view_as_real(torch.from_numpy(batch["kspace"]))
    mask = torch.from_numpy(batch["mask"])[:, None, :, :, None]
    return kspace, mask, int(batch["acs"][0])


def train_reference(network, pipeline, config, steps):
    """Seconds per step."""
    optimizer = torch.optim.Adam(network.parameters(), config.optimizer.learning_rate)
    loss_of = SSIMLoss()
    seconds = []
    for batch in pipeline.training_batches(0, steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        image = network(*as_torch(batch))[:, None]
        target = torch.from_numpy(batch["target"])[:, None]
        loss_of(image, target, torch.from_numpy(batch["data_range"])).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def train_ours(state, step, pipeline, steps):
    """The trained state and seconds per step."""
    seconds = []
    for batch in pipeline.training_batches(0, steps):
        start = time.perf_counter()
        state, scalars = step(state, batch)
        jax.block_until_ready(scalars)
        seconds.append(time.perf_counter() - start)
    return state, float(np.median(seconds))


def judge(reconstruct, pipeline):
    """Mean SSIM over the test images."""
    values = []
    for batch in pipeline.evaluation_batches():
        image, target = np.asarray(reconstruct(batch))[0], batch["target"][0]
        values.append(structural_similarity(target, image, data_range=target.max()))
    return float(np.mean(values))


def main() -> None:
    config = command_line.configuration(_CONFIG)
    steps = _STEPS.value or config.training.steps
    judge_protocol = protocol("fastmri")
    sets = datasets.load_data_sets(config.data, judge_protocol)
    model = build_model(config.model)
    optimizer = make_optimizer(config.optimizer, len(sets.train))
    step = jax.jit(make_train_step(model, optimizer), donate_argnums=0)
    apply = jax.jit(lambda variables, b: model.apply(variables, b["kspace"], b["mask"], b["acs"]))
    rows = []
    for acceleration in map(float, _ACCELERATIONS.value):
        config.mask.accelerations = (acceleration,)
        test = datasets.evaluation_pipeline(
            sets.test,
            datasets.evaluation_masks(config.mask)[0],
            judge_protocol,
            batch_size=1,
            coil_multiple=1,
        )
        for seed in map(int, _SEEDS.value):
            pipeline = Pipeline(
                sets.train,
                datasets.training_masks(config.mask),
                batch_size=1,
                seed=seed,
                data_range=config.data.data_range,
            )
            reference = reference_network(config, seed)
            initial, _ = convert_varnet({k: v.numpy() for k, v in reference.state_dict().items()})
            torch_seconds = train_reference(reference, pipeline, config, steps)

            def reference_image(batch, network=reference):
                with torch.no_grad():
                    return network(*as_torch(batch))

            row = {
                "acceleration": acceleration,
                "seed": seed,
                "steps": steps,
                "torch_ssim": judge(reference_image, test),
                "torch_seconds_per_step": torch_seconds,
            }
            own = initial_state(model, optimizer, seed)
            nested = traverse_util.unflatten_dict(initial, sep="/")
            # A state's memory is handed to the step: the two share no array.
            same = initial_state(model, optimizer, seed).replace(
                variables={"params": jax.tree.map(jnp.array, nested)}
            )
            for name, state in (("same_weights", same), ("own_weights", own)):
                trained, seconds = train_ours(state, step, pipeline, steps)
                row[f"{name}_ssim"] = judge(
                    lambda batch, variables=trained.variables: apply(variables, batch), test
                )
                row[f"{name}_seconds_per_step"] = seconds
            rows.append(row)
            print(
                f"R={acceleration:g} seed {seed}: SSIM torch {row['torch_ssim']:.4f}, jaxrecon "
                f"{row['same_weights_ssim']:.4f} from the same weights, "
                f"{row['own_weights_ssim']:.4f} from its own; seconds per step torch "
                f"{torch_seconds:.3f}, jaxrecon {row['own_weights_seconds_per_step']:.3f}, ratio "
                f"{row['own_weights_seconds_per_step'] / torch_seconds:.2f}",
                flush=True,
            )
    if _OUTPUT.value:
        Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(_OUTPUT.value).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
