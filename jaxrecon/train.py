"""Train a reconstruction network and test it.

    python -m jaxrecon.train --config experiments/quickstart.py [--workdir runs/mine]
        [--config.optimizer.learning_rate=3e-4] [--config.mask.accelerations=8,]

The run's folder holds config.json, metrics.jsonl, tensorboard/, checkpoints/ (last and best),
figures/ and, at the end, results.json. The same command goes on where an earlier attempt stopped,
whatever stopped it, and ends with the same parameters as an uninterrupted run.
"""

import contextlib
import json
import math
import time
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from jaxrecon import command_line
from jaxrecon.data.image_files import write_png
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.encoders.store import place_encoder
from jaxrecon.errors import DivergenceError
from jaxrecon.metrics.protocols import protocol as protocol_named
from jaxrecon.metrics.results import results_table, write_results
from jaxrecon.models.build import build_model, open_frozen
from jaxrecon.training import datasets, run_folder
from jaxrecon.training.checkpoint import Checkpoints
from jaxrecon.training.compilation import CompiledByShape, use_compilation_cache
from jaxrecon.training.early_stopping import EarlyStopping
from jaxrecon.training.evaluation import Evaluator, JudgedMethod, network_reconstruction
from jaxrecon.training.interruption import Interruption
from jaxrecon.training.metric_writers import MetricWriters
from jaxrecon.training.optimizer import learning_rate_schedule, make_optimizer
from jaxrecon.training.parallel import abstract_batch, make_mesh, replicate, shard_batch
from jaxrecon.training.parameter_table import megabytes, parameter_table
from jaxrecon.training.provenance import parameters_sha256, provenance
from jaxrecon.training.state import Scalars, initial_state, make_train_step
from jaxrecon.training.trained_network import encoder_provenance, method_name

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment: a file with get_config().")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; runs/NAME by default.")
flags.mark_flag_as_required("config")


