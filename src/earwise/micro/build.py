"""Tiny checkpoints of real architectures: a configuration, seeded weights, tokenizer and image processor in one folder.

Weights are drawn with a standard deviation of fan_in^-0.5. Hugging Face's default of 0.02 fits a width of thousands; at
a width of 128 it leaves every layer's output close to zero and training stalls for thousands of steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn
from transformers import (
    GenerationConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from earwise.micro.scenes import IMAGE_SIZE
from earwise.micro.tokenizer import build_tokenizer

Family = Literal["internvl", "qwen2_vl"]

_MEAN, _STD = [0.9, 0.9, 0.9], [0.3, 0.3, 0.3]


def write_tiny(
    folder: Path,
    family: Family = "internvl",
    seed: int = 0,
    *,
    hidden_size: int = 64,
    intermediate_size: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    vision_hidden_size: int = 32,
    vision_intermediate_size: int = 64,
    vision_layers: int = 1,
    vision_heads: int = 2,
) -> Path:
    """Write a checkpoint with random weights that `from_pretrained` loads, and return its folder.

    Works for both families at any size; the defaults are what tests want, a model built in milliseconds. Every image of
    the laboratory (64 x 64 pixels) becomes 16 tokens.
    """
    builder = build_internvl if family == "internvl" else build_qwen2_vl
    model, tokenizer, processor = builder(
        seed,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_key_value_heads=num_key_value_heads,
        vision_hidden_size=vision_hidden_size,
        vision_intermediate_size=vision_intermediate_size,
        vision_layers=vision_layers,
        vision_heads=vision_heads,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_internvl(
    seed: int,
    *,
    hidden_size: int = 128,
    intermediate_size: int = 256,
    num_layers: int = 6,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    vision_hidden_size: int = 96,
    vision_intermediate_size: int = 192,
    vision_layers: int = 3,
    vision_heads: int = 4,
    patch_size: int = 8,
) -> tuple[InternVLForConditionalGeneration, PreTrainedTokenizerFast, GotOcr2ImageProcessorPil]:
    """An InternVL with a Qwen2 language model, its tokenizer and image processor; the defaults are the shipped base.

    Two by two patches of 8 x 8 pixels are merged after the vision tower, as in the published models, so an image of
    64 x 64 pixels becomes 16 tokens, one for each cell of a scene's grid.
    """
    tokenizer = build_tokenizer("internvl")
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=vision_hidden_size,
            intermediate_size=vision_intermediate_size,
            num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads,
            image_size=IMAGE_SIZE,
            patch_size=patch_size,
            layer_scale_init_value=1.0,
        ),
        text_config=Qwen2Config(
            **_text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads)
        ),
        image_token_id=_token_id(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=(IMAGE_SIZE // patch_size // 2) ** 2,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    model = InternVLForConditionalGeneration(config)
    _initialise(model, seed)
    _stop_at_turn_end(model, tokenizer)
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return model, tokenizer, GotOcr2ImageProcessorPil(size=size, image_mean=_MEAN, image_std=_STD)


def build_qwen2_vl(
    seed: int,
    *,
    hidden_size: int = 128,
    intermediate_size: int = 256,
    num_layers: int = 4,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    vision_hidden_size: int = 64,
    vision_intermediate_size: int = 128,
    vision_layers: int = 2,
    vision_heads: int = 2,
    patch_size: int = 8,
) -> tuple[Qwen2VLForConditionalGeneration, PreTrainedTokenizerFast, Qwen2VLImageProcessorPil]:
    """A Qwen2-VL with rotary positions over time, height and width, its tokenizer and its image processor.

    Two by two patches of 8 x 8 pixels are merged into one token, as in the published models.
    """
    tokenizer = build_tokenizer("qwen2_vl")
    pairs = hidden_size // num_heads // 2
    config = Qwen2VLConfig(
        vision_config={
            "depth": vision_layers,
            "embed_dim": vision_hidden_size,
            "hidden_size": hidden_size,
            "mlp_ratio": vision_intermediate_size // vision_hidden_size,
            "num_heads": vision_heads,
            "patch_size": patch_size,
        },
        text_config={
            **_text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [pairs - 2 * (3 * pairs // 8), 3 * pairs // 8, 3 * pairs // 8],
            },
        },
        image_token_id=_token_id(tokenizer, "<|image_pad|>"),
        video_token_id=_token_id(tokenizer, "<|video_pad|>"),
        vision_start_token_id=_token_id(tokenizer, "<|vision_start|>"),
        vision_end_token_id=_token_id(tokenizer, "<|vision_end|>"),
        tie_word_embeddings=False,
    )
    model = Qwen2VLForConditionalGeneration(config)
    _initialise(model, seed)
    _stop_at_turn_end(model, tokenizer)
    processor = Qwen2VLImageProcessorPil(
        patch_size=patch_size,
        size={"shortest_edge": patch_size**2, "longest_edge": IMAGE_SIZE**2},
        image_mean=_MEAN,
        image_std=_STD,
    )
    return model, tokenizer, processor


def _text_sizes(
    tokenizer: PreTrainedTokenizerFast, hidden: int, intermediate: int, layers: int, heads: int, key_value_heads: int
) -> dict:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    return tokenizer.get_vocab()[token]


@torch.no_grad()
def _initialise(model: PreTrainedModel, seed: int) -> None:
    """Draw every matrix from N(0, 1 / fan_in); norms, biases and layer scales keep their constants.

    A token embedding has a fan-in of one. Matrices that write into the language model's residual stream are shrunk by
    (2 x layers)^-0.5 more, so that it keeps its scale and the embeddings stay legible in it.
    """
    generator = torch.Generator().manual_seed(seed)
    depth = model.config.get_text_config().num_hidden_layers
    for name, parameter in model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            parameter.normal_(0.0, 1.0, generator=generator)
        elif name.endswith(("position_embeddings", "cls_token")):
            parameter.normal_(0.0, 0.5, generator=generator)
        elif parameter.ndim > 1:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=generator)
            if name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight")):
                parameter.mul_((2 * depth) ** -0.5)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def _stop_at_turn_end(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
