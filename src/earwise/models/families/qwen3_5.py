"""Qwen3.5 (`model_type` qwen3_5): Qwen2-VL's pictures and positions; most decoder layers keep a recurrent state."""

from __future__ import annotations

from earwise.models.families.qwen2_vl import Qwen2VL


class Qwen3_5(Qwen2VL):
    """Differs from Qwen2-VL in the decoder (gated DeltaNet, arXiv 2412.06464) and inside the tower."""

    name = "qwen3_5"
    model_types = ("qwen3_5", "qwen3_5_moe")
