"""A checkpoint that lacks a tensor is refused wherever it is opened, unless the tensor is tied or only for training."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_gate import write_tiny_ctc, write_tiny_whisper
from test_speech_huggingface import save_tiny_vits
from text_models import write_text_model
from tiny import tiny_model
from tiny_families import NATIVE, PARTS, write_tiny_family

from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.models.families import load_family
from earwise.models.lora import Lora
from earwise.models.whisper import read_encoder
from earwise.recipe.speech import Asr
from earwise.speech.huggingface import HuggingFaceEngine
from earwise.speech.transcriber import HuggingFaceTranscriber


def changed(folder, copy, part, change):
    """A copy of a checkpoint in which `change(tensors, name)` was made to the first tensor whose name holds `part`."""
    shutil.copytree(folder, copy)
    file = next(copy.glob("*.safetensors"))
    tensors = load_file(file)
    name = min(key for key in tensors if part in key)
    change(tensors, name)
    save_file(tensors, file, metadata={"format": "pt"})
    return copy, name


def without(tensors, name):
    del tensors[name]


def narrower(tensors, name):
    tensors[name] = tensors[name][..., :-1].contiguous()


WRITERS = {
    **{name: (lambda folder, name=name: write_tiny_family(folder, name)) for name in PARTS},
    "causal_lm": write_text_model,
}
TOWERS = {
    **{name: "audio_tower" if name in NATIVE else "visual" for name in PARTS},
    **dict.fromkeys(("internvl3_5", "smolvlm", "idefics3", "gemma3"), "vision"),
    "causal_lm": "norm",
}


@pytest.mark.parametrize("family", WRITERS)
def test_a_base_without_a_tensor_is_refused_with_its_name(family, tmp_path):
    folder = WRITERS[family](tmp_path / "whole")
    load_family(str(folder))
    for part in ("layers.1", TOWERS[family]):
        lacking, name = changed(folder, tmp_path / part, part, without)
        with pytest.raises(InputError, match=f"{part}: no weights for '.*{name.rpartition('.')[2]}'"):
            load_family(str(lacking))


def test_every_missing_tensor_is_counted_and_another_shape_is_told(tiny_checkpoints, tmp_path):
    def two(tensors, name):
        del tensors[name], tensors[max(tensors)]

    lacking, _ = changed(tiny_checkpoints["internvl"], tmp_path / "two", "layers.0", two)
    with pytest.raises(InputError, match=r"two: no weights for '.*' and 1 more tensors \(give the whole checkpoint"):
        OmniModel.from_pretrained(str(lacking))
    other, name = changed(tiny_checkpoints["qwen2_vl"], tmp_path / "shape", "down_proj.weight", narrower)
    shape = tuple(load_file(other / "model.safetensors")[name].shape)
    with pytest.raises(
        InputError, match=rf"shape: '.*down_proj.weight' has the shape \({shape[0]}, {shape[1]}\), but the"
    ):
        OmniModel.from_pretrained(str(other))


def test_a_head_that_is_tied_to_the_embeddings_may_be_absent(tmp_path):
    from text_models import text_tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = text_tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **sizes))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = load_family(str(tmp_path))
    assert torch.equal(loaded.head_weight, model.get_input_embeddings().weight)


def test_recognisers_without_a_tensor_are_refused_and_noise_of_training_may_be_absent(tmp_path):
    whole = write_tiny_ctc(tmp_path / "whole")
    quiet, _ = changed(whole, tmp_path / "quiet", "masked_spec_embed", without)
    HuggingFaceTranscriber(Asr(model=str(quiet)))
    lacking, name = changed(whole, tmp_path / "lacking", "lm_head", without)
    with pytest.raises(InputError, match=f"lacking: no weights for '{name}'"):
        HuggingFaceTranscriber(Asr(model=str(lacking)))
    whisper, name = changed(write_tiny_whisper(tmp_path / "w"), tmp_path / "deaf", "encoder.layers.0", without)
    with pytest.raises(InputError, match=r"deaf: no weights for '.*encoder\.layers\.0"):
        HuggingFaceTranscriber(Asr(model=str(whisper)))
    with pytest.raises(InputError, match=r"deaf: no weights for '.*layers\.0"):
        read_encoder(str(whisper), None)


def test_a_speaking_model_without_a_tensor_is_refused(tmp_path):
    whole = save_tiny_vits(tmp_path / "whole")
    HuggingFaceEngine(str(whole))
    lacking, _ = changed(whole, tmp_path / "mute", "text_encoder", without)
    with pytest.raises(InputError, match="mute: no weights for 'text_encoder"):
        HuggingFaceEngine(str(lacking))


@pytest.mark.parametrize(("change", "message"), [(without, "no weights for"), (narrower, "has the shape")])
def test_ears_and_lora_without_a_tensor_are_refused(change, message, tiny_checkpoints, tmp_path):
    base = tiny_checkpoints["internvl"]
    model = tiny_model(base)
    model.lora = Lora.fresh(model.family.backbone, rank=2, alpha=4, dropout=0.0, targets=["q_proj"], seed=0)
    model.save_ears(tmp_path / "ears")
    broken, _ = changed(tmp_path / "ears", tmp_path / "broken", "projector.1.weight", change)
    with pytest.raises(InputError, match=f"ears.safetensors: .*{message}"):
        OmniModel.from_pretrained(str(base), broken)
    shutil.copytree(tmp_path / "ears", tmp_path / "apart")
    shutil.rmtree(tmp_path / "apart/lora")
    changed(tmp_path / "ears/lora", tmp_path / "apart/lora", "lora_B", change)
    with pytest.raises(InputError, match=f"adapter_model.safetensors: .*{message}"):
        OmniModel.from_pretrained(str(base), tmp_path / "apart")
