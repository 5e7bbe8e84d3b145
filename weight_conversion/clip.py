r"""Convert CLIP's vision encoder from its Hugging Face layout.

    python -m weight_conversion.clip --source openai/clip-vit-base-patch16 --output weights/clip

reads a checkpoint of transformers' `CLIPModel` or `CLIPVisionModel` and writes
`weights.safetensors` and `spec.json`. The text encoder and what follows the last hidden state are
left out. Running it again does nothing while source and output are unchanged.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrecon.encoders.spec import CLIP_PIXELS
from weight_conversion.encoder_program import run
from weight_conversion.vision_encoder import Conversion, Layout, convert_encoder

CONVERTER = "clip 1"

LAYOUT = Layout(
    family="CLIP",
    prefixes=("vision_model.", ""),
    patch_embedding="embeddings.patch_embedding",
    class_token="embeddings.class_embedding",
    positions="embeddings.position_embedding.weight",
    embedding_norm="pre_layrnorm",  # the key is spelt like this
    blocks="encoder.layers",
    linears={
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.out_proj",
        "mlp_in": "mlp.fc1",
        "mlp_out": "mlp.fc2",
    },
    norms={"norm1": "layer_norm1", "norm2": "layer_norm2"},
    dropped=(
        r"text_model\..*",
        r"(visual|text)_projection\.weight",
        r"logit_scale",
        r"(vision_model\.)?embeddings\.position_ids",
        r"(vision_model\.)?post_layernorm\.(weight|bias)",
    ),
    activation="quick_gelu",
    epsilon=1e-5,
    statistics=CLIP_PIXELS,
)


def convert_clip(
    source: Mapping[str, np.ndarray], config: Mapping[str, Any], name: str
) -> Conversion:
    """Convert a CLIP checkpoint, see `convert_encoder`."""
    return convert_encoder(source, config, LAYOUT, name)


if __name__ == "__main__":
    run(convert_clip, CONVERTER)
