"""Published configurations by size: the shapes that count parameters, and the count. Written down without the files."""

from dataclasses import dataclass, field
from typing import Any

import transformers as hf


@dataclass(frozen=True)
class Published:
    """One published model."""

    name: str
    family: str
    billions: str
    """Parameters; of Qwen's omni models the thinker's."""
    model: Any
    config: Any
    towers: dict[str, dict] = field(default_factory=dict)
    decoder: dict = field(default_factory=dict)
    own: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)
    """Settings of the image processor."""


def _decoder(width, feed_forward, layers, heads, key_heads, vocabulary=151_936, **more):
    return {
        "hidden_size": width, "intermediate_size": feed_forward, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": key_heads, "vocab_size": vocabulary,
        "tie_word_embeddings": False, **more,
    }  # fmt: skip


def _tower(width, feed_forward, layers, heads, image_size, patch_size, **more):
    return {
        "hidden_size": width, "intermediate_size": feed_forward, "num_hidden_layers": layers,
        "num_attention_heads": heads, "image_size": image_size, "patch_size": patch_size, **more,
    }  # fmt: skip


_MROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
_MROPE3 = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
_EXPERTS = {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "head_dim": 128}
_TIED = {"tie_word_embeddings": True}
_WHISPER = {
    "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120, "num_mel_bins": 128
}  # fmt: skip
_LARGE_V3 = {
    "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120,
    "num_mel_bins": 128,
}  # fmt: skip


def _seen2(width):
    return {"depth": 32, "embed_dim": 1280, "hidden_size": width, "mlp_ratio": 4, "num_heads": 16, "patch_size": 14}


def _seen25(width, feed_forward=3420):
    return {
        "depth": 32, "hidden_size": 1280, "intermediate_size": feed_forward, "num_heads": 16, "patch_size": 14,
        "out_hidden_size": width, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
    }  # fmt: skip


def _seen3(width, *, large):
    small = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]}
    big = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]}
    return {
        **(big if large else small), "num_heads": 16, "patch_size": 16, "out_hidden_size": width,
        "num_position_embeddings": 2304,
    }  # fmt: skip


_INTERN = _tower(1024, 4096, 24, 16, [448, 448], [14, 14], attention_bias=True, use_qk_norm=False)
_SIGLIP = _tower(1152, 4304, 27, 16, 896, 14, model_type="siglip_vision_model", vision_use_head=False)
_QWEN2, _QWEN3, _LLAMA = ({"model_type": name} for name in ("qwen2", "qwen3", "llama"))


def _qwen(name, family, billions, model, config, tower, decoder, patch, **own):
    sizes = {"patch_size": patch, "size": {"shortest_edge": (4 * patch) ** 2, "longest_edge": 1280 * (2 * patch) ** 2}}
    own |= {"tie_word_embeddings": decoder["tie_word_embeddings"]}
    return Published(name, family, billions, model, config, {"vision_config": tower}, decoder, own, sizes)


def _intern(name, billions, decoder):
    images = {"size": {"height": 448, "width": 448}, "crop_to_patches": True, "min_patches": 1, "max_patches": 12}
    own = {"tie_word_embeddings": False, "image_seq_length": 256}
    return Published(
        name, "internvl", billions, hf.InternVLForConditionalGeneration, hf.InternVLConfig, {"vision_config": _INTERN},
        decoder, own, images,
    )  # fmt: skip


def _split(name, billions, model, config, tower, decoder, scale):
    side = tower["image_size"]
    images = {"size": {"longest_edge": 4 * side}, "max_image_size": {"longest_edge": side}}
    return Published(
        name, "smolvlm", billions, model, config, {"vision_config": tower}, {**_LLAMA, **decoder},
        {"scale_factor": scale}, images,
    )  # fmt: skip


def _gemma(name, billions, *shape, head_dim=256):
    decoder = _decoder(*shape, 262_208, head_dim=head_dim, sliding_window=1024, query_pre_attn_scalar=256)
    return Published(
        name, "gemma3", billions, hf.Gemma3ForConditionalGeneration, hf.Gemma3Config, {"vision_config": _SIGLIP},
        decoder | _TIED, {}, {"size": {"height": 896, "width": 896}},
    )  # fmt: skip


