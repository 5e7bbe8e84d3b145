"""Reading the configurations Janus is published with."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrecon.encoders.janus_spec import JANUS_PIXELS, JanusSpec
from jaxrecon.errors import InputError
from weight_conversion.janus_layouts import DEEPSEEK, HUGGING_FACE, JanusLayout
from weight_conversion.sources import read_json

# What a configuration leaves out has these values: the defaults of transformers' classes.
_VISION_DEFAULTS: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 384,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "mlp_ratio": 4.0,
    "attention_bias": True,
    "projection_dim": 2048,
    "use_qk_norm": False,
    "depth": 2,
}
_LANGUAGE_DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}

_VISION_REQUIRED = {
    "hidden_act": "gelu",
    "num_channels": 3,
    "attention_bias": True,
    "use_qk_norm": False,
}
_LANGUAGE_REQUIRED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}

# What deepseek-ai's code takes a tower's name to mean, in the words of transformers.
DEEPSEEK_TOWERS: dict[str, Mapping[str, Any]] = {
    "siglip_large_patch16_384": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 16,
        "mlp_ratio": 4.0,
    }
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What a configuration says of a checkpoint.

    Attributes:
        layout: of its keys.
        spec: the architecture.
        tied_head: the language model's head is its embedding.
    """

    layout: JanusLayout
    spec: JanusSpec
    tied_head: bool


def read_architecture(config: Mapping[str, Any], name: str) -> Architecture:
    """The architecture a configuration describes.

    Args:
        config: content of `config.json`.
        name: the source, for messages.

    Raises:
        InputError: it is not Janus's, or describes a Janus other than those published: another
            activation, another aligner, scaled rotary embeddings.
    """
    kind = config.get("model_type")
    if kind == "janus":
        layout = HUGGING_FACE
        vision = _VISION_DEFAULTS | _part(config, "vision_config", name)
        language = _LANGUAGE_DEFAULTS | _part(config, "text_config", name)
        tied_head = config.get("tie_word_embeddings", True)
    elif kind == "multi_modality":
        layout = DEEPSEEK
        vision = _VISION_DEFAULTS | _deepseek_vision(config, name)
        language = _LANGUAGE_DEFAULTS | _part(config, "language_config", name)
        tied_head = language["tie_word_embeddings"]
    else:
        found = f"model_type {kind!r}" if config else "none"
        raise InputError(
            f"{name}: expected a config.json of Janus, with model_type 'janus' or "
            f"'multi_modality', found {found}"
        )
    _require(vision, _VISION_REQUIRED, f"{name}: vision_config")
    _require(language, _LANGUAGE_REQUIRED, f"{name}: language model's config")
    fields = {
        "vision": _vision(vision),
        "language": _language(language, name),
        "aligner_depth": vision["depth"],
    }
    spec = JanusSpec.from_json(fields, f"{name}: config.json")
    if vision["projection_dim"] != spec.language.width:
        raise InputError(
            f"{name}: expected an aligner to the language model's width, {spec.language.width}, "
            f"found one to {vision['projection_dim']!r}"
        )
    return Architecture(layout, spec, bool(tied_head))


