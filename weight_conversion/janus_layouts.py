"""The two layouts Janus is published in: which key holds which parameter."""

import dataclasses
import re
from collections.abc import Callable, Mapping

from weight_conversion import biomedclip, siglip
from weight_conversion import vision_encoder as vision
from weight_conversion.rules import Rule, linear_kernel
from weight_conversion.stored_tensors import StoredTensor


@dataclasses.dataclass(frozen=True)
class JanusLayout:
    """Where a family of checkpoints keeps the parts of Janus that understand images.

    Attributes:
        vision: of the vision tower.
        vision_prefix: of the tower's keys.
        vision_norm: key of the LayerNorm behind the tower.
        aligner: key of the aligner's linear layer of a given index.
        language_prefix: of the language model's keys, its head excepted.
        language_head: key of the head.
        dropped: regular expressions of the keys of what generates images, and of what can be
            computed.
    """

    vision: vision.Layout
    vision_prefix: str
    vision_norm: str
    aligner: Callable[[int], str]
    language_prefix: str
    language_head: str
    dropped: tuple[str, ...]


HUGGING_FACE = JanusLayout(
    vision=dataclasses.replace(
        siglip.LAYOUT,
        family="Janus",
        linears={**siglip.LAYOUT.linears, "output": "self_attn.projection_layer"},
        dropped=(),
    ),
    vision_prefix="model.vision_model.",
    vision_norm="model.vision_model.post_layernorm",
    aligner=lambda i: f"model.aligner.hidden_layers.{i - 1}" if i else "model.aligner.fc1",
    language_prefix="model.language_model.",
    language_head="lm_head",
    dropped=(r"model\.vqmodel\..*", r"model\.generation_(embeddings|aligner|head)\..*"),
)

DEEPSEEK = JanusLayout(
    vision=dataclasses.replace(
        biomedclip.LAYOUT,  # timm's names, its fused projections split
        family="Janus",
        class_token=None,
        dropped=(r"vision_model\.vision_tower\.attn_pool\..*",),
    ),
    vision_prefix="vision_model.vision_tower.",
    vision_norm="vision_model.vision_tower.norm",
    aligner=lambda i: f"aligner.layers.{2 * i}",  # activations stand between them
    language_prefix="language_model.model.",
    language_head="language_model.lm_head",
    dropped=(
        r"gen_(vision_model|aligner|head|embed)\..*",
        r"language_model\.model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    ),
)

# Their linear layers in a block of the language model, and ours.
_LANGUAGE_LINEARS = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.o_proj": "output",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}
_LANGUAGE_NORMS = {"input_layernorm": "norm1", "post_attention_layernorm": "norm2"}


def rules(layout: JanusLayout, aligner_depth: int) -> list[Rule]:
    """The conversion table of a layout, for tensors that `split_fused` went over.

    Args:
        layout: of the checkpoint.
        aligner_depth: linear layers of its aligner.
    """
    table = [
        dataclasses.replace(rule, target=rule.target and f"vision/{rule.target}")
        for rule in vision.rules(layout.vision, layout.vision_prefix)
    ]
    table += vision.norm_rules(re.escape(layout.vision_norm), "vision_norm")
    for i in range(aligner_depth):
        table += vision.affine_rules(
            re.escape(layout.aligner(i)), f"aligner/dense{i}", linear_kernel
        )
    language = re.escape(layout.language_prefix)
    table += [
        Rule(rf"{language}embed_tokens\.weight", "language/embedding"),
        Rule(rf"{language}norm\.weight", "language/norm/scale"),
        Rule(rf"{re.escape(layout.language_head)}\.weight", "language/head/kernel", linear_kernel),
    ]
    block, target = rf"{language}layers\.(?P<stack>\d+)\.", "language/layers"
    for theirs, ours in _LANGUAGE_LINEARS.items():
        source = rf"{block}{re.escape(theirs)}\.weight"
        table.append(Rule(source, f"{target}/{ours}/kernel", linear_kernel))
    for theirs, ours in _LANGUAGE_NORMS.items():
        table.append(Rule(rf"{block}{re.escape(theirs)}\.weight", f"{target}/{ours}/scale"))
    return table + [Rule(pattern, None) for pattern in layout.dropped]


def split_fused(source: Mapping[str, StoredTensor], layout: JanusLayout) -> dict[str, StoredTensor]:
    """The three equal parts of each of the tower's fused projections under keys of their own.

    Args:
        source: tensors by key.
        layout: theirs. That of transformers has no fused projections.
    """
    fused = re.compile(rf"({re.escape(layout.vision_prefix)}.*\.qkv)\.(weight|bias)")
    split: dict[str, StoredTensor] = {}
    for key, tensor in source.items():
        match = fused.fullmatch(key)
        if match is None or not tensor.shape or tensor.shape[0] % 3:
            split[key] = tensor
            continue
        rows = tensor.shape[0] // 3
        for i, part in enumerate(("query", "key", "value")):
            split[f"{match[1]}.{part}.{match[2]}"] = tensor.rows(i * rows, (i + 1) * rows)
    return split


def tie_head(source: Mapping[str, StoredTensor], layout: JanusLayout) -> dict[str, StoredTensor]:
    """The tensors with the embedding as the head where it is left out because the two are one."""
    head = f"{layout.language_head}.weight"
    embedding = f"{layout.language_prefix}embed_tokens.weight"
    if head in source or embedding not in source:
        return dict(source)
    return {**source, head: source[embedding]}
