"""Base models of a given size with random weights, made without a checkpoint, and inputs for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

from earwise.data.media import save_wav
from earwise.micro.build import write_tiny
from earwise.micro.words import VOCABULARY
from earwise.models import Ears, EarsConfig, OmniModel, Sample, Turn
from earwise.models.families import FAMILIES, Family
from earwise.models.families.base import ImageInput
from earwise.records import Item

IMAGE_TOKENS = 324
"""18 x 18 image tokens: with the system prompt, a prefix of about 340 tokens."""


@dataclass(frozen=True)
class Size:
    """Dimensions of a base model and of its ears."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    ears_width: int
    ears_layers: int
    ears_heads: int
    mel_bins: int = 80


# With a vocabulary of 8,192 the head has the same share of a step as in a 2B model: about 3 %.
CPU = Size(512, 6, 8, 4, 1536, 8_192, 128, 2, 4, 128, 2, 4)
QWEN2_VL_2B = Size(1536, 28, 12, 2, 8960, 151_936, 1280, 32, 16, 1280, 32, 20, 128)
QWEN2_VL_7B = Size(3584, 28, 28, 4, 18_944, 152_064, 1280, 32, 16, 1280, 32, 20, 128)


def build(
    family: str, size: Size, folder: Path, device: str, dtype: torch.dtype, image_tokens: int = IMAGE_TOKENS
) -> OmniModel:
    """A random-weight model of `family` on `device`; its ears are float32, as in training.

    Images of an InternVL become `image_tokens` tokens, a square number; those of a Qwen2-VL any number.
    """
    write_tiny(folder, family=family)  # for the tokenizer and the image processor
    with torch.device(device):
        torch.set_default_dtype(dtype)
        base = _internvl(size, folder, image_tokens) if family == "internvl" else _qwen2_vl(size, folder)
        torch.set_default_dtype(torch.float32)
    adapter = FAMILIES[family](
        base.eval(), AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    )
    encoder = {
        "d_model": size.ears_width,
        "encoder_layers": size.ears_layers,
        "encoder_attention_heads": size.ears_heads,
        "encoder_ffn_dim": 4 * size.ears_width,
        "num_mel_bins": size.mel_bins,
    }
    ears = Ears.fresh(EarsConfig(encoder, size.width, hidden=2 * size.width), seed=0).to(device)
    return OmniModel(adapter, ears.requires_grad_(True), base=str(folder)).train()


def image(family: Family, image_tokens: int = IMAGE_TOKENS) -> ImageInput:
    """An image of noise that becomes `image_tokens` tokens, a square number."""
    side = int(image_tokens**0.5)
    if family.name == "internvl":
        return ImageInput({"pixel_values": torch.randn(1, 3, side * 8, side * 8)}, image_tokens)
    grid = torch.tensor([[1, 2 * side, 2 * side]])
    vision = family.model.config.vision_config
    patch = 3 * vision.temporal_patch_size * vision.patch_size**2
    return ImageInput({"pixel_values": torch.randn(4 * image_tokens, patch), "image_grid_thw": grid}, image_tokens)


def spoken_questions(
    model: OmniModel,
    folder: Path,
    count: int,
    image_tokens: int,
    words: tuple[int, int],
    seconds: tuple[float, float],
) -> list[Sample]:
    """Random questions, typed and as clips of noise, about images of noise, which go into the family's cache.

    Args:
        model: what is asked.
        folder: gets the clips.
        count: of questions.
        image_tokens: per image, a square number.
        words: range of a question's length.
        seconds: range of a clip's length.
    """
    rng = np.random.default_rng(0)
    samples = []
    for n in range(count):
        picture, clip = folder / f"{n}.png", folder / f"{n}.wav"
        model.family._images[picture, False] = image(model.family, image_tokens)
        waveform = (0.1 * rng.standard_normal(int(rng.uniform(*seconds) * 16_000))).astype(np.float32)
        save_wav(clip, waveform)
        question = " ".join(rng.choice(VOCABULARY, rng.integers(*words)))
        item = Item(id=str(n), source="bench", question=question, answers=("a",), cluster=str(n))
        samples.append(Sample((Turn(item, question, clip=clip, num_samples=len(waveform)),), picture))
    return samples


def _text(size: Size) -> dict:
    return {
        "vocab_size": size.vocabulary,
        "hidden_size": size.width,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.key_value_heads,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    }


def _internvl(size: Size, folder: Path, image_tokens: int) -> InternVLForConditionalGeneration:
    tiny = InternVLConfig.from_pretrained(folder)
    side = int(image_tokens**0.5)
    vision = InternVLVisionConfig(
        hidden_size=size.vision_width,
        intermediate_size=4 * size.vision_width,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=size.vision_heads,
        image_size=8 * side,
        patch_size=8,
    )
    config = InternVLConfig(
        vision_config=vision,
        text_config=Qwen2Config(**_text(size)),
        image_token_id=tiny.image_token_id,
        image_seq_length=image_tokens,
        downsample_ratio=1.0,
    )
    return InternVLForConditionalGeneration._from_config(config)


def _qwen2_vl(size: Size, folder: Path) -> Qwen2VLForConditionalGeneration:
    tiny = Qwen2VLConfig.from_pretrained(folder)
    pairs = size.width // size.heads // 2
    sections = [pairs - 2 * (3 * pairs // 8), 3 * pairs // 8, 3 * pairs // 8]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    vision = {
        "depth": size.vision_layers,
        "embed_dim": size.vision_width,
        "hidden_size": size.width,
        "num_heads": size.vision_heads,
        "patch_size": 14,
    }
    config = Qwen2VLConfig(
        vision_config=vision,
        text_config={**_text(size), "rope_parameters": rope},
        image_token_id=tiny.image_token_id,
        video_token_id=tiny.video_token_id,
        vision_start_token_id=tiny.vision_start_token_id,
        vision_end_token_id=tiny.vision_end_token_id,
    )
    return Qwen2VLForConditionalGeneration._from_config(config)