def main() -> int:
    """Run the program."""
    # ---- Configuration ---------------------------------------------------------------------------
    config = command_line.configuration(_CONFIG)
    training = config.training
    workdir = Path(_WORKDIR.value or Path("runs", config.name))
    is_resumed = run_folder.claim(workdir, config)
    use_compilation_cache()
    print(f"{config.name}: {'resuming' if is_resumed else 'starting'} in {workdir}")

    # ---- Data ------------------------------------------------------------------------------------
    protocol = protocol_named(config.protocol)
    masks, phantoms = config.mask.to_dict(), config.phantoms.to_dict()
    data = datasets.with_folders(config.data, phantoms, workdir / "data")
    sets = datasets.load_data_sets(data, protocol)
    pipeline = Pipeline(
        sets.train,
        datasets.training_masks(masks),
        batch_size=training.batch_size,
        seed=config.seed,
        coil_multiple=data.coil_multiple,
        data_range=data.data_range,
    )
    validation = datasets.evaluation_pipeline(
        sets.validation,
        datasets.evaluation_masks(masks)[0],
        protocol,
        batch_size=training.batch_size,
        coil_multiple=data.coil_multiple,
    )
    # Looked up now, so that a wrong folder is found before the training and not after it.
    test_sets = [
        datasets.TestSet("test", data.anatomy, sets.test, masks, protocol),
        *(
            datasets.load_test_set(name, entry.to_dict(), phantoms, workdir / "data")
            for name, entry in config.test_sets.items()
        ),
    ]
    steps_per_epoch = pipeline.batches_per_epoch
    total_steps = training.steps or round(training.epochs * steps_per_epoch)
    validate_every = training.validate_every or steps_per_epoch
    print(
        f"data: {len(pipeline.slices)} training, {len(validation.slices)} validation slices; "
        f"{steps_per_epoch} steps per epoch, {total_steps} in all; "
        f"k-space shapes {', '.join('x'.join(map(str, bucket)) for bucket in pipeline.buckets)}"
    )

    # ---- Model, mesh and state -------------------------------------------------------------------
    model = build_model(config.model.to_dict())
    mesh = make_mesh(training.batch_size)
    optimizer = make_optimizer(config.optimizer.to_dict(), steps_per_epoch)
    learning_rate = learning_rate_schedule(config.optimizer.to_dict(), steps_per_epoch)
    state = initial_state(model, optimizer, config.seed)
    encoder = open_frozen(config.model.to_dict())
    method = method_name(config.name, encoder_provenance(encoder))
    if encoder is not None:
        print(f"frozen encoder: {encoder.description}")
        state = state.replace(variables=place_encoder(state.variables, encoder))
    state = replicate(state, mesh)
    checkpoints = Checkpoints(workdir / "checkpoints")
    stopping = EarlyStopping(training.patience)
    restored = checkpoints.restore_last(state)
    if restored is not None:
        state, progress = restored
        stopping = EarlyStopping(**progress["stopping"])
    print(parameter_table(state.variables))

    # ---- Compile ---------------------------------------------------------------------------------
    train_step = CompiledByShape(make_train_step(model, optimizer), donate=(0,))
    largest = max(pipeline.buckets, key=math.prod)
    train_step.compile(state, abstract_batch(largest, training.batch_size, mesh))
    print(
        f"memory per device: {megabytes(state.variables):,.0f} MB of parameters, "
        f"{megabytes(state.optimizer_state):,.0f} MB of optimiser state and about "
        f"{train_step.temporary_bytes / 1e6:,.0f} MB for a step at {'x'.join(map(str, largest))}; "
        f"{mesh.size} device(s); compiled in {train_step.seconds:.0f} s"
    )

    # ---- Train -----------------------------------------------------------------------------------
    evaluator = Evaluator(mesh)
    reconstruction = network_reconstruction(model)
    first_step = int(state.step)
    writers = MetricWriters(workdir, first_step + 1)
    pending: list[tuple[int, Scalars]] = []  # scalars still on the device, by step

    def flush_scalars() -> None:
        """Write the mean of the steps since the last time, and stop where one is not finite."""
        values = [(number, jax.device_get(scalars)) for number, scalars in pending]
        pending.clear()
        for number, scalars in values:
            if not all(math.isfinite(value) for value in scalars.values()):
                found = ", ".join(f"{name} = {value}" for name, value in scalars.items())
                raise DivergenceError(f"step {number}: expected finite numbers, found {found}")
        if values:
            means = {
                f"train/{name}": float(sum(scalars[name] for _, scalars in values) / len(values))
                for name in values[0][1]
            }
            writers.write(number, {**means, "learning_rate": float(learning_rate(number - 1))})
            bar.set_postfix(loss=f"{means['train/loss']:.4f}", refresh=False)

    def save() -> None:
        checkpoints.save_last(state, {"stopping": vars(stopping)})

    def validate(number: int) -> None:
        nonlocal stopping
        start = time.perf_counter()
        methods = [JudgedMethod(method, reconstruction, state.variables)]
        scores = evaluator.score(
            methods, validation, protocol, threads=data.threads, workers=data.workers
        )
        ssim = sum(file.metrics["ssim"] for file in scores[method]) / len(scores[method])
        stopping = stopping.after(ssim, number)
        writers.write(number, {"validation/ssim": ssim})
        picture = evaluator.panel(methods, validation, protocol, training.panel_slices)
        write_png(workdir / "figures" / f"validation_{number:07d}.png", picture)
        writers.write_image(number, "validation", picture)
        if stopping.best_step == number:
            checkpoints.save_best(state)
        tqdm.write(
            f"step {number}: validation SSIM {ssim:.4f}"
            f"{' (best)' if stopping.best_step == number else ''}, "
            f"{time.perf_counter() - start:.1f} s"
        )

    batches = pipeline.training_batches(
        first_step, total_steps, threads=data.threads, workers=data.workers
    )
    with (
        Interruption() as interruption,
        contextlib.closing(batches),
        tqdm(
            total=total_steps, initial=first_step, desc="training", unit="step", disable=None
        ) as bar,
    ):
        number = first_step
        while number < total_steps and not stopping.should_stop and not interruption.requested:
            state, scalars = train_step(state, shard_batch(next(batches), mesh))
            number += 1
            pending.append((number, scalars))
            bar.update()
            is_validation = number % validate_every == 0 or number == total_steps
            is_checkpoint = training.checkpoint_every and number % training.checkpoint_every == 0
            if number % training.log_every == 0 or is_validation or is_checkpoint:
                flush_scalars()
            if is_validation:
                validate(number)
            if is_validation or is_checkpoint:
                save()
        flush_scalars()
    if interruption.requested and number < total_steps:
        save()
        print(f"stopped at step {number} of {total_steps}: the same command goes on from there")
        return command_line.STOPPED_EARLY
    if stopping.should_stop:
        print(f"step {number}: no better validation SSIM in {stopping.patience} validations")
    writers.close()

    # ---- Test the best checkpoint ----------------------------------------------------------------
    params = checkpoints.restore_best(state.variables["params"])
    methods = [
        JudgedMethod(method, reconstruction, {**state.variables, "params": params}, run=config.name)
    ]
    rows = []
    for test_set in test_sets:
        batching = {"batch_size": training.batch_size, "coil_multiple": data.coil_multiple}
        rows += evaluator.test(
            methods, test_set, **batching, threads=data.threads, workers=data.workers
        )
        picture = evaluator.test_panel(methods, test_set, training.panel_slices, **batching)
        write_png(workdir / "figures" / f"test_{test_set.name}.png", picture)
    write_results(
        workdir / "results.json",
        {
            **provenance(),
            "config": json.loads(config.to_json()),
            "checkpoint_step": checkpoints.best_step(),
            "checkpoint_sha256": parameters_sha256(params),
            **encoder_provenance(encoder),
        },
        rows,
    )
    print(results_table(rows))
    print(f"results: {workdir / 'results.json'}; pictures: {workdir / 'figures'}")
    checkpoints.close()
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main)
