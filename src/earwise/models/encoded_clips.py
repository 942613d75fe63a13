"""What frozen layers of an audio encoder make of clips: computed once for each clip, however often it is drawn.

Shapes: B clips, P bucket frames, S states of a clip (half its bucket frames), E encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from earwise.models.kept import digest_of, kept_by
from earwise.models.mel import bucket_frames, log_mels
from earwise.models.whisper import early_states, late_states, mel_extractor

LIMIT_BYTES = 1 << 30
"""Memory that the states of one encoder may take: twelve hours of speech for an encoder of width 128."""


class EncodedClips:
    """States of an encoder whose first layers are frozen.

    Encoders whose frozen layers are equal share what is kept. A clip is known by its samples. Its frozen layers are
    run for it alone, so its states do not depend on which other clips were known: a resumed training computes what an
    uninterrupted one does.

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
        hidden = pad_sequence([self._states(waveform) for waveform in waveforms], batch_first=True).to(frames.device)
        return late_states(self._encoder, hidden, frames, self._layers)

    def _states(self, waveform: Tensor) -> Tensor:
        return self._kept(digest_of({"waveform": waveform}), lambda: (self._early(waveform),))[0]

    @torch.no_grad()
    def _early(self, waveform: Tensor) -> Tensor:
        """(S, E) on the CPU, in float32, whatever the precision of the pass that asks first."""
        device = self._encoder.embed_positions.weight.device
        frames = torch.tensor([bucket_frames(len(waveform))], device=device)
        with torch.autocast("cpu", enabled=False), torch.autocast(device.type, enabled=False):
            mels = log_mels([waveform], self._extractor).to(device)
            return early_states(self._encoder, mels, frames, self._layers)[0].cpu()
