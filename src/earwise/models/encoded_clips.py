"""What frozen layers of an audio encoder make of clips: computed once for each clip, however often it is drawn.

Shapes: B clips, P bucket frames, S states of a clip (half its bucket frames), E encoder width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from earwise.models.kept import digest_of, kept_by
from earwise.models.mel import bucket_frames, log_mels
from earwise.models.whisper import early_states, late_states, mel_extractor

LIMIT_BYTES = 1 << 30
"""Memory that the states of one encoder may take: twelve hours of speech for an encoder of width 128."""


BLOCK = 8
"""Clips that are encoded together: alone, a clip takes twice the time."""


class EncodedClips:
    """States of an encoder whose first layers are frozen.

    Encoders whose frozen layers are equal share what is kept. A clip is known by its samples. Frozen layers are run in
    blocks of one size and one bucket: products of one shape give a clip the same states, whatever stands beside it. So
    these do not depend on which other clips were known, and a resumed training computes what an uninterrupted one does.

    Args:
        encoder: whose convolutions and first `layers` layers do not change from here on.
        layers: how many.
    """

    def __init__(self, encoder: WhisperEncoder, layers: int) -> None:
        self._encoder, self._layers = encoder, layers
        self._extractor = mel_extractor(encoder)
        later = tuple(f"layers.{number}." for number in range(layers, len(encoder.layers)))
        frozen = {name: w for name, w in encoder.state_dict().items() if not name.startswith((*later, "layer_norm."))}
        self._kept = kept_by(digest_of(frozen), LIMIT_BYTES)

    def __call__(self, waveforms: Sequence[Tensor], frames: Tensor) -> Tensor:
        """(B, longest S, E) states, as those of `encode`; `frames` are those of each waveform's bucket."""
        keys = [digest_of({"waveform": waveform}) for waveform in waveforms]
        unknown = {key: w for key, w in zip(keys, waveforms, strict=True) if key not in self._kept}
        made = self._encoded(unknown)
        rows = [self._kept(key, partial(_one, made, key))[0] for key in keys]
        hidden = pad_sequence(rows, batch_first=True).to(frames.device)
        return late_states(self._encoder, hidden, frames, self._layers)

    def _encoded(self, waveforms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(S, E) of each waveform, by its key."""
        by_bucket: dict[int, list[str]] = {}
        for key, waveform in waveforms.items():
            by_bucket.setdefault(bucket_frames(len(waveform)), []).append(key)
        found: dict[str, Tensor] = {}
        for same in by_bucket.values():
            for start in range(0, len(same), BLOCK):
                block = same[start : start + BLOCK]
                found.update(zip(block, self._early([waveforms[key] for key in block]), strict=False))
        return found

    @torch.no_grad()
    def _early(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(BLOCK, S, E) of clips of one bucket, and of silence in the places that are left over.

        On the CPU, and in float32 whatever the precision of the pass that asks first.
        """
        device = self._encoder.embed_positions.weight.device
        block = [*waveforms, *[torch.zeros_like(waveforms[0])] * (BLOCK - len(waveforms))]
        frames = torch.tensor([bucket_frames(len(waveform)) for waveform in block], device=device)
        with torch.autocast("cpu", enabled=False), torch.autocast(device.type, enabled=False):
            mels = log_mels(block, self._extractor).to(device)
            return early_states(self._encoder, mels, frames, self._layers).cpu()


def _one(made: Mapping[str, Tensor], key: str) -> tuple[Tensor]:
    return (made[key].clone(),)  # A part of a block would keep the whole block in memory.
