"""What tells one vision encoder from another, and the published encoders by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxrecon.errors import InputError

ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu")


@dataclasses.dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation of the three channels of pixels in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_PIXELS = PixelStatistics(
    (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
SIGLIP_PIXELS = PixelStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclasses.dataclass(frozen=True)
class ViTSpec:
    """Architecture of a vision transformer with pre-normalised blocks.

    Attributes:
        width: channels of a token.
        depth: blocks of the complete encoder.
        heads: attention heads of a block.
        mlp_width: hidden channels of a block's MLP.
        patch: side of a square patch, pixels.
        image_size: side of the square images its position grid was trained for, pixels.
        class_token: a learned token stands before the patches.
        embedding_norm: a LayerNorm follows the embeddings (CLIP's `pre_layrnorm`).
        layer_scale: each branch of a block is scaled per channel (DINOv2).
        patch_bias: the patch embedding has a bias.
        activation: of the MLP, one of `ACTIVATIONS`: exact GELU, its tanh approximation, or
            x sigmoid(1.702 x).
        epsilon: added to the variance in every LayerNorm.
    """

    width: int
    depth: int
    heads: int
    mlp_width: int
    patch: int
    image_size: int
    class_token: bool
    embedding_norm: bool
    layer_scale: bool
    patch_bias: bool
    activation: str
    epsilon: float

    @property
    def label(self) -> str:
        """Short name as papers give it, such as "ViT-B/16"."""
        letters = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H"}
        return f"ViT-{letters.get(self.width, self.width)}/{self.patch}"

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], name: str) -> "ViTSpec":
        """Inverse of `to_json`.

        Args:
            fields: one value for each attribute.
            name: where they come from, for messages.

        Raises:
            InputError: a field is missing, unknown, or its value is not usable.
        """
        known = {field.name: field.type for field in dataclasses.fields(cls)}
        if fields.keys() != known.keys():
            differing = ", ".join(sorted(fields.keys() ^ known.keys()))
            raise InputError(
                f"{name}: expected the fields of a vision transformer, found other ones or none "
                f"for {differing}"
            )
        for field, expected in known.items():
            value = fields[field]
            if type(value) is not expected:
                raise InputError(f"{name}: expected {field} as {expected}, found {value!r}")
        spec = cls(**fields)
        sizes = (spec.width, spec.depth, spec.heads, spec.mlp_width, spec.patch, spec.image_size)
        if min(sizes) < 1 or spec.width % spec.heads or spec.image_size < spec.patch:
            raise InputError(
                f"{name}: expected sizes of a vision transformer, found width {spec.width}, depth "
                f"{spec.depth}, {spec.heads} heads, MLP {spec.mlp_width}, patch {spec.patch}, "
                f"image size {spec.image_size}"
            )
        if spec.activation not in ACTIVATIONS:
            raise InputError(
                f"{name}: expected activation as one of {', '.join(ACTIVATIONS)}, "
                f"found {spec.activation!r}"
            )
        return spec


@dataclasses.dataclass(frozen=True)
class PublishedEncoder:
    """An encoder others trained and published.

    Attributes:
        spec: its architecture.
        statistics: pixel statistics it was trained with.
        converter: module of `weight_conversion` that reads it.
        source: its Hugging Face id.
    """

    spec: ViTSpec
    statistics: PixelStatistics
    converter: str
    source: str

    def conversion_command(self, output: object) -> str:
        """The command that writes its weights to the folder `output`."""
        return (
            f"python -m weight_conversion.{self.converter} --source {self.source} --output {output}"
        )


def _vit(letter: str, patch: int, **fields: Any) -> ViTSpec:
    width, depth, heads = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}[letter]
    common: dict[str, Any] = {
        "image_size": 224,
        "class_token": True,
        "embedding_norm": False,
        "layer_scale": False,
        "patch_bias": True,
        "activation": "gelu",
        "epsilon": 1e-6,
    }
    return ViTSpec(
        width=width, depth=depth, heads=heads, mlp_width=4 * width, patch=patch, **common | fields
    )


def _clip(letter: str, patch: int) -> ViTSpec:
    return _vit(
        letter,
        patch,
        embedding_norm=True,
        patch_bias=False,
        activation="quick_gelu",
        epsilon=1e-5,
    )


def _dinov2(letter: str) -> ViTSpec:
    return _vit(letter, 14, image_size=518, layer_scale=True)


def _siglip(letter: str, patch: int, image_size: int) -> ViTSpec:
    return _vit(letter, patch, image_size=image_size, class_token=False, activation="gelu_tanh")


PUBLISHED: dict[str, PublishedEncoder] = {
    "clip_vit_b16": PublishedEncoder(
        _clip("b", 16), CLIP_PIXELS, "clip", "openai/clip-vit-base-patch16"
    ),
    "clip_vit_l14": PublishedEncoder(
        _clip("l", 14), CLIP_PIXELS, "clip", "openai/clip-vit-large-patch14"
    ),
    "dinov2_vit_s14": PublishedEncoder(_dinov2("s"), IMAGENET, "dinov2", "facebook/dinov2-small"),
    "dinov2_vit_b14": PublishedEncoder(_dinov2("b"), IMAGENET, "dinov2", "facebook/dinov2-base"),
    "dinov2_vit_l14": PublishedEncoder(_dinov2("l"), IMAGENET, "dinov2", "facebook/dinov2-large"),
    "biomedclip_vit_b16": PublishedEncoder(
        _vit("b", 16),
        CLIP_PIXELS,
        "biomedclip",
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    ),
    "siglip_vit_b16": PublishedEncoder(
        _siglip("b", 16, 224), SIGLIP_PIXELS, "siglip", "google/siglip-base-patch16-224"
    ),
    "siglip_vit_l16": PublishedEncoder(
        _siglip("l", 16, 384), SIGLIP_PIXELS, "siglip", "google/siglip-large-patch16-384"
    ),
}


def published_encoder(name: str) -> PublishedEncoder:
    """A published encoder by its name in `PUBLISHED`.

    Raises:
        InputError: there is none of that name; the message lists them.
    """
    if name not in PUBLISHED:
        raise InputError(
            f"encoder.architecture: expected one of {', '.join(PUBLISHED)}, found {name!r}"
        )
    return PUBLISHED[name]