def _vision(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a `ViTSpec` from those of `JanusVisionConfig`, for `from_json` to check."""
    return {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "mlp_width": _times(config["hidden_size"], config["mlp_ratio"]),
        "patch": config["patch_size"],
        "image_size": config["image_size"],
        "class_token": False,
        "embedding_norm": False,
        "layer_scale": False,
        "patch_bias": True,
        "activation": "gelu",
        "epsilon": config["layer_norm_eps"],
    }


def _language(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Fields of a `LlamaSpec` from those of `LlamaConfig`, of transformers 4 or 5."""
    rope = config.get("rope_parameters") or config["rope_scaling"] or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise InputError(f"{name}: expected rotary embeddings of type 'default', found {kind!r}")
    width, heads = config["hidden_size"], config["num_attention_heads"]
    key_value_heads, head_width = config["num_key_value_heads"], config["head_dim"]
    return {
        "vocabulary": config["vocab_size"],
        "width": width,
        "depth": config["num_hidden_layers"],
        "heads": heads,
        "key_value_heads": heads if key_value_heads is None else key_value_heads,
        "head_width": _over(width, heads) if head_width is None else head_width,
        "mlp_width": config["intermediate_size"],
        "rope_theta": rope.get("rope_theta", config["rope_theta"]),
        "epsilon": config["rms_norm_eps"],
    }


def _times(width: object, ratio: object) -> object:
    """Whole part of the product; where there is none, what `from_json` names as unusable."""
    if isinstance(width, int) and isinstance(ratio, int | float):
        return int(width * ratio)
    return None


def _over(width: object, heads: object) -> object:
    """Whole part of the quotient; where there is none, what `from_json` names as unusable."""
    if isinstance(width, int) and isinstance(heads, int) and heads > 0:
        return width // heads
    return None


def _deepseek_vision(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What deepseek-ai's configuration says of tower and aligner, in the words of transformers."""
    vision = _part(_part(config, "vision_config", name), "params", f"{name}: vision_config")
    aligner = _part(_part(config, "aligner_config", name), "params", f"{name}: aligner_config")
    tower = vision.get("model_name")
    if tower not in tuple(DEEPSEEK_TOWERS):
        raise InputError(
            f"{name}: vision_config: expected model_name as one of "
            f"{', '.join(DEEPSEEK_TOWERS)}, found {tower!r}"
        )
    _require(vision, {"select_layer": -1}, f"{name}: vision_config")
    _require(aligner, {"projector_type": "mlp_gelu"}, f"{name}: aligner_config")
    image_size = vision.get("image_size", _VISION_DEFAULTS["image_size"])
    sizes = {"image_size": image_size, "projection_dim": aligner.get("n_embed")}
    return {**DEEPSEEK_TOWERS[tower], **sizes, "depth": aligner.get("depth", 1)}


def _part(config: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    part = config.get(key)
    if not isinstance(part, dict):
        raise InputError(f"{name}: expected {key} as a JSON object in config.json, found {part!r}")
    return part


def _require(config: Mapping[str, Any], values: Mapping[str, Any], name: str) -> None:
    for key, value in values.items():
        if config.get(key) != value:
            raise InputError(f"{name}: expected {key} {value!r}, found {config.get(key)!r}")


def read_preprocessing(files: Mapping[str, Path], spec: JanusSpec) -> dict[str, Any]:
    """How pixels are prepared for the vision tower.

    Args:
        files: beside the checkpoint, by name. That of the processor tells the statistics; where
            there is none they are those of the published Janus.
        spec: of the checkpoint.

    Returns:
        Mean and standard deviation of the three channels of pixels in 0..1 as lists, and the side
        of the square images in pixels.

    Raises:
        InputError: a file has statistics or a size that cannot be used.
    """
    size = spec.vision.image_size
    default = {"mean": list(JANUS_PIXELS.mean), "std": list(JANUS_PIXELS.std), "size": size}
    path = files.get("preprocessor_config.json", files.get("processor_config.json"))
    if path is None:
        return default
    content = read_json(path)
    nested = content.get("image_processor")
    content = nested if isinstance(nested, dict) else content
    mean, std = content.get("image_mean", default["mean"]), content.get("image_std", default["std"])
    for key, value in (("image_mean", mean), ("image_std", std)):
        numbers = isinstance(value, list) and all(
            isinstance(number, int | float) for number in value
        )
        if not numbers or len(value) != 3:
            raise InputError(f"{path}: expected {key} as three numbers, found {value!r}")
    declared = content.get("size", content.get("image_size", size))
    if declared not in (size, {"height": size, "width": size}):
        raise InputError(
            f"{path}: expected the image size of the vision tower, {size}, found {declared!r}"
        )
    return {"mean": mean, "std": std, "size": size}
