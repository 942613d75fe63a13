"""CTranslate2 to Hugging Face: every tensor at its place, and damaged files refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from real_files import REAL, ct2_bytes, ct2_variables, needs_real, whisper, write_ct2_folder
from transformers import WhisperForConditionalGeneration

from earwise.data.media import load_audio
from earwise.errors import InputError
from earwise.real.ctranslate2 import read_ct2
from earwise.real.whisper import write_whisper
from earwise.recipe.speech import Asr
from earwise.speech.transcriber import HuggingFaceTranscriber


def converted(tmp_path: Path, content: bytes) -> WhisperForConditionalGeneration:
    write_whisper(write_ct2_folder(tmp_path / "ct2", content), tmp_path / "whisper")
    return WhisperForConditionalGeneration.from_pretrained(tmp_path / "whisper")


def test_a_converted_whisper_is_the_one_that_was_fused(tmp_path: Path) -> None:
    original = whisper()
    read = converted(tmp_path, ct2_bytes(ct2_variables(original)))
    assert read.state_dict().keys() == original.state_dict().keys()
    for name, value in original.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name
    assert read.config.encoder_attention_heads == 3
    assert read.generation_config.begin_suppress_tokens == [0]
    assert read.generation_config.no_timestamps_token_id == 2
    assert read.generation_config.is_multilingual is False
    mels, ids = torch.randn(1, 5, 100), torch.tensor([[1, 3, 4]])
    expected = original(input_features=mels, decoder_input_ids=ids).logits
    assert torch.allclose(read(input_features=mels, decoder_input_ids=ids).logits, expected, atol=1e-6)


def test_half_and_eight_bit_weights_become_float32(tmp_path: Path) -> None:
    variables = {name: v.astype(np.float16) if v.ndim else v for name, v in ct2_variables(whisper()).items()}
    name = "encoder/layer_1/ffn/linear_0/weight"
    scale = 127 / np.abs(variables[name]).max(1).astype(np.float32)
    variables[name] = np.round(variables[name] * scale[:, None]).astype(np.int8)
    variables[f"{name}_scale"] = scale
    read = converted(tmp_path, ct2_bytes(variables)).state_dict()
    assert read["model.encoder.layers.1.fc1.weight"].dtype == torch.float32
    expected = torch.from_numpy(variables[name] / scale[:, None])
    assert torch.allclose(read["model.encoder.layers.1.fc1.weight"], expected)


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    variables = ct2_variables(whisper())
    del variables["decoder/layer_0/attention/linear_1/weight"]
    with pytest.raises(InputError, match=r"model.bin: no weights for 'model.decoder.layers.0.encoder_attn.k_proj"):
        converted(tmp_path, ct2_bytes(variables))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ct2_bytes({}, version=5), "begins with 5"),
        (ct2_bytes({"decoder/embeddings/weight": np.ones((2, 3), np.float32)})[:-60], "ends too early"),
        (ct2_bytes({}), "alias of 'decoder/embeddings/weight', which is not there"),
        (b"", "ends too early"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_ct2(tmp_path / "model.bin")


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    content = ct2_bytes({"decoder/embeddings/weight": np.ones((2, 3), np.float32)}, spec="TransformerSpec")
    with pytest.raises(InputError, match="is a TransformerSpec, not Whisper"):
        write_whisper(write_ct2_folder(tmp_path / "ct2", content), tmp_path / "out")


@needs_real
def test_the_real_one_writes_down_what_a_person_says() -> None:
    transcriber = HuggingFaceTranscriber(Asr(model=str(REAL / "whisper-tiny.en")))
    (text,) = transcriber.transcribe([load_audio(REAL / "asterisk-en/phonetic/h_p.wav")])
    assert text.lower().strip(" .!") == "hotel"
