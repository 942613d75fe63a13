"""Whisper out of CTranslate2, as a Hugging Face folder.

CTranslate2 fuses the projections of self-attention (query, key, value) and those of cross-attention (key, value) into
one matrix each; a Whisper checkpoint has them apart, and no bias of keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from earwise.errors import InputError
from earwise.io.files import read_text
from earwise.io.loading import fill
from earwise.real.ctranslate2 import read_ct2

Arrays = Mapping[str, npt.NDArray[Any]]
_START, _END = "<|startoftranscript|>", "<|endoftext|>"
_NORM: Final = (("gamma", "weight"), ("beta", "bias"))
_ENGLISH_ONLY: Final = 51_864
"""Words of every English-only Whisper; the others have more."""
_SETTINGS: Final = ("activation", "alibi", "alignment", "num_heads", "pre_norm", "scale_embeddings", "start_from_zero")
"""Variables that are no weights."""


def write_whisper(source: Path, folder: Path) -> None:
    """Convert the CTranslate2 folder `source` (`model.bin`, `config.json`, `tokenizer.json`) into `folder`.

    Raises `InputError` for another model than Whisper, and where weights are missing or left over.
    """
    path = source / "model.bin"
    model = read_ct2(path)
    if model.spec != "WhisperSpec":
        raise InputError(f"is a {model.spec}, not Whisper", file=path, remedy="give a converted Whisper")
    variables = _in_float32(model.variables)
    tokenizer = Tokenizer.from_str(read_text(source / "tokenizer.json"))
    config = _config(variables, tokenizer, path)
    whisper = WhisperForConditionalGeneration(config).eval()
    fill(whisper, _weights(variables), path)
    whisper.generation_config = _generation(json.loads(read_text(source / "config.json")), config, tokenizer)
    whisper.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    WhisperTokenizer(tokenizer_object=tokenizer).save_pretrained(folder)


def _in_float32(variables: Arrays) -> dict[str, npt.NDArray[Any]]:
    """All values in float32; eight-bit weights are divided by the scale of their row."""
    found = {name: values.astype(np.float32) for name, values in variables.items()}
    for name in [name for name in found if name.endswith("_scale")]:
        weights = name.removesuffix("_scale")
        found[weights] /= found.pop(name).reshape(-1, *[1] * (found[weights].ndim - 1))
    return found


def _config(variables: Arrays, tokenizer: Tokenizer, path: Path) -> WhisperConfig:
    """Sizes, which CTranslate2 says by the shapes of the weights."""
    try:
        vocabulary, width = variables["decoder/embeddings/weight"].shape
        sizes = {
            "vocab_size": vocabulary,
            "d_model": width,
            "num_mel_bins": variables["encoder/conv1/weight"].shape[1],
            "max_source_positions": variables["encoder/position_encodings/encodings"].shape[0],
            "max_target_positions": variables["decoder/position_encodings/encodings"].shape[0],
        }
        for side in ("encoder", "decoder"):
            sizes[f"{side}_layers"] = _depth(variables, side)
            sizes[f"{side}_attention_heads"] = int(variables[f"{side}/num_heads"])
            sizes[f"{side}_ffn_dim"] = variables[f"{side}/layer_0/ffn/linear_0/bias"].shape[0]
    except KeyError as error:
        raise InputError("is missing", file=path, record=str(error.args[0]), remedy="fetch it again") from None
    start, end = (tokenizer.token_to_id(word) for word in (_START, _END))
    ends = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    return WhisperConfig(**{**sizes, **ends, "begin_suppress_tokens": None})


def _depth(variables: Arrays, side: str) -> int:
    return len({match[1] for name in variables if (match := re.match(rf"{side}/layer_(\d+)/", name))})


def _weights(variables: Arrays) -> dict[str, Tensor]:
    """Every variable under the name that it has in transformers."""
    found: dict[str, npt.NDArray[Any]] = {}
    for name, values in variables.items():
        side, _, rest = name.partition("/")
        if rest == "projection/weight":
            found["proj_out.weight"] = values
        elif not rest.startswith(_SETTINGS):
            found |= _renamed(side, rest, values)
    return {name: torch.from_numpy(np.array(values)) for name, values in found.items()}


def _renamed(side: str, rest: str, values: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """One variable of CTranslate2 is one to three tensors of transformers."""
    first, _, inside = rest.partition("/")
    if first == "embeddings":
        return {f"model.{side}.embed_tokens.weight": values}
    if first == "position_encodings":
        return {f"model.{side}.embed_positions.weight": values}
    if first == "layer_norm":
        return {f"model.{side}.layer_norm.{dict(_NORM)[inside]}": values}
    if not first.startswith("layer_"):
        return {f"model.{side}.{rest.replace('/', '.')}": values}  # the convolutions
    block, _, rest = inside.partition("/")
    return {f"model.{side}.layers.{first[6:]}.{name}": part for name, part in _of_layer(block, rest, values).items()}


def _of_layer(block: str, rest: str, values: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """A variable of one layer: of its self-attention, its attention to the encoder (`attention`) or its `ffn`."""
    part, _, kind = rest.partition("/")
    if block == "ffn":
        names = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}
        return {f"{names[part]}.{dict(_NORM).get(kind, kind)}": values}
    own = block == "self_attention"
    module = "self_attn" if own else "encoder_attn"
    if part == "layer_norm":
        return {f"{module}_layer_norm.{dict(_NORM)[kind]}": values}
    fused = {"linear_0": "qkv" if own else "q", "linear_1": "o" if own else "kv", "linear_2": "o"}[part]
    names = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    parts = zip(fused, np.split(values, len(fused)), strict=True)
    return {f"{module}.{names[one]}.{kind}": some for one, some in parts if (one, kind) != ("k", "bias")}


def _generation(told: dict[str, Any], config: WhisperConfig, tokenizer: Tokenizer) -> GenerationConfig:
    """How it writes: what it never says, and the tokens that its answer starts with."""
    return GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        max_length=config.max_target_positions,
        suppress_tokens=told.get("suppress_ids"),
        begin_suppress_tokens=told.get("suppress_ids_begin"),
        alignment_heads=told.get("alignment_heads"),
        no_timestamps_token_id=tokenizer.token_to_id("<|notimestamps|>"),
        is_multilingual=config.vocab_size > _ENGLISH_ONLY,
        return_timestamps=False,
    )
