"""What the published processors hand to a model's own forward pass, for a layout."""

import numpy as np
import torch
from transformers import AudioFlamingo3Processor, PreTrainedTokenizerBase, WhisperFeatureExtractor
from transformers.models.qwen3_omni_moe import processing_qwen3_omni_moe

from earwise.data.media import load_audio
from earwise.models.layout import AUDIO_ID

_TYPES = {"qwen2_vl": "mm_token_type_ids", "qwen2_5_vl": "mm_token_type_ids", "qwen3_vl": "mm_token_type_ids",
          "qwen3_5": "mm_token_type_ids", "gemma3": "token_type_ids"}  # fmt: skip
"""What a model calls the mark of image tokens."""
_MASK = {"audioflamingo3": "input_features_mask", "voxtral": None}
"""What a model calls the mask of its spectrogram, if not `feature_attention_mask`."""


def hugging_face_inputs(model, layout):
    """Arguments of the base's `forward` and `generate` for one layout."""
    ids, config, name = torch.tensor([layout.ids]), model.base.config, model.family.name
    inputs = {"attention_mask": torch.ones_like(ids)}
    images = [medium.image.tensors for medium in layout.media if medium.kind == "image"]
    for key in images[0].keys() - {"grid"} if images else ():
        inputs[key] = torch.cat([tensors[key] for tensors in images], dim=1 if name == "smolvlm" else 0)
    clips = [load_audio(m.source)[: m.num_samples] * (m.heard != "silence") for m in layout.media if m.kind == "audio"]
    if clips:
        ids = ids.masked_fill(ids == AUDIO_ID, config.audio_token_id)
        inputs |= spectrograms(model.family, clips)
    if name in _TYPES:
        inputs[_TYPES[name]] = (ids == config.image_token_id).int()
    return {"input_ids": ids, **inputs}


def spectrograms(family, clips):
    """Features of all clips of one conversation, as the family's own processor computes them."""
    extractor, options = family.feature_extractor, {"sampling_rate": 16_000, "return_tensors": "pt"}
    if family.name == "voxtral":
        made = [
            extractor(clip, padding=True, truncation=False, pad_to_multiple_of=480_000, **options) for clip in clips
        ]
        pieces = [one["input_features"].reshape(128, -1, 3_000).transpose(0, 1) for one in made]
        return {"input_features": torch.cat(pieces)}
    if family.name == "audioflamingo3":
        clips = [clip[start : start + 480_000] for clip in clips for start in range(0, len(clip), 480_000)]
    if family.name == "qwen3_omni":
        options |= {"padding": True, "truncation": False}
    made = extractor(clips, return_attention_mask=True, **options)
    mask = _MASK.get(family.name, "feature_attention_mask")
    return {"input_features": made["input_features"], mask: made["attention_mask"]}


def published_tokens(name, num_samples):
    """Number of tokens of a clip, from the published processors' own functions where they have one."""
    clip = np.zeros(num_samples, np.float32)
    padding = {"padding": True, "truncation": False} if name == "qwen3_omni" else {}
    made = WhisperFeatureExtractor(feature_size=128)(clip, sampling_rate=16_000, return_attention_mask=True, **padding)
    frames = torch.as_tensor(made["attention_mask"]).sum(-1)
    if name == "voxtral":
        return 375 * -(-num_samples // 480_000)
    if name == "qwen3_omni":
        return int(processing_qwen3_omni_moe._get_feat_extract_output_lengths(frames)[0])
    return int(AudioFlamingo3Processor._get_audio_token_length(None, frames)[0])


def decoded(tokenizer: PreTrainedTokenizerBase, ids) -> str:
    """An answer as earwise returns it."""
    return tokenizer.decode(ids, skip_special_tokens=True).strip()