def _omni(name, billions, model, config, tower, decoder, patch):
    audio = {**_WHISPER, "output_dim": decoder["hidden_size"]}
    images = {"patch_size": patch, "size": {"shortest_edge": (4 * patch) ** 2, "longest_edge": 1280 * (2 * patch) ** 2}}
    family = "qwen3_omni" if patch == 16 else "qwen2_5_omni"
    towers = {"vision_config": tower, "audio_config": audio}
    return Published(name, family, billions, model, config, towers, decoder, {}, images)


_VL2 = (hf.Qwen2VLForConditionalGeneration, hf.Qwen2VLConfig)
_VL25 = (hf.Qwen2_5_VLForConditionalGeneration, hf.Qwen2_5_VLConfig)
_VL3 = (hf.Qwen3VLForConditionalGeneration, hf.Qwen3VLConfig)
_VL3_MOE = (hf.Qwen3VLMoeForConditionalGeneration, hf.Qwen3VLMoeConfig)
_SMOL = (hf.SmolVLMForConditionalGeneration, hf.SmolVLMConfig)
_OMNI25 = (hf.Qwen2_5OmniThinkerForConditionalGeneration, hf.Qwen2_5OmniThinkerConfig)
_OMNI3 = (hf.Qwen3OmniMoeThinkerForConditionalGeneration, hf.Qwen3OmniMoeThinkerConfig)
_R2, _R3 = {"rope_parameters": _MROPE}, {"rope_parameters": _MROPE3, "head_dim": 128}

