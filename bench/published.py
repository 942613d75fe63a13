"""Published models by their configurations, at full size and without weights, for `flops.py`.

The numbers are from each checkpoint's `config.json` on the Hugging Face hub. Only ids of special tokens differ: the
tokenizer is the laboratory's, filled up to the published number of words. Ids of words change neither a shape nor a
cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from transformers import (
    GenerationConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from earwise.micro.tokenizer import CHAT_TEMPLATE, build_tokenizer
from earwise.micro.words import VOCABULARY
from earwise.models import Ears, EarsConfig, OmniModel
from earwise.models.families import FAMILIES, OwnEars
from earwise.models.families.base import Family, ImageInput
from earwise.models.whisper import encoder_config

STACK, HIDDEN = 2, 2048
"""The ears: 25 tokens per second and the projector of `recipes/self_kd/paper.toml`."""

# openai/whisper-large-v3
WHISPER: Final = {
    **encoder_config(layers=32, width=1280, heads=20, mel_bins=128),
    "decoder_layers": 32, "decoder_attention_heads": 20, "decoder_ffn_dim": 5120, "vocab_size": 51_866,
}  # fmt: skip

_ROPE: Final = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
_QWEN_2B: Final = {
    "hidden_size": 1536, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
    "intermediate_size": 8960,
}  # fmt: skip
_QWEN_7B: Final = {
    "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "intermediate_size": 18_944,
}  # fmt: skip
_QWEN_05B: Final = {
    "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "intermediate_size": 4864,
}  # fmt: skip
_QWEN2_VISION: Final = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14}
_OMNI_VISION: Final = {
    "depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "patch_size": 14,
    "out_hidden_size": 3584, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip
_OMNI_AUDIO: Final = {
    "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
    "num_mel_bins": 128, "n_window": 100, "output_dim": 3584,
}  # fmt: skip
_INTERN_VISION: Final = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
    "image_size": [448, 448], "patch_size": [14, 14], "attention_bias": True,
}  # fmt: skip

_OMNI_TOKENS: Final = ("<|IMAGE|>", "<|vision_bos|>", "<|vision_eos|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
_OMNI_IMAGE_AND_AUDIO: Final = (
    "<|vision_bos|><|IMAGE|><|vision_eos|>{% elif part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
)


@dataclass(frozen=True)
class Published:
    """A published base model."""

    checkpoint: str
    """The source of the numbers: this checkpoint's `config.json`."""
    family: str
    build: Callable[[PreTrainedTokenizerFast], PreTrainedModel]
    head_rows: int
    """Rows of its embeddings and its head."""
    card: float | None
    """Billions of parameters by its model card; None if the card has no number for the part that is built."""


def _ids(tokenizer: PreTrainedTokenizerFast, **tokens: str) -> dict[str, int]:
    vocabulary = tokenizer.get_vocab()
    return {f"{name}_token_id": vocabulary[token] for name, token in tokens.items()}


