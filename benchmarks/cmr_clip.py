"""Forward pass and gradient of CMR-CLIP, and the share of its frozen encoder.

    python -m benchmarks.cmr_clip --output benchmarks/results/cmr_clip.json

Paper A's network at full size (12 cascades, CLIP ViT-B/16, 56,333,198 trainable parameters, random
weights) on k-space of 10 coils, 256 x 256, as `varnet_gradient.py` times the baseline. The encoder
is timed alone, as often as the cascades use it, beside transformers' in torch, cut to the six
layers in use and with all twelve. Rounds alternate, medians are printed.
"""

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import flags

from jaxrecon import command_line
from jaxrecon.encoders.spec import PUBLISHED
from jaxrecon.encoders.store import place_encoder
from jaxrecon.encoders.vit import VisionTransformer
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model, open_frozen
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.parameter_table import count_parameters
from jaxrecon.training.state import initial_state
from tests.reference_encoders import clip

_FLAGS = flags.FlagValues()
_COILS = flags.DEFINE_integer("coils", 10, "Receive coils.", flag_values=_FLAGS)
_HEIGHT = flags.DEFINE_integer("height", 256, "Rows of k-space.", flag_values=_FLAGS)
_WIDTH = flags.DEFINE_integer("width", 256, "Columns of k-space.", flag_values=_FLAGS)
_CASCADES = flags.DEFINE_integer("cascades", 12, "Unrolled steps.", flag_values=_FLAGS)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each.", flag_values=_FLAGS)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", flag_values=_FLAGS)

_LAYERS = (1, 2, 3, 4, 5, 6)


def seconds_of(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def medians(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    for function in functions.values():
        function()  # warm up
    times = [[seconds_of(function) for function in functions.values()] for _ in range(rounds)]
    return dict(zip(functions, np.median(times, axis=0).tolist(), strict=True))


def torch_encoder(blocks: int) -> Callable[[bool], None]:
    """CLIP of transformers with random weights; a function of whether a gradient is wanted."""
    encoder = clip(768, blocks, 12).vision_model.requires_grad_(requires_grad=False)
    pixels = torch.randn(1, 3, 224, 224)

    def run(with_gradient: bool) -> None:
        image = pixels.clone().requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            states = encoder(image, output_hidden_states=True).hidden_states[1:7]
        if with_gradient:
            sum(state.square().mean() for state in states).backward()

    return run


def main() -> int:
    model_config = {
        "name": "varnet",
        "cascades": _CASCADES.value,
        "dtype": "float32",
        "sensitivity": {"channels": 8, "pools": 4},
        "refinement": {
            "name": "foundation_denoiser",
            "encoder": {
                "architecture": "clip_vit_b16",
                "weights": "random",
                "statistics": "imagenet",
                "seed": 0,
            },
            "layers": _LAYERS,
            "skips": (5, 4, 3),
            "widths": (384, 192, 128, 64),
            "image_size": 224,
            "output_size": 0,
            "percentiles": (1.0, 99.0),
        },
    }
    model = build_model(model_config)
    optimizer = make_optimizer(
        {"learning_rate": 1e-3, "decay_epochs": (), "decay_factor": 0.1, "gradient_clip": 0.0}, 1
    )
    encoder = open_frozen(model_config)
    if encoder is None:
        raise InputError("model: expected a frozen encoder, found none")
    variables = place_encoder(initial_state(model, optimizer, 0).variables, encoder)
    blocks = sorted(name for name in encoder.parameters if name.startswith("block"))
    if blocks != [f"block{layer - 1}" for layer in _LAYERS]:
        raise InputError(f"encoder: expected the blocks of layers 1 to 6, found {blocks}")

    rng = np.random.default_rng(0)
    shape = (1, _COILS.value, _HEIGHT.value, _WIDTH.value)
    mask = np.zeros((1, 1, _WIDTH.value), bool)
    mask[..., ::4] = True
    mask[..., (_WIDTH.value - 23) // 2 :][..., :24] = True
    samples = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * mask[:, None]
    inputs = (jnp.asarray(samples, jnp.complex64), jnp.asarray(mask), jnp.array([24]))

    def loss(params, frozen, *inputs):
        return model.apply({"params": params, "frozen": frozen}, *inputs).mean()

    def forward(params, frozen, *inputs):
        return model.apply({"params": params, "frozen": frozen}, *inputs)

    network = VisionTransformer(PUBLISHED["clip_vit_b16"].spec, _LAYERS, 224)
    pixels = jnp.asarray(rng.normal(size=(1, 224, 224, 3)), jnp.float32)

    def encode(frozen, pixels):
        return network.apply({"frozen": frozen}, pixels)

    def encoder_loss(pixels, frozen):
        return sum(jnp.mean(jnp.square(state)) for state in encode(frozen, pixels))

    arguments = (variables["params"], variables["frozen"], *inputs)
    programs = {
        "forward": (forward, arguments),
        "gradient": (jax.grad(loss), arguments),
        "encoder forward": (encode, (encoder.parameters, pixels)),
        "encoder gradient": (jax.grad(encoder_loss), (pixels, encoder.parameters)),
    }
    functions, memory, compile_seconds = {}, {}, {}
    for name, (function, values) in programs.items():
        start = time.perf_counter()
        program = jax.jit(function).lower(*values).compile()
        compile_seconds[name] = time.perf_counter() - start
        memory[name] = program.memory_analysis().temp_size_in_bytes / 1e6
        functions[name] = lambda p=program, v=values: jax.block_until_ready(p(*v))
    six, twelve = torch_encoder(6), torch_encoder(12)
    functions |= {
        "torch encoder forward": lambda: six(False),
        "torch encoder gradient": lambda: six(True),
        "torch encoder forward, 12 layers": lambda: twelve(False),
    }
    seconds = medians(functions, _ROUNDS.value)

    cascades = _CASCADES.value
    # A rematerialised cascade encodes once more on its way back.
    encoding = {
        "forward": cascades * seconds["encoder forward"],
        "gradient": cascades * (seconds["encoder forward"] + seconds["encoder gradient"]),
    }
    results = {
        "kspace": shape,
        "cascades": cascades,
        "trainable_parameters": count_parameters(variables["params"]),
        "frozen_parameters": count_parameters(variables["frozen"]),
        "encoder_blocks": blocks,
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "temporary_megabytes": memory,
        "encoder_share": {name: encoding[name] / seconds[name] for name in encoding},
        "encoder_ratio_to_torch": {
            name: seconds[f"encoder {name}"] / seconds[f"torch encoder {name}"]
            for name in ("forward", "gradient")
        },
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    for name in ("forward", "gradient"):
        print(
            f"{name}: {seconds[name]:.2f} s, of which {results['encoder_share'][name]:.0%} in the "
            f"encoder's layers 1 to 6 and none in layers 7 to 12, which are not there; compiled in "
            f"{compile_seconds[name]:.1f} s, {memory[name]:.0f} MB beside the parameters"
        )
        print(
            f"encoder alone, {name}: {seconds[f'encoder {name}']:.3f} s, torch "
            f"{seconds[f'torch encoder {name}']:.3f} s, ratio "
            f"{results['encoder_ratio_to_torch'][name]:.2f}"
        )
    print(f"torch, all 12 layers, forward: {seconds['torch encoder forward, 12 layers']:.3f} s")
    if _OUTPUT.value:
        Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(_OUTPUT.value).write_text(json.dumps(results, indent=2) + "\n")
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
