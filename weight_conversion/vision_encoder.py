"""Where checkpoints keep a vision transformer, and their conversion."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxrecon.encoders.spec import PixelStatistics, ViTSpec
from jaxrecon.encoders.vit import frozen_shapes
from jaxrecon.errors import InputError
from weight_conversion.rules import Rule, conv_kernel, convert, linear_kernel

# Heads of a published vision transformer are 64 wide up to ViT-L.
_HEAD_WIDTH = 64
_WIDTHS_WITH_KNOWN_HEADS = (192, 384, 768, 1024)

_ACTIVATIONS = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a family of checkpoints keeps a vision transformer. Keys are without their prefix.

    Attributes:
        family: for messages.
        prefixes: one of them stands before every key of the encoder; the first that fits is taken.
        patch_embedding: of the convolution that embeds patches.
        positions: of the position embeddings.
        blocks: of the list of blocks.
        linears: by our name of a block's linear layer, theirs.
        norms: by our name of a block's LayerNorm, theirs.
        dropped: regular expressions of the keys, with their prefix if they have one, that the
            hidden states do not depend on.
        activation: where the checkpoint does not say, one of `spec.ACTIVATIONS`.
        epsilon: of the LayerNorms, where the checkpoint does not say.
        statistics: of the pixels it was trained with.
        class_token: key of the class token, if there is one.
        embedding_norm: of the LayerNorm of the embeddings, if there is one.
        layer_scales: by our name of a block's scale, theirs, if there are any.
    """

    family: str
    prefixes: tuple[str, ...]
    patch_embedding: str
    positions: str
    blocks: str
    linears: Mapping[str, str]
    norms: Mapping[str, str]
    dropped: tuple[str, ...]
    activation: str
    epsilon: float
    statistics: PixelStatistics
    class_token: str | None = None
    embedding_norm: str | None = None
    layer_scales: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted encoder.

    Attributes:
        spec: architecture.
        statistics: pixel statistics it was trained with.
        parameters: float32 by "/"-joined path, all blocks.
        dropped: source keys that were left out.
    """

    spec: ViTSpec
    statistics: PixelStatistics
    parameters: dict[str, np.ndarray]
    dropped: tuple[str, ...]


def _patch_kernel(array: np.ndarray) -> np.ndarray:
    """A convolution over a patch as a linear map of its pixels (row, column, channel)."""
    return conv_kernel(array).reshape(-1, array.shape[0])


def _last_axis(array: np.ndarray) -> np.ndarray:
    return array.reshape(array.shape[-1])


def _last_axes(array: np.ndarray) -> np.ndarray:
    return array.reshape(array.shape[-2:])


def affine_rules(
    source: str, target: str, kernel: Callable[[np.ndarray], np.ndarray]
) -> list[Rule]:
    """Weight and bias of the layer that matches a regular expression, as kernel and bias."""
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel", kernel),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]


def norm_rules(source: str, target: str) -> list[Rule]:
    """Weight and bias of the norm that matches a regular expression, as scale and bias."""
    return [
        Rule(rf"{source}\.weight", f"{target}/scale"),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]


def rules(layout: Layout, prefix: str) -> list[Rule]:
    """The conversion table of a layout whose keys stand behind a prefix."""

    def key(name: str) -> str:
        return re.escape(f"{prefix}{name}")

    table = affine_rules(key(layout.patch_embedding), "patch_embedding", _patch_kernel)
    table.append(Rule(key(layout.positions), "positions", _last_axes))
    if layout.class_token:
        table.append(Rule(key(layout.class_token), "class_token", _last_axis))
    if layout.embedding_norm:
        table += norm_rules(key(layout.embedding_norm), "embedding_norm")
    block, target = rf"{key(layout.blocks)}\.(?P<block>\d+)\.", r"block\g<block>"
    for ours, theirs in layout.linears.items():
        table += affine_rules(block + re.escape(theirs), f"{target}/{ours}", linear_kernel)
    for ours, theirs in layout.norms.items():
        table += norm_rules(block + re.escape(theirs), f"{target}/{ours}")
    for ours, theirs in layout.layer_scales.items():
        table.append(Rule(block + re.escape(theirs), f"{target}/{ours}"))
    table += [Rule(pattern, None) for pattern in layout.dropped]
    return table


def architecture(
    source: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    layout: Layout,
    prefix: str,
    name: str,
) -> ViTSpec:
    """The architecture of a checkpoint, read off its shapes.

    Args:
        source: arrays by key.
        config: of transformers, or empty; only it tells the number of heads, the activation and
            epsilon. Without it they are the layout's.
        layout: of the checkpoint.
        prefix: of the encoder's keys.
        name: the source, for messages.

    Raises:
        InputError: it is no vision transformer of that layout.
    """

    def array(key: str, dimensions: int) -> np.ndarray:
        found = source.get(prefix + key)
        if found is None or found.ndim != dimensions:
            shape = "none" if found is None else f"shape {found.shape}"
            raise InputError(
                f"{name}: expected a {layout.family} encoder with an array {prefix}{key} of "
                f"{dimensions} dimensions, found {shape}"
            )
        return found

    kernel = array(f"{layout.patch_embedding}.weight", 4)
    width, channels, patch = kernel.shape[:3]
    if channels != 3 or kernel.shape[3] != patch:
        raise InputError(
            f"{name}: expected square patches of 3 channels, found {prefix}"
            f"{layout.patch_embedding}.weight of shape {kernel.shape}"
        )
    pattern = rf"{re.escape(prefix + layout.blocks)}\.(\d+)\..*"
    blocks = {match[1] for key in source if (match := re.fullmatch(pattern, key))}
    mlp = array(f"{layout.blocks}.0.{layout.linears['mlp_in']}.weight", 2)
    positions = source.get(prefix + layout.positions, np.zeros((0, 0)))
    patches = positions.shape[-2] - (layout.class_token is not None) if positions.ndim > 1 else 0
    grid = round(max(patches, 0) ** 0.5)
    if patches < 1 or grid * grid != patches:
        raise InputError(
            f"{name}: expected position embeddings of a square grid in {prefix}{layout.positions}, "
            f"found shape {positions.shape}"
        )
    config = config.get("vision_config", config)
    if not isinstance(config, Mapping):
        config = {}
    declared = config.get("hidden_size", width)
    if declared != width:
        raise InputError(
            f"{name}: expected the width of its configuration, {declared}, found {width}"
        )
    heads = config.get("num_attention_heads")
    if heads is None and width in _WIDTHS_WITH_KNOWN_HEADS:
        heads = width // _HEAD_WIDTH
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise InputError(
            f"{name}: expected a config.json beside it with num_attention_heads that divide the "
            f"width {width}, found {heads}"
        )
    activation = config.get("hidden_act")
    if activation is not None and activation not in tuple(_ACTIVATIONS):
        raise InputError(
            f"{name}: expected hidden_act as one of {', '.join(_ACTIVATIONS)}, found {activation!r}"
        )
    epsilon = config.get("layer_norm_eps", layout.epsilon)
    if not isinstance(epsilon, float):
        raise InputError(f"{name}: expected layer_norm_eps as a number, found {epsilon!r}")
    return ViTSpec(
        width=width,
        depth=len(blocks),
        heads=heads,
        mlp_width=mlp.shape[0],
        patch=patch,
        image_size=grid * patch,
        class_token=layout.class_token is not None,
        embedding_norm=layout.embedding_norm is not None,
        layer_scale=bool(layout.layer_scales),
        patch_bias=f"{prefix}{layout.patch_embedding}.bias" in source,
        activation=layout.activation if activation is None else _ACTIVATIONS[activation],
        epsilon=epsilon,
    )


def convert_encoder(
    source: Mapping[str, np.ndarray], config: Mapping[str, Any], layout: Layout, name: str
) -> Conversion:
    """Convert a checkpoint of a given layout.

    Args:
        source: arrays by key.
        config: its `config.json`; empty where there is none.
        layout: of the checkpoint.
        name: the source, for messages.

    Raises:
        InputError: naming every entry that does not fit.
    """
    marker = f"{layout.patch_embedding}.weight"
    prefix = next((p for p in layout.prefixes if p + marker in source), None)
    if prefix is None:
        raise InputError(
            f"{name}: expected the vision encoder of a {layout.family} checkpoint, which has "
            f"{layout.prefixes[0]}{marker}, found {len(source)} other arrays such as "
            f"{next(iter(source), 'none')}"
        )
    spec = architecture(source, config, layout, prefix, name)
    shapes = frozen_shapes(spec, (spec.depth,), spec.image_size)
    table = rules(layout, prefix)
    parameters = convert(source, table, shapes, name=name)
    dropped = [rule.pattern for rule in table if rule.target is None]
    left_out = tuple(k for k in source if any(re.fullmatch(pattern, k) for pattern in dropped))
    return Conversion(spec, layout.statistics, parameters, left_out)
