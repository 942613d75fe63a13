"""GGUF to Hugging Face: the weights of a file that this test writes, and an answer of the real one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from real_files import REAL, needs_real
from transformers import AutoModelForCausalLM, AutoTokenizer

from earwise.errors import InputError
from earwise.models.folders import check_model_folder
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample, Turn
from earwise.real.gguf import write_language_model
from earwise.records import Item

WIDTH, HEADS, KEYS, LAYERS, FORWARD = 32, 4, 2, 2, 64
TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"


def write_gguf(path: Path, template: str | None = TEMPLATE) -> dict[str, np.ndarray]:
    """A small Llama, its matrices in Q8_0; returns them as they are when dequantised."""
    gguf = pytest.importorskip("gguf")
    writer, random = gguf.GGUFWriter(str(path), "llama"), np.random.default_rng(0)
    letters = ["<s>", "</s>", "<unk>", *map(chr, range(97, 123)), "ab"]
    for add, value in (
        (writer.add_block_count, LAYERS), (writer.add_context_length, 64), (writer.add_embedding_length, WIDTH),
        (writer.add_feed_forward_length, FORWARD), (writer.add_head_count, HEADS), (writer.add_head_count_kv, KEYS),
        (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 1e4), (writer.add_vocab_size, len(letters)),
        (writer.add_tokenizer_model, "gpt2"), (writer.add_tokenizer_pre, "smollm"), (writer.add_token_list, letters),
        (writer.add_token_types, [3, 3, 3, *[1] * 27]), (writer.add_token_merges, ["a b"]),
        (writer.add_bos_token_id, 0), (writer.add_eos_token_id, 1), (writer.add_unk_token_id, 2),
    ):  # fmt: skip
        add(value)
    if template is not None:
        writer.add_chat_template(template)
    shapes = {"token_embd": (len(letters), WIDTH)}
    for n in range(LAYERS):
        shapes |= {f"blk.{n}.attn_q": (WIDTH, WIDTH), f"blk.{n}.attn_k": (WIDTH // 2, WIDTH)}
        shapes |= {f"blk.{n}.attn_v": (WIDTH // 2, WIDTH), f"blk.{n}.attn_output": (WIDTH, WIDTH)}
        shapes |= {f"blk.{n}.ffn_{part}": (FORWARD, WIDTH) for part in ("gate", "up")}
        shapes |= {f"blk.{n}.ffn_down": (WIDTH, FORWARD), f"blk.{n}.attn_norm": (WIDTH,), f"blk.{n}.ffn_norm": (WIDTH,)}
    found = {}
    for name, shape in {**shapes, "output_norm": (WIDTH,)}.items():
        value = random.normal(size=shape).astype(np.float32)
        if len(shape) == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            packed = gguf.quants.quantize(value, kind)
            writer.add_tensor(f"{name}.weight", packed, raw_dtype=kind)
            value = gguf.quants.dequantize(packed, kind)
        else:
            writer.add_tensor(f"{name}.weight", value)
        found[name] = value
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    return found


def test_a_language_model_is_the_file_dequantised(tmp_path: Path) -> None:
    written = write_gguf(tmp_path / "small.Q8_0.gguf")
    write_language_model(tmp_path / "small.Q8_0.gguf", tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    state = model.state_dict()
    assert len(model.model.layers) == LAYERS
    assert np.array_equal(state["model.embed_tokens.weight"], written["token_embd"])
    assert np.array_equal(state["model.layers.1.mlp.down_proj.weight"], written["blk.1.ffn_down"])
    assert np.array_equal(state["model.layers.0.self_attn.v_proj.weight"], written["blk.0.attn_v"])
    assert np.array_equal(state["model.norm.weight"], written["output_norm"])
    # llama.cpp keeps the two halves of a head's rotation beside each other.
    query = written["blk.0.attn_q"].reshape(HEADS, WIDTH // HEADS // 2, 2, WIDTH).swapaxes(1, 2).reshape(WIDTH, WIDTH)
    assert np.array_equal(state["model.layers.0.self_attn.q_proj.weight"], query)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["dequantised_from"] == "small.Q8_0.gguf"
    assert "quantization_config" not in config
    assert str(tmp_path) not in (tmp_path / "model/config.json").read_text()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.convert_ids_to_tokens(tokenizer("abc")["input_ids"]) == ["ab", "c"]
    assert tokenizer.apply_chat_template([{"role": "user", "content": "abc"}], tokenize=False) == "<s>abc</s>"


def test_what_cannot_be_talked_to_or_read_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "base.gguf", template=None)
    with pytest.raises(InputError, match=r"base.gguf: has no chat template"):
        write_language_model(tmp_path / "base.gguf", tmp_path / "model")
    (tmp_path / "no.gguf").write_bytes(b"no such thing" * 10)
    with pytest.raises(InputError, match=r"no.gguf: cannot be read"):
        write_language_model(tmp_path / "no.gguf", tmp_path / "model")


@needs_real
def test_the_real_one_answers() -> None:
    folder = REAL / "smollm2-135m-instruct"
    check_model_folder(folder)
    model = OmniModel.from_pretrained(str(folder)).eval()
    item = Item(id="a", source="facts", question="What is the capital of France?", answers=("Paris",), cluster="a")
    with torch.inference_mode():
        (answer,) = model.generate([Sample(turns=(Turn(item=item, text=item.question),))], view="text_only")
    assert "Paris" in answer
