"""What tells one Janus from another, and the shapes of its parameters.

Only the half that understands images: vision tower, aligner and language model (Chen et al. 2025,
"Janus-Pro", arXiv:2501.17811).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxrecon.encoders.spec import SIGLIP_PIXELS, PixelStatistics, ViTSpec
from jaxrecon.encoders.vit import frozen_shapes
from jaxrecon.errors import InputError


@dataclasses.dataclass(frozen=True)
class LlamaSpec:
    """Architecture of a Llama language model (Touvron et al. 2023, arXiv:2302.13971).

    Attributes:
        vocabulary: tokens the embedding and the head know.
        width: channels of a token.
        depth: layers.
        heads: heads of the queries.
        key_value_heads: heads of keys and values, each shared by heads / key_value_heads queries.
        head_width: channels of a head.
        mlp_width: hidden channels of a layer's MLP.
        rope_theta: base of the rotary embeddings' wavelengths.
        epsilon: added to the mean square in every RMSNorm.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    key_value_heads: int
    head_width: int
    mlp_width: int
    rope_theta: float = 10000.0
    epsilon: float = 1e-6

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], name: str) -> "LlamaSpec":
        """Inverse of `to_json`.

        Args:
            fields: one value for each attribute.
            name: where they come from, for messages.

        Raises:
            InputError: a field is missing, unknown, or its value is not usable.
        """
        types = {field.name: field.type for field in dataclasses.fields(cls)}
        _check_fields(fields, types.keys(), "a language model", name)
        values = {}
        for field, expected in types.items():
            value = fields[field]
            if expected is float and type(value) is int:
                value = float(value)
            if type(value) is not expected:
                raise InputError(f"{name}: expected {field} as {expected}, found {value!r}")
            if value <= 0:
                raise InputError(f"{name}: expected {field} above 0, found {value}")
            values[field] = value
        spec = cls(**values)
        if spec.heads % spec.key_value_heads:
            raise InputError(
                f"{name}: expected key_value_heads as a divisor of heads, {spec.heads}, found "
                f"{spec.key_value_heads}"
            )
        if spec.head_width % 2:
            raise InputError(
                f"{name}: expected an even head_width for rotary embeddings, found "
                f"{spec.head_width}"
            )
        return spec


@dataclasses.dataclass(frozen=True)
class JanusSpec:
    """Architecture of the parts of a Janus that understand images.

    Attributes:
        vision: the tower that sees the image.
        language: the language model.
        aligner_depth: linear maps, with exact GELU between them, that bring the tower's tokens to
            the width of the language model.
    """

    vision: ViTSpec
    language: LlamaSpec
    aligner_depth: int = 2

    @property
    def aligner_width(self) -> int:
        """Channels of every linear map of the aligner: those of the language model's tokens."""
        return self.language.width

    @property
    def image_size(self) -> int:
        """Side of the square images, pixels: a multiple of the patch."""
        return self.vision.image_size - self.vision.image_size % self.vision.patch

    @property
    def image_tokens(self) -> int:
        """Tokens of one image."""
        return (self.image_size // self.vision.patch) ** 2

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], name: str) -> "JanusSpec":
        """Inverse of `to_json`.

        Args:
            fields: one value for each attribute.
            name: where they come from, for messages.

        Raises:
            InputError: a field is missing, unknown, or its value is not usable.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        _check_fields(fields, known, "Janus", name)
        parts = {}
        for part in ("vision", "language"):
            parts[part] = fields[part]
            if not isinstance(parts[part], Mapping):
                raise InputError(f"{name}: expected {part} as an object, found {parts[part]!r}")
        vision = ViTSpec.from_json(parts["vision"], f"{name}: vision")
        if vision.class_token:
            raise InputError(f"{name}: expected a vision tower without class token, found one")
        language = LlamaSpec.from_json(parts["language"], f"{name}: language")
        depth = fields["aligner_depth"]
        if type(depth) is not int or depth < 1:
            raise InputError(f"{name}: expected aligner_depth as a count above 0, found {depth!r}")
        return cls(vision, language, depth)


def _check_fields(fields: Mapping[str, Any], known: Any, kind: str, name: str) -> None:
    differing = fields.keys() ^ set(known)
    if differing:
        raise InputError(
            f"{name}: expected the fields of {kind}, found other ones or none for "
            f"{', '.join(sorted(map(str, differing)))}"
        )


# The tower is SigLIP-L/16-384 run with exact GELU, as both published codes of Janus do.
JANUS_PRO_1B = JanusSpec(
    vision=ViTSpec(
        width=1024,
        depth=24,
        heads=16,
        mlp_width=4096,
        patch=16,
        image_size=384,
        class_token=False,
        embedding_norm=False,
        layer_scale=False,
        patch_bias=True,
        activation="gelu",
        epsilon=1e-6,
    ),
    language=LlamaSpec(
        vocabulary=102400,
        width=2048,
        depth=24,
        heads=16,
        key_value_heads=16,
        head_width=128,
        mlp_width=5632,
    ),
)
JANUS_PIXELS: PixelStatistics = SIGLIP_PIXELS


def janus_shapes(spec: JanusSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by "/"-joined path; nothing is computed.

    Kernels are (inputs, outputs). Those of the language model's layers are stacked on a leading
    axis, (layers, inputs, outputs).

    Args:
        spec: the architecture.
    """
    vision, language = spec.vision, spec.language
    tower = frozen_shapes(vision, (vision.depth,), spec.image_size)
    shapes: dict[str, tuple[int, ...]] = {f"vision/{path}": shape for path, shape in tower.items()}
    shapes["vision_norm/scale"] = shapes["vision_norm/bias"] = (vision.width,)
    for index in range(spec.aligner_depth):
        inputs = spec.aligner_width if index else vision.width
        shapes[f"aligner/dense{index}/kernel"] = (inputs, spec.aligner_width)
        shapes[f"aligner/dense{index}/bias"] = (spec.aligner_width,)
    return shapes | {f"language/{path}": shape for path, shape in llama_shapes(language).items()}


def llama_shapes(spec: LlamaSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of the language model alone, see `janus_shapes`.

    Args:
        spec: the architecture.
    """
    width, queries = spec.width, spec.heads * spec.head_width
    shared = spec.key_value_heads * spec.head_width
    layer: dict[str, tuple[int, ...]] = {
        "norm1/scale": (width,),
        "query/kernel": (width, queries),
        "key/kernel": (width, shared),
        "value/kernel": (width, shared),
        "output/kernel": (queries, width),
        "norm2/scale": (width,),
        "gate/kernel": (width, spec.mlp_width),
        "up/kernel": (width, spec.mlp_width),
        "down/kernel": (spec.mlp_width, width),
    }
    return {
        "embedding": (spec.vocabulary, width),
        **{f"layers/{path}": (spec.depth, *shape) for path, shape in layer.items()},
        "norm/scale": (width,),
        "head/kernel": (width, spec.vocabulary),
    }
