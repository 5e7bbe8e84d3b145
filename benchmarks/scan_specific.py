"""Steps per second of the scan-specific fits beside the same optimisation in torch.

    python -m benchmarks.scan_specific --output benchmarks/results/scan_specific.json

Both start from the same weights and see the same k-space (smooth coils, a Gaussian mask with
R = 4); torch is `tests/torch_scan_fit.py`, whose losses a test holds against ours. Each side has a
process of its own, so that its peak memory is its own; turns of some steps alternate between the
two, so that a busy machine slows both alike. Prints medians, ratios (above 1: jaxrecon is faster)
of the time and of the seconds that the cores worked, which other processes disturb less, and peak
memory. Exits with 1 if the losses at the end disagree.
"""

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from jaxrecon import command_line, scan_config
from jaxrecon.errors import InputError

_CASES = flags.DEFINE_list("cases", None, "Names of cases to run; all by default.")
_TURNS = flags.DEFINE_integer("turns", 5, "Measurements of each side.")
_SECONDS = flags.DEFINE_float("seconds", 4, "Length of a turn, at the pace of a first one.")
_THREADS = flags.DEFINE_integer("threads", 2, "Threads of torch; jaxrecon takes all cores.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write, or to add cases to.")

_REDUCED, _PAPER = (32, 64, 128, 256), (64, 128, 256, 512, 1024)

# Name: experiment, image size, coils, U-Net's features, whether steps are those of the second part,
# in which an INR's adaptor alone is trained.
CASES = {
    "INR 128": ("inr", 128, 6, None, False),
    "INR adaptor 128": ("inr", 128, 6, None, True),
    "INR 256": ("inr", 256, 8, None, False),
    "INR adaptor 256": ("inr", 256, 8, None, True),
    "U-Net 128": ("unet", 128, 6, _REDUCED, True),
    "U-Net 256": ("unet", 256, 8, _REDUCED, True),
    "U-Net wide 128": ("unet", 128, 6, _PAPER, True),
    "unrolled 128": ("unrolled", 128, 6, _REDUCED, True),
    "unrolled 256": ("unrolled", 256, 8, _REDUCED, True),
    "unrolled wide 128": ("unrolled", 128, 6, _PAPER, True),
}


def scan(size, coils):
    """K-space with an image's decay, a mask and smooth maps."""
    from jaxrecon.data.simulation import simulate_coils
    from jaxrecon.physics.sampling import MaskSpec

    generator = np.random.default_rng(0)
    axis = np.arange(size) - size // 2
    radius = np.hypot(*np.meshgrid(axis, axis))
    samples = generator.normal(size=(coils, size, size, 2)) @ [1, 1j]
    kspace = (samples / (1 + radius) ** 1.5).astype(np.complex64)
    mask = MaskSpec("gaussian", (4,), (), 12).draw(size, "scan", 0).pattern
    return kspace[None], np.asarray(mask)[None], simulate_coils(coils, size, size)[None]


def prepared(case):
    """A fit, its problem and its initial state."""
    import jax.numpy as jnp

    from jaxrecon.scan_specific.backbone import open_backbone
    from jaxrecon.scan_specific.fit import Fit

    name, size, coils, features, _ = CASES[case]
    config = getattr(scan_config, f"{name}_config")()
    config.regulariser = "tv"
    if features:
        config.backbone.features = features
    config = config.to_dict()
    fit = Fit(config, open_backbone(config), None)
    problem = fit.problem(*map(jnp.asarray, scan(size, coils)))
    return fit, problem, fit.start(1, (size, size))


def ours(case):
    """Functions that take so many steps and return the seconds, and that return the loss."""
    import functools

    import jax
    import jax.numpy as jnp

    fit, problem, state = prepared(case)
    guided = CASES[case][-1]
    constants = jax.tree.map(jnp.asarray, fit.constants)
    advance = jax.jit(functools.partial(fit.advance, guided=guided), donate_argnums=0)
    state, problem = jax.block_until_ready((state, problem))

    def take(steps):
        nonlocal state
        count = jnp.asarray(steps, jnp.int32)
        start = time.perf_counter()
        state = jax.block_until_ready(advance(state, constants, problem, count))
        return time.perf_counter() - start

    def loss():
        terms = jax.jit(fit.look)(state, constants, problem).losses
        return float(terms["data"][0] + fit.config["weights"]["tv"] * terms["tv"][0])

    return take, loss


