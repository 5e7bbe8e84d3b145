r"""Convert a DINOv2 encoder from its Hugging Face layout.

    python -m weight_conversion.dinov2 --source facebook/dinov2-base --output weights/dinov2

reads a checkpoint of transformers' `Dinov2Model` (or of a model that holds one) and writes
`weights.safetensors` and `spec.json`. What follows the last hidden state is left out. Running it
again does nothing while source and output are unchanged.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrecon.encoders.spec import IMAGENET
from weight_conversion.encoder_program import run
from weight_conversion.vision_encoder import Conversion, Layout, convert_encoder

CONVERTER = "dinov2 1"

LAYOUT = Layout(
    family="DINOv2",
    prefixes=("", "dinov2."),
    patch_embedding="embeddings.patch_embeddings.projection",
    class_token="embeddings.cls_token",
    positions="embeddings.position_embeddings",
    blocks="encoder.layer",
    linears={
        "query": "attention.attention.query",
        "key": "attention.attention.key",
        "value": "attention.attention.value",
        "output": "attention.output.dense",
        "mlp_in": "mlp.fc1",
        "mlp_out": "mlp.fc2",
    },
    norms={"norm1": "norm1", "norm2": "norm2"},
    layer_scales={"scale1": "layer_scale1.lambda1", "scale2": "layer_scale2.lambda1"},
    dropped=(
        r"(dinov2\.)?embeddings\.mask_token",
        r"(dinov2\.)?layernorm\.(weight|bias)",
        r"classifier\.(weight|bias)",
    ),
    activation="gelu",
    epsilon=1e-6,
    statistics=IMAGENET,
)


def convert_dinov2(
    source: Mapping[str, np.ndarray], config: Mapping[str, Any], name: str
) -> Conversion:
    """Convert a DINOv2 checkpoint, see `convert_encoder`."""
    return convert_encoder(source, config, LAYOUT, name)


if __name__ == "__main__":
    run(convert_dinov2, CONVERTER)