PUBLISHED = (
    _intern("InternVL3-1B-hf", "0.94", {**_QWEN2, **_decoder(896, 4864, 24, 14, 2, 151_674)}),
    _intern("InternVL3-2B-hf", "2.09", {**_QWEN2, **_decoder(1536, 8960, 28, 12, 2, 151_674)}),
    _intern("InternVL3-8B-hf", "7.94", {**_QWEN2, **_decoder(3584, 18944, 28, 28, 4, 151_674)}),
    _intern("InternVL3_5-1B-HF", "1.06", {**_QWEN3, **_decoder(1024, 3072, 28, 16, 8, head_dim=128)}),
    _intern("InternVL3_5-2B-HF", "2.35", {**_QWEN3, **_decoder(2048, 6144, 28, 16, 8, head_dim=128)}),
    _intern("InternVL3_5-4B-HF", "4.73", {**_QWEN3, **_decoder(2560, 9728, 36, 32, 8, head_dim=128)}),
    _intern("InternVL3_5-8B-HF", "8.53", {**_QWEN3, **_decoder(4096, 12288, 36, 32, 8, head_dim=128)}),
    _qwen("Qwen2-VL-2B", "qwen2_vl", "2.21", *_VL2, _seen2(1536), _decoder(1536, 8960, 28, 12, 2, **_R2) | _TIED, 14),
    _qwen("Qwen2-VL-7B", "qwen2_vl", "8.29", *_VL2, _seen2(3584), _decoder(3584, 18944, 28, 28, 4, 152_064, **_R2), 14),
    _qwen(
        "Qwen2.5-VL-3B",
        "qwen2_5_vl",
        "3.75",
        *_VL25,
        _seen25(2048),
        _decoder(2048, 11008, 36, 16, 2, **_R2) | _TIED,
        14,
    ),
    _qwen(
        "Qwen2.5-VL-7B",
        "qwen2_5_vl",
        "8.29",
        *_VL25,
        _seen25(3584),
        _decoder(3584, 18944, 28, 28, 4, 152_064, **_R2),
        14,
    ),
    _qwen(
        "Qwen2.5-VL-72B",
        "qwen2_5_vl",
        "73.4",
        *_VL25,
        _seen25(8192, 3456),
        _decoder(8192, 29568, 80, 64, 8, 152_064, **_R2),
        14,
    ),
    _qwen(
        "Qwen3-VL-2B",
        "qwen3_vl",
        "2.13",
        *_VL3,
        _seen3(2048, large=False),
        _decoder(2048, 6144, 28, 16, 8, **_R3) | _TIED,
        16,
    ),
    _qwen(
        "Qwen3-VL-4B",
        "qwen3_vl",
        "4.44",
        *_VL3,
        _seen3(2560, large=False),
        _decoder(2560, 9728, 36, 32, 8, **_R3) | _TIED,
        16,
    ),
    _qwen(
        "Qwen3-VL-8B", "qwen3_vl", "8.77", *_VL3, _seen3(4096, large=True), _decoder(4096, 12288, 36, 32, 8, **_R3), 16
    ),
    _qwen(
        "Qwen3-VL-30B-A3B",
        "qwen3_vl",
        "31.1",
        *_VL3_MOE,
        _seen3(2048, large=True),
        _decoder(2048, 6144, 48, 32, 4, **_R3) | _EXPERTS,
        16,
    ),
    _split(
        "SmolVLM-256M", "0.256", *_SMOL, _tower(768, 3072, 12, 12, 512, 16), _decoder(576, 1536, 30, 9, 3, 49_280), 4
    ),
    _split(
        "SmolVLM-500M", "0.507", *_SMOL, _tower(768, 3072, 12, 12, 512, 16), _decoder(960, 2560, 32, 15, 5, 49_280), 4
    ),
    _split(
        "SmolVLM2-2.2B",
        "2.25",
        *_SMOL,
        _tower(1152, 4304, 27, 16, 384, 14),
        _decoder(2048, 8192, 24, 32, 32, 49_280),
        3,
    ),
    _split(
        "Idefics3-8B",
        "8.46",
        hf.Idefics3ForConditionalGeneration,
        hf.Idefics3Config,
        _tower(1152, 4304, 27, 16, 364, 14),
        _decoder(4096, 14336, 32, 32, 8, 128_259),
        2,
    ),
    _gemma("gemma-3-4b", "4.30", 2560, 10240, 34, 8, 4),
    _gemma("gemma-3-12b", "12.2", 3840, 15360, 48, 16, 8),
    _gemma("gemma-3-27b", "27.4", 5376, 21504, 62, 32, 16, head_dim=128),
    Published(
        "Qwen2-Audio-7B",
        "qwen2_audio",
        "8.40",
        hf.Qwen2AudioForConditionalGeneration,
        hf.Qwen2AudioConfig,
        {"audio_config": {"model_type": "qwen2_audio_encoder", **_WHISPER}},
        {**_QWEN2, **_decoder(4096, 11008, 32, 32, 32, 156_032)},
    ),
    Published(
        "audio-flamingo-3",
        "audioflamingo3",
        "8.27",
        hf.AudioFlamingo3ForConditionalGeneration,
        hf.AudioFlamingo3Config,
        {"audio_config": {"model_type": "audioflamingo3_encoder", **_LARGE_V3}},
        {**_QWEN2, **_decoder(3584, 18944, 28, 28, 4, 151_672)},
    ),
    Published(
        "Voxtral-Mini-3B-2507",
        "voxtral",
        "4.68",
        hf.VoxtralForConditionalGeneration,
        hf.VoxtralConfig,
        {"audio_config": {"model_type": "voxtral_encoder", **_LARGE_V3}},
        {**_LLAMA, **_decoder(3072, 8192, 30, 32, 8, 131_072, head_dim=128)},
    ),
    Published(
        "Voxtral-Small-24B-2507",
        "voxtral",
        "24.3",
        hf.VoxtralForConditionalGeneration,
        hf.VoxtralConfig,
        {"audio_config": {"model_type": "voxtral_encoder", **_LARGE_V3}},
        {**_LLAMA, **_decoder(5120, 32768, 40, 32, 8, 131_072, head_dim=128)},
    ),
    _omni("Qwen2.5-Omni-3B, thinker", "4.70", *_OMNI25, _seen25(2048), _decoder(2048, 11008, 36, 16, 2, **_R2), 14),
    _omni(
        "Qwen2.5-Omni-7B, thinker",
        "8.93",
        *_OMNI25,
        _seen25(3584),
        _decoder(3584, 18944, 28, 28, 4, 152_064, **_R2),
        14,
    ),
    _omni(
        "Qwen3-Omni-30B-A3B, thinker",
        "31.7",
        *_OMNI3,
        _seen3(2048, large=True),
        _decoder(2048, 768, 48, 32, 4, 152_064, **_R3) | _EXPERTS,
        16,
    ),
)
"""The sizes that users train."""