def torch_transcription(case):
    """As `ours`, for torch."""
    import jax
    import torch

    from tests import torch_scan_fit

    torch.set_num_threads(_THREADS.value)
    fit, problem, state = prepared(case)
    name, size, _, _, guided = CASES[case]
    parameters = {
        group: torch_scan_fit.as_torch(jax.tree.map(lambda leaf: leaf[0], tree))
        for group, tree in state.groups.items()
    }
    scanned, values, trained = torch_scan_fit.Scan(problem), None, parameters

    def siren_values():
        with torch.no_grad():
            frequency = fit.config["backbone"]["frequency"]
            return torch_scan_fit.siren(parameters["siren"], size, size, frequency)

    if name == "inr" and guided:
        # The network's image does not change while the adaptor is trained: computed once, as ours.
        values, trained = siren_values(), {"adaptor": parameters["adaptor"]}
    adam = torch_scan_fit.optimiser(trained, fit.config["learning_rate"], fit.backbone.rates)
    extra = (values,) if name == "inr" else ()
    loss_of = getattr(torch_scan_fit, f"{name}_loss")

    def take(steps):
        start = time.perf_counter()
        for _ in range(steps):
            torch_scan_fit.step(adam, lambda: loss_of(parameters, scanned, fit.config, *extra))
        return time.perf_counter() - start

    def loss():
        last = (siren_values(),) if name == "inr" else ()
        with torch.no_grad():
            return loss_of(parameters, scanned, fit.config, *last).item()

    return take, loss


def serve(side, case, arguments, pipe):
    """Take turns when told to, in a process of its own; at the end, say how much memory it took."""
    flags.FLAGS(arguments)
    take, loss = {"jaxrecon": ours, "torch": torch_transcription}[side](case)
    take(1)  # compiles; torch, too, is slower the first time
    pipe.send(None)
    while (steps := pipe.recv()) is not None:
        start = time.process_time()
        seconds, used = take(steps), time.process_time() - start
        pipe.send((seconds, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))
    pipe.send(loss())


def measure(case, arguments):
    """Seconds per step, peak memory and loss of both sides."""
    context = multiprocessing.get_context("spawn")
    pipes, sides = {}, {}
    for side in ("jaxrecon", "torch"):
        pipes[side], other = context.Pipe()
        sides[side] = context.Process(target=serve, args=(side, case, arguments, other))
        sides[side].start()
        pipes[side].recv()

    def turn(side, steps):
        # Threads of the other side wait for work by spinning for a while.
        time.sleep(1)
        pipes[side].send(steps)
        return pipes[side].recv()

    steps = max(3, round(_SECONDS.value / turn("torch", 1)[0]))
    turn("jaxrecon", 1)
    turns = {side: [] for side in sides}
    for _ in range(_TURNS.value):
        for side in sides:
            turns[side].append(turn(side, steps))
    found = {"steps_per_turn": steps}
    for side, pipe in pipes.items():
        pipe.send(None)
        seconds, used, memory = np.transpose(turns[side])
        found[side] = {
            "seconds_per_step": float(np.median(seconds)) / steps,
            "core_seconds_per_step": float(np.median(used)) / steps,
            "turns": (seconds / steps).round(4).tolist(),
            "peak_gigabytes": float(memory.max()),
            "loss": pipe.recv(),
        }
        sides[side].join()
    ours, theirs = found["jaxrecon"], found["torch"]
    ratios = np.divide(theirs["turns"], ours["turns"])
    found["ratio"] = float(np.median(ratios))
    found["core_ratio"] = theirs["core_seconds_per_step"] / ours["core_seconds_per_step"]
    found["ratio_range"] = [float(ratios.min()), float(ratios.max())]
    if abs(ours["loss"] - theirs["loss"]) > 0.05 * abs(theirs["loss"]):
        raise InputError(f"{case}: expected a loss of {theirs['loss']}, found {ours['loss']}")
    return found


def report(case, found):
    """One line."""
    sides = found["jaxrecon"], found["torch"]
    rates = " / ".join(f"{1 / side['seconds_per_step']:.2f}" for side in sides)
    memory = " / ".join(f"{side['peak_gigabytes']:.2f}" for side in sides)
    low, high = found["ratio_range"]
    return (
        f"{case}: {rates} steps per second, ratio {found['ratio']:.2f} ({low:.2f} to {high:.2f}), "
        f"of core seconds {found['core_ratio']:.2f}, peak {memory} GB"
    )


def main() -> None:
    path = Path(_OUTPUT.value) if _OUTPUT.value else None
    results = json.loads(path.read_text()) if path and path.exists() else {}
    for case in CASES:
        if _CASES.value and case not in _CASES.value:
            continue
        found = results[case] = measure(case, sys.argv)
        print(report(case, found), flush=True)
        if path:
            path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
