"""Qwen2-Audio (`model_type` qwen2_audio): hears natively and does not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import gelu, pad
from transformers import Qwen2AudioForConditionalGeneration

from earwise.models.families.base import Family
from earwise.models.families.own_ears import OwnEars, num_states
from earwise.models.mel import HOP, log_mels


class Qwen2AudioEars(OwnEars):
    """The audio tower and the linear projector behind it."""

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings.

        The tower's own forward requires 30 s of frames. This one runs its modules at the longest clip's length and
        masks the states beyond each clip as the published model does. A longer sound is heard in pieces.
        """
        waveforms = [piece for waveform in waveforms for piece in waveform.split(self.extractor.n_samples)]
        tower, projector = self._own
        device, dtype = tower.conv1.weight.device, tower.conv1.weight.dtype
        # The last state of a clip reaches two frames further, where there must be silence.
        padded = [pad(waveform, (0, 2 * HOP)) for waveform in waveforms]
        mels = log_mels(padded, self.extractor)[..., : 2 * tower.max_source_positions].to(device, dtype)
        hidden = gelu(tower.conv2(gelu(tower.conv1(mels)))).transpose(1, 2)
        hidden = hidden + tower.embed_positions.weight[: hidden.shape[1]]
        states = torch.tensor([num_states(len(waveform)) for waveform in waveforms], device=device)
        outside = torch.arange(hidden.shape[1], device=device) >= states[:, None]
        mask = torch.zeros_like(outside, dtype=hidden.dtype).masked_fill(outside, torch.finfo(hidden.dtype).min)
        for layer in tower.layers:
            hidden = layer(hidden, mask[:, None, None])
        hidden = tower.layer_norm(tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2))
        tokens = projector(hidden)
        return torch.cat([row[: self.tokens_of(len(w))] for row, w in zip(tokens, waveforms, strict=True)])


class Qwen2Audio(Family):
    """Clips only; layouts refuse a view with an image."""

    name = "qwen2_audio"
    model_types = ("qwen2_audio",)
    model_class: ClassVar[Any] = Qwen2AudioForConditionalGeneration
    own_ears: ClassVar[type[OwnEars] | None] = Qwen2AudioEars
    sees = False
    audio_placeholder = "<|AUDIO|>"
