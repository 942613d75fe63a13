"""Tiny random checkpoints of families from 2025 on, for `tiny_families`."""

from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

VISION_MARKS = "<|vision_start|><|image_pad|><|vision_end|>"
AUDIO3 = "<|audio_start|><|audio_pad|><|audio_end|>"
PARTS = {
    "internvl3_5": {"image": "<IMG_CONTEXT>"},
    "qwen3_vl": {"image": VISION_MARKS},
    "qwen3_5": {"image": VISION_MARKS},
    "smolvlm": {"image": "<image>"},
    "idefics3": {"image": "<image>"},
    "gemma3": {"image": "<start_of_image>"},
    "audioflamingo3": {"audio": "<sound>"},
    "voxtral": {"audio": "[BEGIN_AUDIO][AUDIO]"},
    "qwen3_omni": {"image": VISION_MARKS, "audio": AUDIO3},
}
_TILES = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
_SPLIT = ("<image>", "<fake_token_around_image>", "<global-img>", *_TILES)
SPECIAL = {
    "qwen3_5": ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"),
    "smolvlm": _SPLIT,
    "idefics3": _SPLIT,
    "gemma3": ("<start_of_image>", "<image_soft_token>", "<end_of_image>"),
    "audioflamingo3": ("<sound>",),
    "voxtral": ("[BEGIN_AUDIO]", "[AUDIO]"),
    "qwen3_omni": ("<|audio_start|>", "<|audio_pad|>", "<|audio_end|>"),
}
"""Special tokens beside those of every tiny family."""
_SPLITTER = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}
SIZE = {"shortest_edge": 8 * 8, "longest_edge": 96 * 96}
IMAGES = {
    **dict.fromkeys(
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "qwen2_5_omni", "qwen3_omni"),
        lambda: Qwen2VLImageProcessorPil(patch_size=8, size=SIZE),
    ),
    "internvl": lambda: GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}),
    "internvl3_5": lambda: GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}),
    "smolvlm": lambda: SmolVLMImageProcessorPil(**_SPLITTER),
    "idefics3": lambda: Idefics3ImageProcessorPil(**_SPLITTER),
    "gemma3": lambda: Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
}
"""Image processors of small pictures."""
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3], "mrope_interleaved": True}
VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 8, "out_hidden_size": 64,
    "num_position_embeddings": 16,
}  # fmt: skip
DEEP = {**VISION, "deepstack_visual_indexes": [0, 1]}
SQUARES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
AUDIO_TOWER = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128, "num_mel_bins": 128
}  # fmt: skip


def _ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return tokenizer.get_vocab()


def _kinds(first: str, text: dict) -> list[str]:
    """Layers of the kind `first` and full attention in turn."""
    return [("full_attention" if number % 2 else first) for number in range(text["num_hidden_layers"])]


def _marks(tokenizer: PreTrainedTokenizerFast) -> dict:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {name: _ids(tokenizer)[token] for name, token in names.items()}


