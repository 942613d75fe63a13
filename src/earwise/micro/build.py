"""Tiny checkpoints of real architectures: a configuration, seeded weights, tokenizer and processor in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from earwise.micro.build_audio import WhisperWeights, build_qwen2_audio
from earwise.micro.build_text import build_causal_lm
from earwise.micro.feelings.words import FEELING_VOCABULARY
from earwise.micro.scenes import IMAGE_SIZE
from earwise.micro.sounds.words import SOUND_VOCABULARY
from earwise.micro.tokenizer import Family, build_tokenizer
from earwise.micro.weights import draw_weights, stop_at_turn_end, text_sizes
from earwise.micro.words import VOCABULARY

Vocabulary = Literal["scenes", "sounds", "feelings"]
"""The laboratory whose words a model has: pictures, sounds (with reasoning), or feelings (a superset of sounds)."""

_STD = [0.3, 0.3, 0.3]
_BACKGROUND: dict[Vocabulary, float] = {"scenes": 0.9, "sounds": 0.2, "feelings": 0.2}
"""Brightness of most of a picture, from 0 to 1, which is subtracted so that it does not dominate the vision tower's
input. With 0.9 for frames of the laboratory of sounds, a viewer learned nothing in 900 steps."""


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
    image_size: int = IMAGE_SIZE,
    audio_hidden_size: int = 32,
    audio_intermediate_size: int = 64,
    audio_layers: int = 1,
    audio_heads: int = 2,
    mel_bins: int = 40,
    tower: WhisperWeights | None = None,
    vocabulary: Vocabulary = "scenes",
) -> Path:
    """Write a checkpoint with random weights that `from_pretrained` loads, and return its folder.

    With the default sizes, for tests, a model is built in milliseconds. A picture of `image_size` pixels becomes
    (image_size / 16)^2 tokens: 16 for a scene of 64 pixels, 4 for a frame of 32. A family uses only the sizes of its
    modules; Qwen2-Audio uses those of the `tower` that it starts from, if there is one.
    """
    words, reasoning = vocabulary_words(vocabulary)
    decoder = {
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "num_key_value_heads": num_key_value_heads,
    }
    vision = {
        "vision_hidden_size": vision_hidden_size,
        "vision_intermediate_size": vision_intermediate_size,
        "vision_layers": vision_layers,
        "vision_heads": vision_heads,
        "image_size": image_size,
    }
    audio = {
        "audio_hidden_size": audio_hidden_size,
        "audio_intermediate_size": audio_intermediate_size,
        "audio_layers": audio_layers,
        "audio_heads": audio_heads,
        "mel_bins": mel_bins,
    }
    mean = _BACKGROUND[vocabulary]
    parts: tuple[Any, ...]
    if family == "causal_lm":
        parts = build_causal_lm(seed, words=words, reasoning=reasoning, **decoder)
    elif family == "qwen2_audio":
        parts = build_qwen2_audio(seed, words=words, reasoning=reasoning, tower=tower, **decoder, **audio)
    elif family == "qwen2_vl":
        parts = build_qwen2_vl(seed, words=words, reasoning=reasoning, image_mean=mean, **decoder, **vision)
    else:
        parts = build_internvl(seed, words=words, reasoning=reasoning, image_mean=mean, **decoder, **vision)
    for part in parts:
        part.save_pretrained(folder)
    return folder


def vocabulary_words(vocabulary: Vocabulary) -> tuple[Sequence[str], bool]:
    """A laboratory's words, and whether its models reason."""
    if vocabulary == "scenes":
        return VOCABULARY, False
    return (SOUND_VOCABULARY if vocabulary == "sounds" else FEELING_VOCABULARY), True


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
    image_size: int = IMAGE_SIZE,
    image_mean: float = _BACKGROUND["scenes"],
    words: Sequence[str] = VOCABULARY,
    reasoning: bool = False,
) -> tuple[InternVLForConditionalGeneration, PreTrainedTokenizerFast, GotOcr2ImageProcessorPil]:
    """An InternVL with a Qwen2 language model, its tokenizer and image processor; the defaults are the shipped base.

    Two by two patches of 8 x 8 pixels are merged after the vision tower, as in the published models. So an image of
    64 x 64 pixels becomes 16 tokens, one for each cell of a scene's grid. `image_size` is the height and width of a
    tile in pixels, `image_mean` its usual brightness, from 0 to 1; `words` and `reasoning` are those of
    `build_tokenizer`.
    """
    tokenizer = build_tokenizer("internvl", words, reasoning=reasoning)
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=vision_hidden_size,
            intermediate_size=vision_intermediate_size,
            num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads,
            image_size=image_size,
            patch_size=patch_size,
            layer_scale_init_value=1.0,
        ),
        text_config=Qwen2Config(
            **text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads)
        ),
        image_token_id=_token_id(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=(image_size // patch_size // 2) ** 2,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    model = InternVLForConditionalGeneration(config)
    draw_weights(model, seed)
    stop_at_turn_end(model, tokenizer)
    size = {"height": image_size, "width": image_size}
    return model, tokenizer, GotOcr2ImageProcessorPil(size=size, image_mean=[image_mean] * 3, image_std=_STD)


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
    image_size: int = IMAGE_SIZE,
    image_mean: float = _BACKGROUND["scenes"],
    words: Sequence[str] = VOCABULARY,
    reasoning: bool = False,
) -> tuple[Qwen2VLForConditionalGeneration, PreTrainedTokenizerFast, Qwen2VLImageProcessorPil]:
    """A Qwen2-VL with rotary positions over time, height and width, its tokenizer and its image processor.

    Two by two patches of 8 x 8 pixels are merged into one token, as in the published models. Images may have up to
    `image_size` x `image_size` pixels; `words` and `reasoning` are those of `build_tokenizer`.
    """
    tokenizer = build_tokenizer("qwen2_vl", words, reasoning=reasoning)
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
            **text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads),
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
    draw_weights(model, seed)
    stop_at_turn_end(model, tokenizer)
    processor = Qwen2VLImageProcessorPil(
        patch_size=patch_size,
        size={"shortest_edge": patch_size**2, "longest_edge": image_size**2},
        image_mean=[image_mean] * 3,
        image_std=_STD,
    )
    return model, tokenizer, processor


def _token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    return tokenizer.get_vocab()[token]
