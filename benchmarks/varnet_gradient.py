"""Forward pass and gradient of the full E2E-VarNet beside the reference (PyPI fastmri, torch).

    python benchmarks/varnet_gradient.py --output benchmarks/results/varnet_gradient.json

Both networks hold the same random weights (12 cascades, 29,936,966 parameters) and see the same
k-space, 10 coils of 256 x 256 by default. Rounds alternate between the two, so that a busy machine
slows both alike; prints the medians, their ratio, compile time and memory. Exits with 1 if the
gradients of the step sizes disagree.
"""

import json
import resource
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags
from fastmri.models import VarNet as ReferenceVarNet
from flax import traverse_util

from jaxrecon import command_line
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model
from weight_conversion.fastmri_varnet import convert_varnet

_COILS = flags.DEFINE_integer("coils", 10, "Receive coils.")
_SIZE = flags.DEFINE_integer("size", 256, "Rows and columns of k-space.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.")

_ACS = 24


def undersampled_kspace(coils: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Random k-space with an image's decay, and every fourth column of it."""
    rng = np.random.default_rng(0)
    radius = np.hypot(*np.meshgrid(*[np.arange(size) - size // 2] * 2))
    samples = rng.normal(size=(2, coils, size, size))
    mask = np.zeros(size, bool)
    mask[::4] = True
    first = (size - _ACS + 1) // 2
    mask[first : first + _ACS] = True
    kspace = (samples[0] + 1j * samples[1]) / (1 + 0.1 * radius) * mask
    return kspace.astype(np.complex64), mask


def seconds_of(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    torch.manual_seed(0)
    reference = ReferenceVarNet()
    kspace, mask = undersampled_kspace(_COILS.value, _SIZE.value)
    torch_kspace = torch.view_as_real(torch.from_numpy(kspace))[None]
    torch_mask = torch.from_numpy(mask).reshape(1, 1, 1, -1, 1)

    def torch_forward():
        with torch.no_grad():
            reference(torch_kspace, torch_mask, _ACS)

    def torch_gradient():
        reference.zero_grad()
        reference(torch_kspace, torch_mask, _ACS).mean().backward()

    flat, config = convert_varnet({k: v.numpy() for k, v in reference.state_dict().items()})
    model = build_model(config)
    nested = traverse_util.unflatten_dict(flat, sep="/")
    variables = {"params": jax.tree.map(jnp.asarray, nested)}
    arguments = (jnp.asarray(kspace)[None], jnp.asarray(mask)[None, None], jnp.array([_ACS]))

    compiled, compile_seconds = {}, {}
    functions = {
        "forward": model.apply,
        "gradient": jax.grad(lambda variables, *inputs: model.apply(variables, *inputs).mean()),
    }
    for name, function in functions.items():
        lowered = jax.jit(function).lower(variables, *arguments)
        start = time.perf_counter()
        compiled[name] = lowered.compile()
        compile_seconds[name] = time.perf_counter() - start

    ours = {
        name: (lambda program=program: jax.block_until_ready(program(variables, *arguments)))
        for name, program in compiled.items()
    }
    theirs = {"forward": torch_forward, "gradient": torch_gradient}
    results = {}
    for name in functions:
        ours[name](), theirs[name]()  # warm up
        times = [(seconds_of(ours[name]), seconds_of(theirs[name])) for _ in range(_ROUNDS.value)]
        jaxrecon_seconds, torch_seconds = np.median(times, axis=0)
        results[name] = {
            "jaxrecon_seconds": jaxrecon_seconds,
            "torch_seconds": torch_seconds,
            "ratio": jaxrecon_seconds / torch_seconds,
            "compile_seconds": compile_seconds[name],
            "temporary_megabytes": compiled[name].memory_analysis().temp_size_in_bytes / 1e6,
        }
        print(
            f"{name}: jaxrecon {jaxrecon_seconds:.2f} s, torch {torch_seconds:.2f} s, ratio "
            f"{results[name]['ratio']:.2f}; compiled in {compile_seconds[name]:.1f} s, "
            f"{results[name]['temporary_megabytes']:.0f} MB beside the parameters"
        )
    steps = np.array([cascade.dc_weight.grad.item() for cascade in reference.cascades])
    found = compiled["gradient"](variables, *arguments)["params"]["cascades"]["step"]
    if np.abs(found - steps).max() > 1e-3 * np.abs(steps).max():
        raise InputError(f"gradient of the step sizes: expected {steps}, found {found}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory of the process, both networks: {peak:.1f} GB")
    if _OUTPUT.value:
        Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(_OUTPUT.value).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
