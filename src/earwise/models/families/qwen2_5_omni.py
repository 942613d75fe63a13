"""Qwen2.5-Omni's thinker (`model_type` qwen2_5_omni_thinker, or the whole qwen2_5_omni): sees and hears natively."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Qwen2_5OmniThinkerForConditionalGeneration

from earwise.models.families.own_ears import OwnEars, num_frames
from earwise.models.families.qwen2_vl import Qwen2VL
from earwise.models.layout import AUDIO_ID, Layout
from earwise.models.mel import log_mels


class Qwen2_5OmniEars(OwnEars):
    """The audio tower with its projection. It runs each clip at its real length, in windows of two seconds."""

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings."""
        tower, _ = self._own
        weight = tower.conv1.weight
        mels = log_mels(waveforms, self.extractor)
        frames = torch.tensor([num_frames(len(waveform)) for waveform in waveforms], device=weight.device)
        inside = [row[:, :count] for row, count in zip(mels, frames.tolist(), strict=True)]
        features = torch.cat(inside, dim=1).to(weight.device, weight.dtype)
        return tower(features, feature_lens=frames).last_hidden_state


class Qwen2_5Omni(Qwen2VL):
    """Images as in Qwen2-VL, clips through its own tower. The talker is not loaded."""

    name = "qwen2_5_omni"
    model_types = ("qwen2_5_omni_thinker", "qwen2_5_omni")
    model_class: ClassVar[Any] = Qwen2_5OmniThinkerForConditionalGeneration
    own_ears: ClassVar[type[OwnEars] | None] = Qwen2_5OmniEars
    image_placeholder = "<|IMAGE|>"
    audio_placeholder = "<|AUDIO|>"

    @property
    def tower_and_projector(self) -> tuple[PreTrainedModel, nn.Module]:
        """The projection stands inside the tower."""
        tower = self.model.model.audio_tower
        return tower, tower.proj

    def positions(self, layout: Layout) -> Tensor:
        """M-RoPE positions from the model's own function, which counts a clip's tokens from its frames."""
        media = [medium for medium in layout.media if medium.stop <= len(layout)]
        grids = [m.image.tensors["image_grid_thw"] for m in media if m.image is not None]
        if not grids:
            return torch.arange(len(layout)).expand(3, -1)
        clips = [num_frames(m.num_samples) for m in media if m.kind == "audio"]
        ids = torch.zeros(
            1, len(layout), dtype=torch.long
        )  # The function reads only media and the markers around them.
        for medium in media:
            around = slice(max(0, medium.start - 1), medium.stop + 1)
            ids[0, around] = torch.tensor(layout.ids[around])
        ids = ids.masked_fill(ids == AUDIO_ID, self.model.config.audio_token_id)
        positions, _ = self.model.model.get_rope_index(
            ids, torch.cat(grids), attention_mask=torch.ones_like(ids), audio_seqlens=torch.tensor(clips)
        )
        return positions[:, 0].long()
