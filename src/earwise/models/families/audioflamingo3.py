"""Audio Flamingo 3 (`model_type` audioflamingo3): hears natively, up to ten minutes, and does not see."""

from __future__ import annotations

from transformers import AudioFlamingo3ForConditionalGeneration

from earwise.models.families.qwen2_audio import Qwen2Audio, Qwen2AudioEars


class AudioFlamingo3Ears(Qwen2AudioEars):
    """Qwen2-Audio's tower, over pieces of 30 s, and a projector of two layers. A token is 40 ms."""

    longest_s = 600.0
    """As in the published processor."""

    @property
    def window(self) -> int:
        """The states of a piece."""
        return int(self._own[0].config.max_source_positions)


class AudioFlamingo3(Qwen2Audio):
    """Clips only; layouts refuse a view with an image."""

    name = "audioflamingo3"
    model_types = ("audioflamingo3",)
    model_class = AudioFlamingo3ForConditionalGeneration
    own_ears = AudioFlamingo3Ears
    audio_placeholder = "<sound>"
