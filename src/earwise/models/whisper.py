"""Whisper encoders, run at a clip's real length instead of 30 s.

Shapes: B clips, M mel bins, P bucket frames, E encoder width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from earwise.io.loading import load_whole
from earwise.models.block_attention import NAME as BLOCKS
from earwise.models.mel import HOP

FRAMES_PER_STATE = 2
"""Whisper's second convolution halves the frame rate: one encoder state is 20 ms."""
_FIELDS = {
    "d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins",
    "activation_function", "scale_embedding", "max_source_positions",
}  # fmt: skip
"""The keys of a Whisper configuration that shape its encoder."""


class _EncoderOfWhole(WhisperEncoder):
    """An encoder read from a checkpoint that may also hold a decoder."""

    _keys_to_ignore_on_load_unexpected = [r"decoder\.", r"proj_out\."]  # noqa: RUF012 - as the base class declares it


def encoder_config(layers: int, width: int, heads: int, mel_bins: int) -> dict[str, Any]:
    """A `WhisperConfig` as a dict, with feed-forward layers four times as wide as the rest, as in every Whisper."""
    return {
        "d_model": width,
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "num_mel_bins": mel_bins,
    }


def new_encoder(config: dict[str, Any]) -> WhisperEncoder:
    """An encoder with weights from torch's generator; `config` is a `WhisperConfig` as a dict."""
    whisper = WhisperConfig(**config)
    # On CPUs the backward pass of torch's fused attention takes twice the time of plain products at these lengths.
    whisper._attn_implementation = "sdpa" if torch.cuda.is_available() else BLOCKS
    return WhisperEncoder(whisper)


def draw_weights(module: nn.Module) -> None:
    """New weights with standard deviation fan_in^-0.5: Whisper's own 0.02 stalls narrow encoders."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d):
            nn.init.normal_(part.weight, std=part.weight[0].numel() ** -0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def read_encoder(folder: str, revision: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights of the encoder of a Whisper checkpoint (a folder or hub id, with or without decoder).

    Raises `InputError` for missing weights.
    """
    encoder = load_whole(
        _EncoderOfWhole,
        folder,
        revision=revision or "main",
        dtype=torch.float32,
        key_mapping={r"^(?:model\.)?encoder\.": ""},
    )
    config = {key: value for key, value in encoder.config.to_diff_dict().items() if key in _FIELDS}
    return config, encoder.state_dict()


def encode(encoder: WhisperEncoder, mels: Tensor, frames: Tensor) -> Tensor:
    """(B, P / 2, E) states of (B, M, P) log-mels.

    Whisper's own forward requires 30 s. This function runs its modules at the bucket's length and masks everything
    beyond a clip's `frames`, so that padding changes nothing.
    """
    return late_states(encoder, early_states(encoder, mels, frames, 0), frames, 0)


def early_states(encoder: WhisperEncoder, mels: Tensor, frames: Tensor, layers: int) -> Tensor:
    """(B, P / 2, E) states after the first `layers` layers of `encode`."""
    inside = torch.arange(mels.shape[-1], device=mels.device) < frames[:, None]
    hidden = nn.functional.gelu(encoder.conv1(mels)) * inside[:, None]
    hidden = nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    return _through(encoder.layers[:layers], hidden, frames)


def late_states(encoder: WhisperEncoder, hidden: Tensor, frames: Tensor, layers: int) -> Tensor:
    """(B, P / 2, E) output of the remaining layers and the last norm, from the states after the first `layers`."""
    return encoder.layer_norm(_through(encoder.layers[layers:], hidden, frames))


def _through(layers: nn.ModuleList, hidden: Tensor, frames: Tensor) -> Tensor:
    """Run `layers`; no state attends to anything beyond its clip's `frames`."""
    states = torch.arange(hidden.shape[1], device=hidden.device)
    outside = (states * FRAMES_PER_STATE >= frames[:, None])[:, None, None]
    mask = None
    if bool(outside.any()):
        mask = torch.zeros_like(outside, dtype=hidden.dtype).masked_fill(outside, torch.finfo(hidden.dtype).min)
    for layer in layers:
        hidden = layer(hidden, mask)
    return hidden


def mel_extractor(encoder: WhisperEncoder) -> WhisperFeatureExtractor:
    """The feature extractor for the spectrograms that `encoder` reads."""
    return WhisperFeatureExtractor(feature_size=encoder.config.num_mel_bins)


def stacked(states: Tensor, stack: int) -> Tensor:
    """(B, S / stack rounded up, stack * E): `stack` neighbours of (B, S, E) side by side, filled up with zeros."""
    batch, length, width = states.shape
    return nn.functional.pad(states, (0, 0, 0, -length % stack)).reshape(batch, -1, stack * width)


def num_stacked(num_samples: int, stack: int) -> int:
    """Number of rows of `stacked` that hold some of a clip of `num_samples` samples."""
    return -(-num_samples // (HOP * FRAMES_PER_STATE * stack))
