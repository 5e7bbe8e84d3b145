r"""Convert SigLIP's vision encoder from its Hugging Face layout.

    python -m weight_conversion.siglip --source google/siglip-base-patch16-224 \
        --output weights/siglip

reads a checkpoint of transformers' `SiglipModel` or `SiglipVisionModel` and writes
`weights.safetensors` and `spec.json`. The text encoder, the pooling head and the last LayerNorm
are left out. Running it again does nothing while source and output are unchanged.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrecon.encoders.spec import SIGLIP_PIXELS
from weight_conversion import clip
from weight_conversion.encoder_program import run
from weight_conversion.vision_encoder import Conversion, convert_encoder

CONVERTER = "siglip 1"

LAYOUT = dataclasses.replace(
    clip.LAYOUT,
    family="SigLIP",
    class_token=None,
    embedding_norm=None,
    dropped=(
        r"text_model\..*",
        r"logit_(scale|bias)",
        r"(vision_model\.)?embeddings\.position_ids",
        r"(vision_model\.)?post_layernorm\.(weight|bias)",
        r"(vision_model\.)?head\..*",
    ),
    activation="gelu_tanh",
    epsilon=1e-6,
    statistics=SIGLIP_PIXELS,
)


def convert_siglip(
    source: Mapping[str, np.ndarray], config: Mapping[str, Any], name: str
) -> Conversion:
    """Convert a SigLIP checkpoint, see `convert_encoder`."""
    return convert_encoder(source, config, LAYOUT, name)


if __name__ == "__main__":
    run(convert_siglip, CONVERTER)