def _qwen2_vl(text: dict[str, Any], rows: int, *, tied: bool) -> Callable[[PreTrainedTokenizerFast], PreTrainedModel]:
    def build(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
        config = Qwen2VLConfig(
            vision_config={**_QWEN2_VISION, "hidden_size": text["hidden_size"]},
            text_config={**text, "vocab_size": rows, "rope_parameters": _ROPE},
            tie_word_embeddings=tied,
            **_ids(
                tokenizer, image="<|image_pad|>", video="<|video_pad|>", vision_start="<|vision_start|>",
                vision_end="<|vision_end|>",
            ),
        )  # fmt: skip
        return _whole(Qwen2VLForConditionalGeneration, config)

    return build


def _internvl(text: dict[str, Any], rows: int) -> Callable[[PreTrainedTokenizerFast], PreTrainedModel]:
    def build(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
        config = InternVLConfig(
            vision_config=_INTERN_VISION,
            text_config={"model_type": "qwen2", **text, "vocab_size": rows, "tie_word_embeddings": False},
            image_seq_length=256,
            downsample_ratio=0.5,
            tie_word_embeddings=False,
            **_ids(tokenizer, image="<IMG_CONTEXT>"),
        )
        return _whole(InternVLForConditionalGeneration, config)

    return build


def _omni_thinker(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    ids = tokenizer.get_vocab()
    config = Qwen2_5OmniThinkerConfig(
        audio_config=_OMNI_AUDIO,
        vision_config=_OMNI_VISION,
        text_config={**_QWEN_7B, "vocab_size": 152_064, "rope_parameters": _ROPE},
        audio_token_index=ids["<|AUDIO|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|video_pad|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
    )
    return _whole(Qwen2_5OmniThinkerForConditionalGeneration, config)


def _whole(model_class: Any, config: Any) -> PreTrainedModel:
    """As loaded for a GPU: bfloat16, torch's fused attention."""
    return cast(PreTrainedModel, model_class._from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa"))


MODELS: Final = {
    "qwen2_vl_2b": Published(
        "Qwen/Qwen2-VL-2B-Instruct", "qwen2_vl", _qwen2_vl(_QWEN_2B, 151_936, tied=True), 151_936, 2.21
    ),
    "qwen2_vl_7b": Published(
        "Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", _qwen2_vl(_QWEN_7B, 152_064, tied=False), 152_064, 8.29
    ),
    "internvl3_1b": Published(
        "OpenGVLab/InternVL3-1B-hf", "internvl", _internvl(_QWEN_05B, 151_674), 151_674, 0.94
    ),
    "internvl3_8b": Published(
        "OpenGVLab/InternVL3-8B-hf", "internvl", _internvl(_QWEN_7B, 151_674), 151_674, 7.94
    ),
    "qwen2_5_omni_7b": Published("Qwen/Qwen2.5-Omni-7B", "qwen2_5_omni", _omni_thinker, 152_064, None),
}  # fmt: skip


def published_model(name: str) -> OmniModel:
    """One of `MODELS` with its trained part: Whisper-large-v3's encoder as ears, or for the natively hearing omni model
    the projection of its audio tower.
    """
    spec = MODELS[name]
    tokenizer = _tokenizer(spec)
    with torch.device("meta"):
        base, ears = spec.build(tokenizer).eval(), None
    end = tokenizer.eos_token_id
    base.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
    family = FAMILIES[spec.family](base, tokenizer, None, WhisperFeatureExtractor(feature_size=128))
    if not family.hears:
        encoder = {key: value for key, value in WHISPER.items() if not key.startswith(("decoder", "vocab"))}
        with torch.device("meta"):
            ears = Ears(EarsConfig(encoder, family.width, stack=STACK, hidden=HIDDEN))
        ears.encoder.config._attn_implementation = "sdpa"  # as on a GPU
    model = OmniModel(family, ears, base=spec.checkpoint)
    if isinstance(model.ears, OwnEars):
        model.ears.train_part("projector")
    model.ears.requires_grad_(True)
    return model.train()


def whisper_sizes() -> tuple[int, int]:
    """Parameters of Whisper-large-v3, and of its encoder."""
    with torch.device("meta"):
        whole = WhisperForConditionalGeneration(WhisperConfig(**WHISPER))
    count = sum(p.numel() for p in whole.parameters())
    return count, sum(p.numel() for p in whole.model.encoder.parameters())


def picture(family: Family, tokens: int) -> ImageInput:
    """An image of about `tokens` tokens: exactly as many for families with any size (a multiple of 40, or of 20 below
    1,000); for InternVL the nearest number of tiles of 256.
    """
    if family.name == "internvl":
        tiles = max(1, round(tokens / 256))
        pixels = torch.empty(tiles, 3, 448, 448, device="meta")
        return ImageInput({"pixel_values": pixels}, tiles * 256)
    columns = 40 if tokens >= 1000 else 20
    grid = torch.tensor([[1, 2 * (tokens // columns), 2 * columns]])
    pixels = torch.empty(4 * tokens, 3 * 2 * 14**2, device="meta")
    return ImageInput({"pixel_values": pixels, "image_grid_thw": grid}, tokens)


def _tokenizer(spec: Published) -> PreTrainedTokenizerFast:
    """The laboratory's, filled with unused words to the published number."""
    family = "internvl" if spec.family == "internvl" else "qwen2_vl"
    added = [*_OMNI_TOKENS] if spec.family == "qwen2_5_omni" else []
    fill = spec.head_rows - len(build_tokenizer(family)) - len(added)
    tokenizer = build_tokenizer(family, [*VOCABULARY, *(f"#{number}" for number in range(fill))])
    if added:
        tokenizer.add_tokens(added, special_tokens=True)
        tokenizer.chat_template = CHAT_TEMPLATE.replace("IMAGE\n", _OMNI_IMAGE_AND_AUDIO)
    return tokenizer
