"""Small random checkpoints of Janus in both published layouts, and what they convert to."""

import json
import re

import numpy as np
import reference_encoders as reference
import torch

from weight_conversion import janus_config

transformers = reference.transformers

TOWER = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "patch_size": 8,
    "mlp_ratio": 2.0,
}
# deepseek-ai's configurations give the tower's sizes by name only.
SMALL_TOWER = "siglip_small"
janus_config.DEEPSEEK_TOWERS[SMALL_TOWER] = TOWER
LANGUAGE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def random_janus(tie=False, **language):
    """Janus with every part, also those that generate images, randomly initialised."""
    language = LANGUAGE | language
    config = transformers.JanusConfig(
        text_config=transformers.LlamaConfig(**language),
        vision_config=transformers.JanusVisionConfig(
            **TOWER, image_size=32, projection_dim=language["hidden_size"], num_image_tokens=16
        ),
        vq_config=transformers.JanusVQVAEConfig(
            embed_dim=4,
            num_embeddings=16,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=[1, 1],
            num_res_blocks=1,
            projection_dim=32,
            image_token_embed_dim=32,
        ),
        tie_word_embeddings=tie,
    )
    generator = torch.Generator().manual_seed(0)
    with reference.no_init_weights():
        model = transformers.JanusForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    if tie:
        model.tie_weights()
    return model


# Keys of deepseek-ai's layout by those of transformers; the projections of the tower are fused.
VISION, BLOCK = "vision_model.vision_tower.", r"model\.vision_model\.encoder\.layers\.(\d+)\."
DEEPSEEK_KEYS = {
    r"model\.vision_model\.embeddings\.patch_embedding\.(.*)": rf"{VISION}patch_embed.proj.\1",
    r"model\.vision_model\.embeddings\.position_embedding\.weight": f"{VISION}pos_embed",
    r"model\.vision_model\.post_layernorm\.(.*)": rf"{VISION}norm.\1",
    rf"{BLOCK}layer_norm([12])\.(.*)": rf"{VISION}blocks.\1.norm\2.\3",
    rf"{BLOCK}self_attn\.projection_layer\.(.*)": rf"{VISION}blocks.\1.attn.proj.\2",
    rf"{BLOCK}mlp\.(.*)": rf"{VISION}blocks.\1.mlp.\2",
    r"model\.aligner\.fc1\.(.*)": r"aligner.layers.0.\1",
    r"model\.aligner\.hidden_layers\.0\.(.*)": r"aligner.layers.2.\1",
    r"model\.language_model\.(.*)": r"language_model.model.\1",
    r"lm_head\.weight": "language_model.lm_head.weight",
    r"model\.vqmodel\.(.*)": r"gen_vision_model.\1",
    r"model\.generation_aligner\.(.*)": r"gen_aligner.\1",
    r"model\.generation_head\.(.*)": r"gen_head.\1",
    r"model\.generation_embeddings\.weight": "gen_embed.weight",
}


