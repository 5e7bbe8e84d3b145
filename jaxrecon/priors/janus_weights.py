"""The Janus that an experiment names, or its vision tower alone."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.typing import DTypeLike

from jaxrecon.encoders.janus_spec import JANUS_PIXELS, JANUS_PRO_1B, JanusSpec, LlamaSpec
from jaxrecon.encoders.janus_store import JanusWeights, open_janus, read_janus_spec
from jaxrecon.encoders.resampling import resample_positions
from jaxrecon.encoders.spec import ViTSpec
from jaxrecon.encoders.store import RANDOM, Encoder, random_encoder
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE

ARCHITECTURES: dict[str, JanusSpec] = {
    "janus_pro_1b": JANUS_PRO_1B,
    # Published by nobody: random weights, to try programs with on a laptop.
    "janus_small": JanusSpec(
        vision=dataclasses.replace(
            JANUS_PRO_1B.vision, width=96, depth=4, heads=4, mlp_width=384, image_size=128
        ),
        language=LlamaSpec(
            vocabulary=512,
            width=128,
            depth=4,
            heads=4,
            key_value_heads=4,
            head_width=32,
            mlp_width=352,
        ),
    ),
}
"""By name in experiments. Of converted weights the architecture is what their folder says."""


def open_weights(settings: Mapping[str, Any], dtype: DTypeLike) -> JanusWeights:
    """A whole Janus.

    Args:
        settings: `config.prior.encoder` of `jaxrecon.scan_config`.
        dtype: of the matrix products.

    Raises:
        InputError: there is no such architecture, or weights are missing or damaged.
    """
    spec = janus_spec(settings)
    return open_janus(settings["weights"], dtype, int(settings["seed"]), spec)


def janus_spec(settings: Mapping[str, Any]) -> JanusSpec:
    """The architecture, before any weights are read.

    Args:
        settings: see `open_weights`.

    Raises:
        InputError: there is no such architecture, or the folder holds other weights.
    """
    name, folder = settings["architecture"], Path(settings["weights"])
    if name not in ARCHITECTURES:
        raise InputError(
            f"prior.encoder.architecture: expected one of {', '.join(ARCHITECTURES)}, "
            f"found {name!r}"
        )
    if settings["weights"] != RANDOM and (folder / SPEC_FILE).is_file():
        return read_janus_spec(folder)[0]
    return ARCHITECTURES[name]


def open_tower(
    settings: Mapping[str, Any], layers: tuple[int, ...], image_size: int, dtype: DTypeLike
) -> Encoder:
    """The vision tower; its final LayerNorm is not part of it.

    Args:
        settings: see `open_weights`.
        layers: hidden states asked for.
        image_size: side of the images, pixels: position embeddings are brought to its grid.
        dtype: of the matrix products.

    Raises:
        InputError: there is no such architecture, or weights are missing or damaged.
    """
    if settings["weights"] == RANDOM:
        vision: ViTSpec = janus_spec(settings).vision
        seed = int(settings["seed"])
        return random_encoder(vision, JANUS_PIXELS, layers, image_size, dtype, seed)
    encoder = open_weights(settings, dtype).tower()
    grid = image_size // encoder.spec.patch
    positions = resample_positions(encoder.parameters["positions"], grid, class_token=False)
    return dataclasses.replace(encoder, parameters={**encoder.parameters, "positions": positions})
