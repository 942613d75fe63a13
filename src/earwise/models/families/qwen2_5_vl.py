"""Qwen2.5-VL (`model_type` qwen2_5_vl): Qwen2-VL with attention in windows inside its vision tower."""

from __future__ import annotations

from earwise.models.families.qwen2_vl import Qwen2VL


class Qwen2_5VL(Qwen2VL):
    """Differs from Qwen2-VL only inside the tower and in the positions of videos, which are not used here."""

    name = "qwen2_5_vl"
    model_types = ("qwen2_5_vl",)