def deepseek_tensors(model):
    """The weights as deepseek-ai's repositories hold them."""
    source, renamed = model.state_dict(), {}
    for key, tensor in source.items():
        fused = re.fullmatch(rf"{BLOCK}self_attn\.q_proj\.(weight|bias)", key)
        if fused:
            parts = [source[key.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed[f"{VISION}blocks.{fused[1]}.attn.qkv.{fused[2]}"] = torch.cat(parts)
        for pattern, target in DEEPSEEK_KEYS.items():
            if match := re.fullmatch(pattern, key):
                renamed[match.expand(target)] = tensor
    renamed[f"{VISION}pos_embed"] = renamed[f"{VISION}pos_embed"][None]
    renamed[f"{VISION}attn_pool.latent"] = torch.zeros(1, 1, TOWER["hidden_size"])
    return renamed


def save_deepseek(model, folder, shards=1):
    """Save in deepseek-ai's layout, with what its configurations leave out left out."""
    folder.mkdir(parents=True)
    tensors, text = deepseek_tensors(model), model.config.text_config.to_dict()
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        names = [f"pytorch_model-{i:05d}-of-{shards:05d}.bin" for i in range(1, shards + 1)]
        places = {key: names[i % shards] for i, key in enumerate(tensors)}
        for name in names:
            shard = {key: tensor for key, tensor in tensors.items() if places[key] == name}
            torch.save(shard, folder / name)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    config = {
        "model_type": "multi_modality",
        "vision_config": {
            "cls": "CLIPVisionTower",
            "params": {
                "image_size": 32,
                "model_name": SMALL_TOWER,
                "select_feature": "same",
                "select_layer": -1,
            },
        },
        "aligner_config": {
            "cls": "MlpProjector",
            "params": {
                "depth": 2,
                "input_dim": TOWER["hidden_size"],
                "n_embed": text["hidden_size"],
                "projector_type": "mlp_gelu",
            },
        },
        "language_config": {"model_type": "llama"} | {key: text[key] for key in LANGUAGE},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_hugging_face(model, folder, shard="1GB"):
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def change_config(source, change):
    config = json.loads((source / "config.json").read_text())
    change(config)
    (source / "config.json").write_text(json.dumps(config))


def expected_parameters(model):
    """Every parameter, computed from the tensors by the definition of its layer.

    A linear layer of torch is x @ weight.T; a convolution over patches is one over their pixels.
    """
    state = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    vision, language = "model.vision_model.", "model.language_model."
    expected = {
        "vision/patch_embedding/kernel": np.stack(
            [
                state[f"{vision}embeddings.patch_embedding.weight"][:, channel, row, column]
                for row in range(8)
                for column in range(8)
                for channel in range(3)
            ]
        ),
        "vision/patch_embedding/bias": state[f"{vision}embeddings.patch_embedding.bias"],
        "vision/positions": state[f"{vision}embeddings.position_embedding.weight"],
        "language/embedding": state[f"{language}embed_tokens.weight"],
        "language/norm/scale": state[f"{language}norm.weight"],
        "language/head/kernel": state["lm_head.weight"].T,
    }

    def put(path, key):
        """A layer with a bias: linear if its weight is a matrix, else a LayerNorm."""
        weight = state[f"{key}.weight"]
        expected[f"{path}/{'kernel' if weight.ndim == 2 else 'scale'}"] = weight.T
        expected[f"{path}/bias"] = state[f"{key}.bias"]

    put("vision_norm", f"{vision}post_layernorm")
    put("aligner/dense0", "model.aligner.fc1")
    put("aligner/dense1", "model.aligner.hidden_layers.0")
    for block in range(TOWER["num_hidden_layers"]):
        for ours, theirs in {
            "norm1": "layer_norm1",
            "query": "self_attn.q_proj",
            "key": "self_attn.k_proj",
            "value": "self_attn.v_proj",
            "output": "self_attn.projection_layer",
            "norm2": "layer_norm2",
            "mlp_in": "mlp.fc1",
            "mlp_out": "mlp.fc2",
        }.items():
            put(f"vision/block{block}/{ours}", f"{vision}encoder.layers.{block}.{theirs}")
    for ours, theirs in {
        "norm1/scale": "input_layernorm",
        "query/kernel": "self_attn.q_proj",
        "key/kernel": "self_attn.k_proj",
        "value/kernel": "self_attn.v_proj",
        "output/kernel": "self_attn.o_proj",
        "norm2/scale": "post_attention_layernorm",
        "gate/kernel": "mlp.gate_proj",
        "up/kernel": "mlp.up_proj",
        "down/kernel": "mlp.down_proj",
    }.items():
        layers = range(LANGUAGE["num_hidden_layers"])
        weights = [state[f"{language}layers.{layer}.{theirs}.weight"].T for layer in layers]
        expected[f"language/layers/{ours}"] = np.stack(weights)
    return expected
