"""Tiny random checkpoints of the families that the laboratory does not build, written as published ones are."""

import json
from pathlib import Path

import tiny_newer
import torch
from tokenizers_of_all_kinds import byte_level
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    WhisperFeatureExtractor,
)

from earwise.micro.tokenizer import CHAT_TEMPLATE, build_tokenizer

AUDIO = "<|audio_bos|><|AUDIO|><|audio_eos|>"
PARTS = {
    "qwen2_5_vl": {"image": "<|vision_start|><|image_pad|><|vision_end|>"},
    "qwen2_audio": {"audio": "Audio {{ clips.n }}: " + AUDIO + "\n"},
    "qwen2_5_omni": {"image": "<|vision_bos|><|IMAGE|><|vision_eos|>", "audio": AUDIO},
    **tiny_newer.PARTS,
}
"""What each family's chat template writes for a part that is not text."""
SPECIAL = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>")
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 8, "out_hidden_size": 64,
    "window_size": 32, "fullatt_block_indexes": [1],
}  # fmt: skip
AUDIO_TOWER = {
    "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "num_mel_bins": 128
}  # fmt: skip


def write_tiny_family(folder: Path, family: str, seed: int = 0) -> Path:
    """A checkpoint of `family` with random weights, and return its folder."""
    tokenizer = tiny_tokenizer(family)
    model = build_tiny(family, tokenizer)
    draw_weights(model, seed)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = image_settings(family)
    if "audio" in PARTS[family]:
        processor |= WhisperFeatureExtractor(feature_size=128).to_dict()
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def image_settings(family: str) -> dict:
    """Settings of the image processor; empty for a family that does not see."""
    return tiny_newer.IMAGES[family]().to_dict() if family in tiny_newer.IMAGES else {}


def build_tiny(family: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model of `family` with the weights that transformers draws."""
    if family in tiny_newer.BUILDERS:
        return tiny_newer.BUILDERS[family](tokenizer, text_config(tokenizer))
    return BUILDERS[family](tokenizer)


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """The laboratory's words, the family's special tokens and a chat template that writes them."""
    # transformers reads every tokenizer of a Qwen3.5 as byte-level BPE.
    tokenizer = byte_level() if family == "qwen3_5" else build_tokenizer("qwen2_vl")
    tokenizer.add_tokens([*SPECIAL, *tiny_newer.SPECIAL.get(family, ())], special_tokens=True)
    image, audio = (PARTS[family].get(kind, "") for kind in ("image", "audio"))
    template = CHAT_TEMPLATE.replace("IMAGE\n", image)
    template = template.replace(
        "{% elif part['type'] == 'text' %}",
        "{% elif part['type'] == 'audio' %}{% set clips.n = clips.n + 1 %}"
        + audio
        + "{% elif part['type'] == 'text' %}",
    )
    tokenizer.chat_template = "{% set clips = namespace(n=0) %}" + template
    return tokenizer


def text_config(tokenizer: PreTrainedTokenizerFast) -> dict:
    """A decoder of 64 dimensions and two layers."""
    return {
        "vocab_size": len(tokenizer) + 8,  # rows beyond the tokenizer, as published heads have
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip


def build_qwen2_5_vl(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Windows of 32 pixels: two by two merged patches of 8 pixels."""
    ids = tokenizer.get_vocab()
    config = Qwen2_5_VLConfig(
        vision_config=VISION,
        text_config={**text_config(tokenizer), "rope_parameters": ROPE},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def build_qwen2_audio(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """128 mel bins and 30 s of positions, as published."""
    config = Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", **AUDIO_TOWER},
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        audio_token_index=tokenizer.get_vocab()["<|AUDIO|>"],
    )
    return Qwen2AudioForConditionalGeneration(config)


def build_qwen2_5_omni(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The thinker; its audio tower hears in windows of 2 s."""
    ids = tokenizer.get_vocab()
    config = Qwen2_5OmniThinkerConfig(
        audio_config={**AUDIO_TOWER, "output_dim": 64},
        vision_config=VISION,
        text_config={**text_config(tokenizer), "rope_parameters": ROPE},
        audio_token_index=ids["<|AUDIO|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
    )
    return Qwen2_5OmniThinkerForConditionalGeneration(config)


BUILDERS = {"qwen2_5_vl": build_qwen2_5_vl, "qwen2_audio": build_qwen2_audio, "qwen2_5_omni": build_qwen2_5_omni}
NATIVE = tuple(family for family, parts in PARTS.items() if "audio" in parts)
"""Families that hear by themselves."""


@torch.no_grad()
def draw_weights(model: PreTrainedModel, seed: int) -> None:
    """Matrices from N(0, 1 / fan_in), so that every part of a tiny model has a say in what comes out."""
    generator = torch.Generator().manual_seed(seed)
    scale = getattr(model.get_input_embeddings(), "scalar_embed_scale", 1.0)
    for name, parameter in model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            parameter.normal_(0.0, 1.0 / scale, generator=generator)
        elif name.endswith("A_log"):
            parameter.fill_(-2.0)  # recurrent states that last for tens of tokens
        elif parameter.ndim > 1:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=generator)
