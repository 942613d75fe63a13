"""Qwen3-Omni's thinker (`model_type` qwen3_omni_moe_thinker, or the whole qwen3_omni_moe): sees and hears natively."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Qwen3OmniMoeThinkerForConditionalGeneration

from earwise.models.families.own_ears import OwnEars
from earwise.models.families.qwen2_5_omni import Qwen2_5Omni
from earwise.models.families.qwen3_vl import Qwen3VL
from earwise.models.mel import HOP


class Qwen3OmniEars(OwnEars):
    """The audio tower with its projection: convolutions in windows of 1 s, 13 tokens each, and attention over more."""

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings. The spectrogram of each clip ends with the clip, as in the published processor."""
        tower, _ = self._own
        weight = tower.conv2d1.weight
        mels = [self.spectrogram(waveform) for waveform in waveforms]
        frames = torch.tensor([mel.shape[1] for mel in mels], device=weight.device)
        features = torch.cat(mels, dim=1).to(weight.device, weight.dtype)
        return tower(features, feature_lens=frames).last_hidden_state

    @property
    def window(self) -> int:
        """13 states for each window of the convolutions."""
        config = self._own[0].config
        return int(13 * config.n_window_infer // (2 * config.n_window))

    def states_of(self, num_samples: int) -> int:
        """Every state becomes a token."""
        return self.tokens_of(num_samples)

    def tokens_of(self, num_samples: int) -> int:
        """13 for each whole second and, of the rest, what three convolutions with stride 2 leave."""
        windows, rest = divmod(num_samples // HOP, 2 * self._own[0].n_window)
        for _ in range(3):
            rest = (rest - 1) // 2 + 1
        return windows * 13 + rest


class Qwen3Omni(Qwen3VL, Qwen2_5Omni):
    """Images as in Qwen3-VL, clips and positions as in Qwen2.5-Omni. Talker and vocoder are not loaded."""

    name = "qwen3_omni"
    model_types = ("qwen3_omni_moe_thinker", "qwen3_omni_moe")
    model_class = Qwen3OmniMoeThinkerForConditionalGeneration
    own_ears = Qwen3OmniEars
    image_placeholder = "<|image_pad|>"
    audio_placeholder = "<|audio_pad|>"

    @property
    def tower_and_projector(self) -> tuple[PreTrainedModel, nn.Module]:
        """The projection stands inside the tower."""
        tower = self.model.model.audio_tower
        return tower, tower.proj2
