"""Janus of transformers, randomly initialised, and its weights in our tree."""

import numpy as np
import reference_encoders as reference
import torch
from flax import traverse_util

from jaxrecon.encoders.janus_spec import JanusSpec, LlamaSpec
from jaxrecon.encoders.spec import ViTSpec

transformers = reference.transformers

IMAGE_TOKEN, END_TOKEN = 5, 2

SMALL = JanusSpec(
    vision=ViTSpec(
        width=24,
        depth=2,
        heads=3,
        mlp_width=48,
        patch=8,
        image_size=32,
        class_token=False,
        embedding_norm=False,
        layer_scale=False,
        patch_bias=True,
        activation="gelu",
        epsilon=1e-6,
    ),
    language=LlamaSpec(
        vocabulary=96, width=32, depth=3, heads=4, key_value_heads=2, head_width=8, mlp_width=48
    ),
)


def random_janus(spec):
    """transformers' Janus of our architecture, every weight as large as a trained one's."""
    vision, language = spec.vision, spec.language
    config = transformers.JanusConfig(
        text_config=transformers.LlamaConfig(
            vocab_size=language.vocabulary,
            hidden_size=language.width,
            num_hidden_layers=language.depth,
            num_attention_heads=language.heads,
            num_key_value_heads=language.key_value_heads,
            head_dim=language.head_width,
            intermediate_size=language.mlp_width,
            rms_norm_eps=language.epsilon,
            bos_token_id=1,
            eos_token_id=END_TOKEN,
            pad_token_id=None,
        ),
        vision_config=transformers.JanusVisionConfig(
            hidden_size=vision.width,
            num_hidden_layers=vision.depth,
            num_attention_heads=vision.heads,
            mlp_ratio=vision.mlp_width / vision.width,
            patch_size=vision.patch,
            image_size=vision.image_size,
            projection_dim=spec.aligner_width,
            depth=spec.aligner_depth,
            num_image_tokens=spec.image_tokens,
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
        image_token_id=IMAGE_TOKEN,
        tie_word_embeddings=False,
    )
    model = reference.randomised(lambda: transformers.JanusForConditionalGeneration(config))
    model.config._attn_implementation = "eager"
    return model


def parameters(model):
    """The weights as `Janus` keeps them in the collection "frozen"."""
    state = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    flat = {}

    def linear(target, source, bias=True):
        flat[f"{target}/kernel"] = state[f"{source}.weight"].T
        if bias:
            flat[f"{target}/bias"] = state[f"{source}.bias"]

    def norm(target, source):
        flat[f"{target}/scale"] = state[f"{source}.weight"]
        flat[f"{target}/bias"] = state[f"{source}.bias"]

    tower = "model.vision_model"
    patches = state[f"{tower}.embeddings.patch_embedding.weight"]
    flat["vision/patch_embedding/kernel"] = patches.transpose(2, 3, 1, 0).reshape(
        -1, patches.shape[0]
    )
    flat["vision/patch_embedding/bias"] = state[f"{tower}.embeddings.patch_embedding.bias"]
    flat["vision/positions"] = state[f"{tower}.embeddings.position_embedding.weight"]
    for i in range(model.config.vision_config.num_hidden_layers):
        ours, theirs = f"vision/block{i}", f"{tower}.encoder.layers.{i}"
        norm(f"{ours}/norm1", f"{theirs}.layer_norm1")
        norm(f"{ours}/norm2", f"{theirs}.layer_norm2")
        linear(f"{ours}/query", f"{theirs}.self_attn.q_proj")
        linear(f"{ours}/key", f"{theirs}.self_attn.k_proj")
        linear(f"{ours}/value", f"{theirs}.self_attn.v_proj")
        linear(f"{ours}/output", f"{theirs}.self_attn.projection_layer")
        linear(f"{ours}/mlp_in", f"{theirs}.mlp.fc1")
        linear(f"{ours}/mlp_out", f"{theirs}.mlp.fc2")
    norm("vision_norm", f"{tower}.post_layernorm")
    linear("aligner/dense0", "model.aligner.fc1")
    for i in range(1, model.config.vision_config.depth):
        linear(f"aligner/dense{i}", f"model.aligner.hidden_layers.{i - 1}")
    flat["language/embedding"] = state["model.language_model.embed_tokens.weight"]
    flat["language/norm/scale"] = state["model.language_model.norm.weight"]
    linear("language/head", "lm_head", bias=False)

    def stacked(source):
        layers = range(model.config.text_config.num_hidden_layers)
        return np.stack([state[f"model.language_model.layers.{i}.{source}.weight"] for i in layers])

    flat["language/layers/norm1/scale"] = stacked("input_layernorm")
    flat["language/layers/norm2/scale"] = stacked("post_attention_layernorm")
    for ours, theirs in {
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.o_proj",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }.items():
        flat[f"language/layers/{ours}/kernel"] = stacked(theirs).swapaxes(1, 2)
    return traverse_util.unflatten_dict(flat, sep="/")


def prompts(spec, lengths, seed=0):
    """Random prompts around an image each, padded on the left: tokens, mask and image slots."""
    rng = np.random.default_rng(seed)
    total = max(lengths) + spec.image_tokens
    tokens = np.full((len(lengths), total), 3)
    mask = np.zeros((len(lengths), total), bool)
    for row, length in enumerate(lengths):
        first = total - length - spec.image_tokens
        mask[row, first:] = True
        tokens[row, first:] = rng.integers(6, spec.language.vocabulary, total - first)
        image = first + length // 3  # text before and behind it
        tokens[row, image : image + spec.image_tokens] = IMAGE_TOKEN
    return tokens.astype(np.int32), mask, tokens == IMAGE_TOKEN


def torch_inputs(tokens, mask, pixels):
    """The same inputs for transformers, with the positions its `generate` would give them."""
    return {
        "input_ids": torch.from_numpy(tokens).long(),
        "attention_mask": torch.from_numpy(mask).long(),
        "position_ids": torch.from_numpy(np.maximum(np.cumsum(mask, axis=1) - 1, 0)),
        "pixel_values": torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).contiguous(),
    }