def build_internvl3_5(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """InternVL with the decoder of Qwen3; tiles of 32 pixels, 4 tokens each."""
    return build_internvl(tokenizer, {"model_type": "qwen3", **text, "head_dim": 16})


def build_internvl(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """As `build_internvl3_5`, with the decoder of Qwen2 unless `text` names another."""
    config = InternVLConfig(
        vision_config={**SQUARES, "image_size": [32, 32], "patch_size": [8, 8], "layer_scale_init_value": 1.0},
        text_config={"model_type": "qwen2", **text},
        image_token_id=_ids(tokenizer)["<IMG_CONTEXT>"],
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=text.get("tie_word_embeddings", False),
    )
    return InternVLForConditionalGeneration(config)


def build_qwen2_vl(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """Patches of 8 pixels."""
    tower = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2, "num_heads": 2, "patch_size": 8}
    rope = {**ROPE, "mrope_interleaved": False}
    config = Qwen2VLConfig(vision_config=tower, text_config={**text, "rope_parameters": rope}, **_marks(tokenizer))
    return Qwen2VLForConditionalGeneration(config)


def build_qwen3_vl(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """Both decoder layers get features of the tower."""
    decoder = {**text, "head_dim": 16, "rope_parameters": ROPE}
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(vision_config=DEEP, text_config=decoder, **_marks(tokenizer))
    )  # fmt: skip


def build_qwen3_5(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """One layer with a recurrent state and one with full attention."""
    hybrid = {
        **text, "head_dim": 16, "layer_types": _kinds("linear_attention", text), "linear_key_head_dim": 8,
        "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
        "rope_parameters": {**ROPE, "partial_rotary_factor": 1.0},
    }  # fmt: skip
    return Qwen3_5ForConditionalGeneration(
        Qwen3_5Config(vision_config=VISION, text_config=hybrid, **_marks(tokenizer))
    )  # fmt: skip


def build_smolvlm(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """Tiles of 32 pixels, 4 tokens each."""
    return SmolVLMForConditionalGeneration(SmolVLMConfig(**_split(tokenizer, text, "smolvlm_vision")))


def build_idefics3(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """As `build_smolvlm`."""
    return Idefics3ForConditionalGeneration(Idefics3Config(**_split(tokenizer, text, "idefics3_vision")))


def _split(tokenizer: PreTrainedTokenizerFast, text: dict, tower: str) -> dict:
    return {
        "vision_config": {"model_type": tower, **SQUARES},
        "text_config": {"model_type": "llama", **text},
        "image_token_id": _ids(tokenizer)["<image>"],
        "pad_token_id": tokenizer.pad_token_id,
    }


def build_gemma3(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """A window of 24 tokens in the first of two layers; 16 tokens a picture."""
    ids = _ids(tokenizer)
    decoder = {
        **text, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 24,
        "layer_types": _kinds("sliding_attention", text),
    }  # fmt: skip
    config = Gemma3Config(
        vision_config={"model_type": "siglip_vision_model", **SQUARES},
        text_config=decoder,
        mm_tokens_per_image=16,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
    )
    return Gemma3ForConditionalGeneration(config)


def build_audioflamingo3(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """128 mel bins and 30 s of positions, as published."""
    config = AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **AUDIO_TOWER},
        text_config={"model_type": "qwen2", **text},
        audio_token_id=_ids(tokenizer)["<sound>"],
    )
    return AudioFlamingo3ForConditionalGeneration(config)


def build_voxtral(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """375 tokens for 30 s, as published."""
    config = VoxtralConfig(
        audio_config={"model_type": "voxtral_encoder", **AUDIO_TOWER},
        text_config={"model_type": "llama", **text, "head_dim": 16},
        audio_token_id=_ids(tokenizer)["[AUDIO]"],
    )
    return VoxtralForConditionalGeneration(config)


def build_qwen3_omni(tokenizer: PreTrainedTokenizerFast, text: dict) -> PreTrainedModel:
    """The thinker, with two of four experts for each token."""
    ids = _ids(tokenizer)
    audio = {
        "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "num_mel_bins": 128,
        "output_dim": 64, "downsample_hidden_size": 8,
    }  # fmt: skip
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    config = Qwen3OmniMoeThinkerConfig(
        audio_config=audio,
        vision_config=DEEP,
        text_config={**text, "head_dim": 16, "rope_parameters": ROPE, **experts},
        audio_token_id=ids["<|audio_pad|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        audio_start_token_id=ids["<|audio_start|>"],
        audio_end_token_id=ids["<|audio_end|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        position_id_per_seconds=13,
    )
    return Qwen3OmniMoeThinkerForConditionalGeneration(config)


BUILDERS = {
    "internvl": build_internvl, "qwen2_vl": build_qwen2_vl,
    "internvl3_5": build_internvl3_5, "qwen3_vl": build_qwen3_vl, "qwen3_5": build_qwen3_5, "smolvlm": build_smolvlm,
    "idefics3": build_idefics3,
    "gemma3": build_gemma3, "audioflamingo3": build_audioflamingo3, "voxtral": build_voxtral,
    "qwen3_omni": build_qwen3_omni,
}  # fmt: skip
