"""Reference encoders of transformers and timm, randomly initialised, and their hidden states."""

import contextlib

import numpy as np
import torch

with contextlib.suppress(RuntimeError):
    # Both packages import torchvision. One built for another torch (a GPU build beside a CPU
    # torch) fails there, on operators that no encoder uses: declare them.
    _operators = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm.models.vision_transformer
import transformers
from transformers.initialization import no_init_weights

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

_SMALL_TEXT_ENCODER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 64,
}

# Width, depth, heads.
FULL = (768, 12, 12)
SMALL = (192, 3, 3)


def randomised(make_model):
    """A model with every parameter drawn at about the size of a trained one's, none 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    with no_init_weights():  # its own values are replaced: drawing them would take seconds
        model = make_model()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2 and "embed" not in name and "token" not in name:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            elif name.endswith("lambda1") or ("norm" in name and name.endswith("weight")):
                parameter.copy_(1 + 0.2 * noise)
            else:
                parameter.copy_(0.1 * noise)
    return model.eval()


def clip(width, depth, heads, patch=16, image_size=224, activation="quick_gelu"):
    """The complete CLIP, as published, with a small text encoder."""
    return randomised(
        lambda: transformers.CLIPModel(
            transformers.CLIPConfig(
                vision_config={
                    "hidden_size": width,
                    "num_hidden_layers": depth,
                    "num_attention_heads": heads,
                    "intermediate_size": 4 * width,
                    "patch_size": patch,
                    "image_size": image_size,
                    "hidden_act": activation,
                },
                text_config=_SMALL_TEXT_ENCODER,
            )
        )
    )


def dinov2(width, depth, heads, image_size=518):
    return randomised(
        lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=width,
                num_hidden_layers=depth,
                num_attention_heads=heads,
                image_size=image_size,
            )
        )
    )


def siglip(width, depth, heads, patch=16, image_size=224):
    """The complete SigLIP, as published, with a small text encoder."""
    return randomised(
        lambda: transformers.SiglipModel(
            transformers.SiglipConfig(
                vision_config={
                    "hidden_size": width,
                    "num_hidden_layers": depth,
                    "num_attention_heads": heads,
                    "intermediate_size": 4 * width,
                    "patch_size": patch,
                    "image_size": image_size,
                },
                text_config=_SMALL_TEXT_ENCODER,
            )
        )
    )


def timm_vit(width, depth, heads, image_size=224):
    return randomised(
        lambda: timm.models.vision_transformer.VisionTransformer(
            img_size=image_size,
            patch_size=16,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            num_classes=0,
        )
    )


def biomedclip_state(trunk):
    """Tensors of open_clip's BiomedCLIP around a timm vision transformer.

    Keys of the text encoder and the heads as the published file has them, in small shapes.
    """
    return {f"visual.trunk.{key}": value for key, value in trunk.state_dict().items()} | {
        "visual.head.proj.weight": torch.zeros(8, trunk.embed_dim),
        "text.transformer.embeddings.word_embeddings.weight": torch.zeros(5, 4),
        "text.transformer.encoder.layer.0.attention.self.query.weight": torch.zeros(4, 4),
        "text.proj.0.weight": torch.zeros(4, 4),
        "logit_scale": torch.zeros(()),
    }


def hidden_states(model, pixels):
    """Embeddings and output of every block, for pixels (batch, height, width, 3)."""
    channels_first = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        if isinstance(model, timm.models.vision_transformer.VisionTransformer):
            states = []
            hooks = [
                block.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
                for block in model.blocks
            ]
            hooks.append(
                model.blocks[-1].register_forward_hook(lambda *call: states.append(call[2]))
            )
            model.forward_features(channels_first)
            for hook in hooks:
                hook.remove()
        else:
            vision = getattr(model, "vision_model", model)
            states = vision(channels_first, output_hidden_states=True).hidden_states
    return [state.numpy() for state in states]


def save(model, folder):
    """Write a model as its publishers lay it out."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, timm.models.vision_transformer.VisionTransformer):
        torch.save(biomedclip_state(model), folder / "open_clip_pytorch_model.bin")
        (folder / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 512}}')
    else:
        model.save_pretrained(folder)
    return folder
