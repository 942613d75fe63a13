"""The shipped recipes run as they are, on tiny checkpoints of the same architectures and a handful of items."""

import json
from pathlib import Path

import pytest
import torch
from tiny import ENCODER
from transformers import WhisperConfig, WhisperForConditionalGeneration

from earwise.cli import execute
from earwise.micro.lab import LabSize, write_lab

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    config = WhisperConfig(**ENCODER, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16)
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_the_published_settings_run(tiny_checkpoints, tiny_whisper, tmp_path):
    size = LabSize(train_images=2, validation_images=1, test_images=30, turns_per_image=2, transcribe_items=4)
    write_lab(tmp_path / "data", seed=0, size=size)
    small = [
        f"data.path={tmp_path / 'data'}",
        f"model.base={tiny_checkpoints['qwen2_vl']}",
        f"model.ears.path={tiny_whisper}",
        "model.ears.hidden=16",
        'speech.engine={type="espeak"}',
        "speech.train_voices=2",
        "speech.test_voices=1",
        "speech.workers=1",
        "align.steps=1",
        "align.batch_size=2",
        "training.steps=1",
        "training.batch_size=2",
        "evaluate.limit=4",
        "evaluate.benchmarks=['mme', 'textvqa']",
        "evaluate.max_new_tokens=2",
    ]
    assert execute(RECIPES / "self_kd" / "paper.toml", small, tmp_path / "run") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["models"]) == ["base", "aligned", "sft", "self_kd", "self_kd_75"]


def test_a_base_is_trained_from_nothing(tmp_path):
    phases = (
        "[{steps=1, batch_size=2, lr=1e-3, copy_share=1.0, shortest_first=true},"
        " {steps=1, batch_size=2, lr=1e-3, scan_share=0.5, independent=1.0, scan_along=0.5},"
        " {steps=1, batch_size=2, lr=1e-3, kinds=['position'], open_only=true}]"
    )
    small = [
        "data.train_images=6",
        "data.test_images=30",
        "data.transcribe_items=12",
        "base.width=32",
        "base.layers=1",
        "base.vision_width=32",
        "base.vision_layers=1",
        f"base.phases={phases}",
        "evaluate.limit=12",
        "evaluate.max_new_tokens=2",
    ]
    assert execute(RECIPES / "micro_base.toml", small, tmp_path / "run") == 0
    model = tmp_path / "run" / "stages" / "seed0" / "base" / "model"
    assert (model / "model.safetensors").stat().st_size > 10_000
    assert list(json.loads((tmp_path / "run" / "summary.json").read_text())["models"]) == ["base"]
