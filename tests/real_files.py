"""Small files in the formats of the packages of `make real`, written from their definitions."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import WhisperConfig, WhisperForConditionalGeneration

WORDS = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "a", "b", "c"]
REAL = Path(os.environ.get("EARWISE_REAL") or Path(__file__).parent.parent / "data/real")
needs_real = pytest.mark.skipif(not (REAL / "smollm2-135m-instruct").is_dir(), reason="needs public files: make real")


def whisper(seed: int = 0) -> WhisperForConditionalGeneration:
    """One of 2 + 1 layers with random weights, also where transformers starts with zeros or ones."""
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=8, d_model=12, encoder_layers=2, decoder_layers=1, encoder_attention_heads=3, num_mel_bins=5,
        decoder_attention_heads=3, encoder_ffn_dim=20, decoder_ffn_dim=24, max_source_positions=50,
        max_target_positions=16, decoder_start_token_id=1, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "embed_positions" not in name or "decoder" in name:
                value.normal_(std=0.3)
    return model


def ct2_variables(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """Its tensors as CTranslate2 fuses and names them."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    found: dict[str, np.ndarray] = {}
    for side, layers in (("encoder", 2), ("decoder", 1)):
        found |= _norm(state, f"model.{side}.layer_norm", f"{side}/layer_norm")
        found[f"{side}/position_encodings/encodings"] = state[f"model.{side}.embed_positions.weight"]
        found[f"{side}/num_heads"] = np.array(3, np.int16)
        for n in range(layers):
            theirs, ours = f"model.{side}.layers.{n}", f"{side}/layer_{n}"
            found |= _norm(state, f"{theirs}.self_attn_layer_norm", f"{ours}/self_attention/layer_norm")
            found |= _fused(state, f"{theirs}.self_attn", "qkv", f"{ours}/self_attention/linear_0")
            found |= _fused(state, f"{theirs}.self_attn", "o", f"{ours}/self_attention/linear_1")
            if side == "decoder":
                found |= _norm(state, f"{theirs}.encoder_attn_layer_norm", f"{ours}/attention/layer_norm")
                for number, names in enumerate(("q", "kv", "o")):
                    found |= _fused(state, f"{theirs}.encoder_attn", names, f"{ours}/attention/linear_{number}")
            found |= _norm(state, f"{theirs}.final_layer_norm", f"{ours}/ffn/layer_norm")
            for number, name in enumerate(("fc1", "fc2")):
                for kind in ("weight", "bias"):
                    found[f"{ours}/ffn/linear_{number}/{kind}"] = state[f"{theirs}.{name}.{kind}"]
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            found[f"encoder/{conv}/{kind}"] = state[f"model.encoder.{conv}.{kind}"]
    found["decoder/embeddings/weight"] = state["model.decoder.embed_tokens.weight"]
    return found


def _norm(state: dict[str, np.ndarray], theirs: str, ours: str) -> dict[str, np.ndarray]:
    return {f"{ours}/gamma": state[f"{theirs}.weight"], f"{ours}/beta": state[f"{theirs}.bias"]}


def _fused(state: dict[str, np.ndarray], theirs: str, names: str, ours: str) -> dict[str, np.ndarray]:
    modules = [f"{theirs}.{'out' if name == 'o' else name}_proj" for name in names]
    zero = np.zeros(12, np.float32)
    return {
        f"{ours}/weight": np.concatenate([state[f"{module}.weight"] for module in modules]),
        f"{ours}/bias": np.concatenate([state.get(f"{module}.bias", zero) for module in modules]),
    }


def ct2_bytes(variables: dict[str, np.ndarray], *, version: int = 6, spec: str = "WhisperSpec") -> bytes:
    """A `model.bin`, with the head as an alias of the embeddings."""
    kinds = {np.dtype(t): n for n, t in enumerate((np.float32, np.int8, np.int16, np.int32, np.float16))}

    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", version) + name(spec) + struct.pack("<II", 3, len(variables))
    for key, value in variables.items():
        out += name(key) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        out += struct.pack("<BI", kinds[value.dtype], value.nbytes) + value.tobytes()
    return out + struct.pack("<I", 1) + name("decoder/projection/weight") + name("decoder/embeddings/weight")


def write_ct2_folder(folder: Path, content: bytes) -> Path:
    """A folder as faster-whisper's packages have it."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(content)
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [2], "suppress_ids_begin": [0]}))
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(WORDS[:3])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
