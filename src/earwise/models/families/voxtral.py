"""Voxtral (`model_type` voxtral): hears natively, in pieces of 30 s, and does not see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import VoxtralForConditionalGeneration

from earwise.models.families.base import Family
from earwise.models.families.own_ears import OwnEars


class VoxtralEars(OwnEars):
    """A Whisper encoder that always hears whole pieces of 30 s; four of its states, 80 ms, become one token."""

    longest_s = 2400.0
    """40 minutes: the longest sound that the model card says is understood."""

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings."""
        tower, projector = self._own
        weight = tower.conv1.weight
        pieces = torch.cat([self._pieces(waveform) for waveform in waveforms]).to(weight.device, weight.dtype)
        states = tower(pieces).last_hidden_state
        tokens: Tensor = projector(states.reshape(-1, tower.config.intermediate_size))
        return tokens

    def _pieces(self, waveform: Tensor) -> Tensor:
        """(pieces, M, frames of a piece) of the spectrogram of the whole clip, filled up with silence."""
        features = self.spectrogram(waveform, pad_to_multiple_of=self.extractor.n_samples)
        return features.unflatten(1, (-1, self.extractor.nb_max_frames)).transpose(0, 1)

    @property
    def window(self) -> int:
        """The states of a piece."""
        return int(self._own[0].config.max_source_positions)

    def states_of(self, num_samples: int) -> int:
        """Those of whole pieces."""
        return -(-num_samples // self.extractor.n_samples) * self.window

    def tokens_of(self, num_samples: int) -> int:
        """The same number for each piece, 375 in the published models."""
        config = self._own[0].config
        return int(self.states_of(num_samples) * config.hidden_size // config.intermediate_size)


class Voxtral(Family):
    """Clips only; layouts refuse a view with an image."""

    name = "voxtral"
    model_types = ("voxtral",)
    model_class = VoxtralForConditionalGeneration
    own_ears = VoxtralEars
    sees = False
    audio_placeholder = "[AUDIO]"
