"""A tiny checkpoint of a natively hearing architecture: a Qwen2-Audio with small dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import sinusoids

from earwise.micro.tokenizer import build_tokenizer
from earwise.micro.weights import draw_weights, stop_at_turn_end, text_sizes
from earwise.micro.words import VOCABULARY

WhisperWeights = tuple[dict[str, Any], Mapping[str, Tensor]]
"""Configuration and weights of a Whisper encoder, from `models.whisper.read_encoder`."""


def build_qwen2_audio(
    seed: int,
    *,
    hidden_size: int = 128,
    intermediate_size: int = 320,
    num_layers: int = 4,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    audio_hidden_size: int = 96,
    audio_intermediate_size: int = 384,
    audio_layers: int = 2,
    audio_heads: int = 4,
    mel_bins: int = 80,
    tower: WhisperWeights | None = None,
    words: Sequence[str] = VOCABULARY,
    reasoning: bool = False,
) -> tuple[Qwen2AudioForConditionalGeneration, PreTrainedTokenizerFast, WhisperFeatureExtractor]:
    """A Qwen2-Audio with a Qwen2 language model, its tokenizer and its feature extractor.

    The tower has the published table of 1,500 positions (30 s) with Whisper's sinusoids; one token is 40 ms. With
    `tower` it starts as this Whisper encoder, with its sizes, as Qwen2-Audio itself did: modules and names are the
    same. `words` and `reasoning` are those of `build_tokenizer`.
    """
    tokenizer = build_tokenizer("qwen2_audio", words, reasoning=reasoning)
    sizes: dict[str, Any] = {
        "d_model": audio_hidden_size,
        "encoder_layers": audio_layers,
        "encoder_attention_heads": audio_heads,
        "encoder_ffn_dim": audio_intermediate_size,
        "num_mel_bins": mel_bins,
    }
    if tower is not None:
        sizes = tower[0]
    config = Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", **sizes},
        text_config={
            "model_type": "qwen2",
            **text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads),
        },
        audio_token_index=tokenizer.get_vocab()["<|AUDIO|>"],
    )
    model = Qwen2AudioForConditionalGeneration(config)
    draw_weights(model, seed)
    if tower is None:
        with torch.no_grad():
            positions = model.model.audio_tower.embed_positions.weight
            positions.copy_(sinusoids(*positions.shape))
    else:
        model.model.audio_tower.load_state_dict(tower[1])
    stop_at_turn_end(model, tokenizer)
    return model, tokenizer, WhisperFeatureExtractor(feature_size=model.model.audio_tower.num_mel_bins)
