"""Outputs of the frozen layers of an audio encoder, computed once for each clip, however often it is drawn.

Shapes: B clips, P bucket frames, S states of a clip (half its bucket frames), E encoder width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from earwise.models.kept import digest_of, in_blocks, kept_by
from earwise.models.mel import Tail, bucket_frames, log_mels
from earwise.models.whisper import FRAMES_PER_STATE, early_states, late_states, mel_extractor

LIMIT_BYTES = max(1 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8)
"""Memory for the states of one encoder: an eighth of the machine's. A gigabyte holds twelve hours of speech for an
encoder of width 128, four for one of 384.
"""


class EncodedClips:
    """States of an encoder whose first layers are frozen.

    Encoders whose frozen layers are equal share their states, kept by the clip's samples.

    Args:
        encoder: the encoder. Its convolutions and first `layers` layers must not change any more.
        layers: number of frozen layers.
        tail: silence that is heard behind each clip. Where no layer follows, the states of the tail are not read, so
            only those of the clip are kept.
    """

    def __init__(self, encoder: WhisperEncoder, layers: int, tail: Tail = 0.0) -> None:
        self._encoder, self._layers, self._tail = encoder, layers, tail
        self._kept_tail = tail if layers < len(encoder.layers) else 0.0
        self._extractor = mel_extractor(encoder)
        later = tuple(f"layers.{number}." for number in range(layers, len(encoder.layers)))
        frozen = {name: w for name, w in encoder.state_dict().items() if not name.startswith((*later, "layer_norm."))}
        self._kept = kept_by(f"{digest_of(frozen)} {tail}", LIMIT_BYTES)

    def __call__(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(B, longest S, E) states, equal to those of `encode`."""
        device = self._encoder.embed_positions.weight.device
        keys = [digest_of({"waveform": waveform}) for waveform in waveforms]
        bucket = partial(_bucket, tail=self._tail)
        rows = in_blocks(self._kept, keys, waveforms, bucket, self._early)
        hidden = pad_sequence([row for (row,) in rows], batch_first=True).to(device)
        frames = torch.tensor([bucket_frames(len(waveform), self._kept_tail) for waveform in waveforms], device=device)
        return late_states(self._encoder, hidden, frames, self._layers)

    @torch.no_grad()
    def _early(self, waveforms: Sequence[Tensor]) -> list[tuple[Tensor]]:
        """(S, E) of each clip of one bucket, on the CPU and in float32 in every pass, because later passes reuse it."""
        device = self._encoder.embed_positions.weight.device
        frames = torch.tensor([bucket_frames(len(waveform), self._tail) for waveform in waveforms], device=device)
        with torch.autocast("cpu", enabled=False), torch.autocast(device.type, enabled=False):
            mels = log_mels(waveforms, self._extractor, self._tail).to(device)
            states = early_states(self._encoder, mels, frames, self._layers).cpu()
        counts = [bucket_frames(len(waveform), self._kept_tail) // FRAMES_PER_STATE for waveform in waveforms]
        # A view would keep the whole block in memory.
        return [(row[:count].clone(),) for row, count in zip(states, counts, strict=True)]


def _bucket(waveform: Tensor, tail: Tail) -> int:
    return bucket_frames(len(waveform), tail)
