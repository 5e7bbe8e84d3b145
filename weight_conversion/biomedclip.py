r"""Convert BiomedCLIP's vision encoder from its open_clip layout.

    python -m weight_conversion.biomedclip --output weights/biomedclip \
        --source microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224

reads an open_clip checkpoint whose vision tower is a timm vision transformer and writes
`weights.safetensors` and `spec.json`. The text encoder and what follows the last hidden state are
left out. Running it again does nothing while source and output are unchanged.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrecon.encoders.spec import CLIP_PIXELS
from weight_conversion.encoder_program import run
from weight_conversion.vision_encoder import Conversion, Layout, convert_encoder

CONVERTER = "biomedclip 1"

LAYOUT = Layout(
    family="BiomedCLIP",
    prefixes=("visual.trunk.",),
    patch_embedding="patch_embed.proj",
    class_token="cls_token",
    positions="pos_embed",
    blocks="blocks",
    linears={
        "query": "attn.qkv.query",  # as `_split_qkv` names the parts
        "key": "attn.qkv.key",
        "value": "attn.qkv.value",
        "output": "attn.proj",
        "mlp_in": "mlp.fc1",
        "mlp_out": "mlp.fc2",
    },
    norms={"norm1": "norm1", "norm2": "norm2"},
    dropped=(
        r"text\..*",
        r"logit_scale",
        r"visual\.trunk\.norm\.(weight|bias)",
        r"visual\.head\..*",
    ),
    activation="gelu",
    epsilon=1e-6,
    statistics=CLIP_PIXELS,
)


def _split_qkv(source: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The three equal parts of every fused projection under keys of their own."""
    split: dict[str, np.ndarray] = {}
    for key, array in source.items():
        fused = re.fullmatch(r"(visual\.trunk\..*\.qkv)\.(weight|bias)", key)
        if fused is None or array.shape[0] % 3:
            split[key] = array
            continue
        for part, values in zip(("query", "key", "value"), np.split(array, 3), strict=True):
            split[f"{fused[1]}.{part}.{fused[2]}"] = values
    return split


def convert_biomedclip(
    source: Mapping[str, np.ndarray], config: Mapping[str, Any], name: str
) -> Conversion:
    """Convert a BiomedCLIP checkpoint, see `convert_encoder`.

    Args:
        source: arrays by key.
        config: not used: open_clip's does not describe the blocks, which are timm's.
        name: the source, for messages.
    """
    del config
    return convert_encoder(_split_qkv(source), {}, LAYOUT, name)


if __name__ == "__main__":
    run(convert_biomedclip, CONVERTER)
