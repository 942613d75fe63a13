"""The shipped recipes run as they are, on tiny checkpoints of the same architectures and a handful of items."""

import json
from pathlib import Path

import pytest
import torch
from chat_server import ChatServer, reply
from text_models import write_text_model
from tiny import ENCODER
from tiny_families import write_tiny_family
from transformers import WhisperConfig, WhisperForConditionalGeneration

from earwise.cli import execute
from earwise.data.descriptions import read_descriptions
from earwise.micro.lab import LabSize, write_lab
from earwise.micro.sounds.lab import SoundLabSize, write_sound_lab

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


def reasoned_or_confirmed(body):
    """Teacher and checker in one: every question is answered with A, every statement confirmed."""
    text = body["messages"][-1]["content"][-1]["text"]
    if text.startswith("Statement"):
        return reply("yes. It is so.")
    return reply(*["<think>A bell rings.</think><answer>A</answer>"] * body.get("n", 1))


def test_the_published_settings_of_sightsound_run(tmp_path):
    size = SoundLabSize(4, 4, 4, 1, 1, 1, 8, 2, 1)
    write_sound_lab(tmp_path / "data", 0, size)
    student = write_tiny_family(tmp_path / "qwen2_audio", "qwen2_audio")
    with ChatServer(reasoned_or_confirmed, models=("teacher", "checker")) as chat:
        small = [
            f"data.benchmarks={tmp_path / 'data' / 'benchmarks'}",
            f"data.train.parts.0.path={tmp_path / 'data' / 'train_qa.json'}",
            f"data.validation.parts.0.path={tmp_path / 'data' / 'validation_qa.json'}",
            f"traces.teacher.base_url={chat.url}",
            "traces.teacher.model=teacher",
            f"verify.checker.base_url={chat.url}",
            "verify.checker.model=checker",
            f"verify.known={tmp_path / 'data' / 'known.jsonl'}",
            "verify.bar={precision=0.0, recall=0.0, accuracy=0.0}",
            f"model.base={student}",
            "training.steps=1",
            "training.batch_size=2",
            "training.select={every=1, limit=2, max_new_tokens=2}",
            "train.sightsound_r1.steps=1",
            "train.sightsound_r1.batch_size=1",
            "train.sightsound_r1.terms.0.max_tokens=3",
            "train.sightsound_r1.terms.0.guard={max_kl=100.0}",
            "evaluate.limit=4",
            "evaluate.benchmarks=['avqa', 'mmau']",
            "evaluate.max_new_tokens=2",
        ]
        assert execute(RECIPES / "sightsound" / "paper.toml", small, tmp_path / "run") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["ablation"]) == [
        "direct", "sft_labels", "sft_distilled_labels", "sft_traces", "sft_traces_agreed_verified", "sightsound_r1"
    ]  # fmt: skip
    assert {*summary["ablation"]["direct"]["avqa"]} == {"score", "ci95", "n"}
    assert summary["traces"]["steps"]["agreed_verified"]["traces"] == 4 * summary["traces"]["items"]


def write_cota(folder, sounds):
    """Questions about `sounds` in the format of CoTA."""
    inner = "".join(f"<{tag}> red </{tag}> " for tag in ("PLANNING", "CAPTION", "REASONING", "SUMMARY"))
    answer = f"<THINK> {inner}</THINK> <RESPONSE> two </RESPONSE>"
    records = [{"query": "<audio>what color is it?", "response": answer, "audios": [name]} for name in sounds]
    (folder / "cota.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_the_published_settings_of_source_and_layer_wise_distillation_run(tmp_path):
    data = tmp_path / "data"
    write_sound_lab(data, 0, SoundLabSize(4, 4, 4, 1, 1, 1, 8, 2, 1))
    sounds = sorted(path.relative_to(data) for path in (data / "audios").glob("*.wav"))[:3]
    write_cota(data, [str(path) for path in (*sounds, sounds[0])])
    student = write_tiny_family(tmp_path / "omni", "qwen2_5_omni")
    teacher = write_text_model(tmp_path / "text", width=48, layers=3)
    shipped = (RECIPES / "source_layer" / "paper.toml").read_text()
    recipe = tmp_path / "paper.toml"
    recipe.write_text(shipped.replace("Qwen/Qwen3-8B", str(teacher)))
    with ChatServer(lambda _: reply("a red circle"), models=("describer",)) as chat:
        small = [
            f"data.benchmarks={data / 'benchmarks'}",
            f"data.train.parts.0.path={data / 'cota.jsonl'}",
            f"descriptions.model.base_url={chat.url}",
            "descriptions.model.model=describer",
            f"model.base={student}",
            "training.steps=1",
            "training.batch_size=2",
            "train.text_skip.terms.1.every=2",
            "evaluate.limit=2",
            "evaluate.max_new_tokens=2",
        ]
        assert execute(recipe, small, tmp_path / "run") == 0
        asked = len(chat.requests)
    stages = tmp_path / "run" / "stages"
    described = [read_descriptions(path) for path in (stages / "descriptions").rglob("descriptions.jsonl")]
    assert sorted(map(len, described)) == [2, 2, 2, 4]
    assert asked == 3 + 3 * 2, "a sound that two items are about is described once"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["ablation"]) == ["base", "sft", "text_top", "text_skip", "text_all", "text_all_acoustic"]
    assert {*summary["ablation"]["text_all"]["mmau_sound"]} == {"score", "ci95", "n"}
    assert summary["models"]["sft"]["mmau_sound"]["gap"] is not None
    assert list(summary["guards"]) == ["sft", "text_top", "text_skip", "text_all", "text_all_acoustic"]
    assert {*summary["guards"]["text_all"]["mmau_speech"]} == {"value", "ci95", "p", "n", "verdict", "than"}
