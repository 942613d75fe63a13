"""The stages of the quality gate, its recognisers, and results with and without the clips that failed."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from example_recipe import TEXT
from test_speech_clips import HOW, Beeper

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from earwise.errors import InputError
from earwise.planning.compile import Compiler, compile_recipe
from earwise.planning.compile_report import report_job
from earwise.recipe.read import load_recipe
from earwise.recipe.speech import Asr
from earwise.records import Item, Score
from earwise.speech.clips import load_clip, make_clips, read_clips
from earwise.speech.gate import Check, Heard, count, listen
from earwise.speech.transcriber import HuggingFaceTranscriber
from earwise.stages import gate, training
from earwise.work.run import Run
from earwise.work.store import Store, read_store

LETTERS = "abcdefghijklmnopqrstuvwxyz "


def write_tiny_whisper(folder):
    """A Whisper checkpoint with random weights and a tokenizer of bytes, spelling included."""
    folder.mkdir()
    names = [chr(n) for n in range(33, 127)] + ["Ġ"]
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    vocab = {name: n for n, name in enumerate([*names, *special])}
    tokenizer = WhisperTokenizer(
        vocab, [], bos_token="<|startoftranscript|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    tokenizer.english_spelling_normalizer = {"colour": "color"}
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), tokenizer).save_pretrained(folder)
    (folder / "normalizer.json").write_text(json.dumps({"colour": "color"}))
    config = WhisperConfig(
        vocab_size=len(vocab), num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        max_target_positions=24, decoder_start_token_id=vocab["<|startoftranscript|>"],
        bos_token_id=vocab["<|startoftranscript|>"], eos_token_id=vocab["<|endoftext|>"],
        pad_token_id=vocab["<|endoftext|>"],
    )  # fmt: skip
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    model.generation_config.max_length = 12
    model.generation_config.begin_suppress_tokens = None
    model.generation_config.suppress_tokens = None
    model.save_pretrained(folder)
    return folder


def write_tiny_ctc(folder):
    """A Wav2Vec2 checkpoint with random weights."""
    folder.mkdir()
    vocab = {name: n for n, name in enumerate(["<pad>", "<unk>", "|", *LETTERS.strip()])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), pad_token="<pad>", unk_token="<unk>")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(16, 16), conv_stride=(20, 16), conv_kernel=(20, 16), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, feat_extract_norm="layer", pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


WRITERS = {"whisper": write_tiny_whisper, "ctc": write_tiny_ctc}


@pytest.fixture(scope="module")
def recognisers(tmp_path_factory):
    root = tmp_path_factory.mktemp("recognisers")
    return {name: write(root / name) for name, write in WRITERS.items()}


def noise(count, seconds=0.5):
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(int((seconds + n / 10) * 16_000))).astype(np.float32) for n in range(count)]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_recogniser_on_disk_writes_down_a_batch(kind, recognisers):
    transcriber = HuggingFaceTranscriber(Asr(model=str(recognisers[kind])))
    together = transcriber.transcribe(noise(3))
    assert together == [transcriber.transcribe([one])[0] for one in noise(3)]
    assert all(isinstance(text, str) for text in together)
    assert any(together)
    assert transcriber.spelling == ({"colour": "color"} if kind == "whisper" else {})


def test_a_recogniser_that_is_nowhere_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such model folder"):
        HuggingFaceTranscriber(Asr(model=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: cannot load a speech recogniser"):
        HuggingFaceTranscriber(Asr(model=str(tmp_path / "empty")))


class Scripted:
    """Writes down what the clips say, but for the items named in `wrong`; counts what it is asked for."""

    def __init__(self, clips, folder, wrong=()):
        self.spelling = {}
        self.text = {load_clip(c, folder).tobytes(): "nonsense" if c.item in wrong else c.spoken for c in clips}
        self.batches = []

    def transcribe(self, waveforms):
        self.batches.append(len(waveforms))
        return [self.text[one.tobytes()] for one in waveforms]


def test_listening_goes_on_where_it_stopped_with_the_same_batches(tmp_path):
    words = "is it the red star on the big blue box"
    items = [
        Item(id=f"q{n}", source="t", question=" ".join(words.split()[: n + 2]), answers=("a",), cluster="c")
        for n in range(7)
    ]
    made = make_clips(items, tmp_path, Beeper, **HOW)
    scripted = Scripted(made.clips, tmp_path)
    with Store(tmp_path / "heard.jsonl", Heard) as store:
        store.append(Heard(item="q4", sha256=made.clips[4].sha256, text="kept"))
        for item in ("q0", "q1", "q2"):
            store.append(Heard(item=item, sha256="x", text="kept"))
        assert list(listen(made.clips, tmp_path, scripted, 3, store)) == [3, 3, 1]
    assert scripted.batches == [3, 1]  # the first batch was done; the second is heard whole
    heard = {one.item: one.text for one in read_store(tmp_path / "heard.jsonl", Heard)}
    assert heard == {
        **dict.fromkeys(("q0", "q1", "q2", "q4"), "kept"),
        **{i.id: i.question for i in items[3:] if i.id != "q4"},
    }


RECIPE = (
    TEXT.replace('test_voices = ["a", "b"]', "test_voices = 2")
    .replace("train_voices = 8", "train_voices = 2")
    .replace("test_images = 5", "test_images = 40")
    .replace('benchmarks = ["mme"]', 'benchmarks = ["mme", "textvqa"]')
    .replace("[model]\n", "[gate]\nmax_silence = 0.9\n[model]\n")
)


def write(folder):
    (folder / "recipe.toml").write_text(RECIPE)
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run whose clips are spoken, and how to bring its gate up to date."""
    folder = tmp_path_factory.mktemp("gate")
    write(folder)

    def run(*overrides):
        recipe = load_recipe(folder / "recipe.toml", list(overrides))
        lines = []
        stages = compile_recipe(recipe)
        only = [stage.name for stage in stages if stage.verb == "gate"]
        worked = Run(folder / "run", recipe, say=lines.append).execute(stages, only)
        return SimpleNamespace(made=Compiler(recipe), worked=worked, said=lines, folder=folder / "run")

    run()
    return run


TESTED = ("gate/benchmarks/mme", "gate/benchmarks/textvqa")
TRAINED = ("gate/train", "gate/transcribe")


def counted(folder):
    """What was counted, by item file and benchmark."""
    stages = folder / "stages/gate"
    return {
        str(path.parent.relative_to(stages)): json.loads(path.read_text()) for path in sorted(stages.rglob("gate.json"))
    }


def context_of(done, say=print):
    return SimpleNamespace(seed=0, folder_of=lambda job: done.folder / "stages" / job.name, say=say)


def test_without_a_recogniser_the_samples_are_judged(made):
    done = made("gate.rates_wpm=[60,150]")
    assert done.worked == [*TESTED]
    counts = counted(done.folder)
    assert counts.keys() == {"benchmarks/mme", "benchmarks/textvqa"}
    for place, found in counts.items():
        checks = read_store(done.folder / "stages/gate" / place / "checks.jsonl", Check)
        assert found == count(checks)
        assert [one.reasons for one in checks] == [("fast",) if one.rate_wpm > 150 else () for one in checks]
        assert found["reasons"] == {"fast": found["failed"]}
        assert found["failed"] > 0
        assert found["wer"] is None


def test_other_thresholds_do_not_listen_again(made, recognisers):
    asr = f'gate.asr={{ model = "{recognisers["whisper"]}" }}'
    first = made(asr)
    heard = [name.replace("gate/", "gate.transcripts/") for name in TESTED]
    assert sorted(first.worked) == sorted([*heard, *TESTED])
    assert made(asr, "gate.max_wer=100", "gate.recovered=false").worked == [*TESTED]
    heard = read_store(first.folder / "stages/gate.transcripts/benchmarks/mme/heard.jsonl", Heard)
    checks = read_store(first.folder / "stages/gate/benchmarks/mme/checks.jsonl", Check)
    assert {one.item: one.text for one in heard} == {one.item: one.heard for one in checks}
    assert all(one.passed and one.errors for one in checks)
    failed = made(asr)
    assert any("gate: benchmarks/mme: " in line and "wer" in line for line in failed.said)
    assert made(asr).worked == []


def test_training_clips_are_judged_where_they_are_asked_for(made):
    done = made("gate.train=true")
    assert counted(done.folder).keys() == {"train", "transcribe", "benchmarks/mme", "benchmarks/textvqa"}


def test_what_trainings_do_with_failures_judges_nothing_again(made):
    made("gate.train=off", "gate.max_silence=0.8")
    assert made("gate.train=true", "gate.max_silence=0.8").worked == [*TRAINED]
    assert made("gate.train=count", "gate.max_silence=0.8").worked == []
    assert made("gate.train=leave_out", "gate.max_silence=0.8").worked == []
    assert made("gate.train=false", "gate.max_silence=0.8").worked == []


def test_only_trainings_that_leave_out_failures_wait_for_the_gate(made, tmp_path):
    encoder = "encoder={layers=1, width=16, heads=2, steps=1, batch_size=2, lr=1e-3}"
    for train, needed in (("off", False), ("count", False), ("leave_out", True)):
        stages = compile_recipe(load_recipe(write(tmp_path), [f"gate.train={train}", encoder]))
        trainings = [stage for stage in stages if stage.verb in ("align", "train", "encoder")]
        assert len(trainings) == 2 * 5
        gates = {stage.name: [need for need in stage.needs if need.startswith("gate")] for stage in trainings}
        assert {bool(needs) for needs in gates.values()} == {needed}
        assert {need for needs in gates.values() for need in needs} == ({*TRAINED} if needed else set())


def test_clips_that_failed_are_left_out_of_training_and_counted(made):
    done = made("gate.train=leave_out", "gate.rates_wpm=[60,150]")
    checks = read_store(done.folder / "stages/gate/train/checks.jsonl", Check)
    failed = {one.item for one in checks if not one.passed}
    assert 0 < len(failed) < len(checks)
    said = []
    # The clips of the other annotator's questions are those of `train`.
    material = done.made._material("train_other", 0, ("image_speech",))
    samples = training._samples(context_of(done, said.append), material, 30.0, ["image_speech"])
    assert {turn.item.id for sample in samples for turn in sample.turns} == {one.item for one in checks} - failed
    assert said == [f"{len(failed)} items left out: their clips failed the gate (fast {len(failed)})"]
    report = report_job(done.made, [])
    counts = gate._counts(context_of(done), report, {one.source.name: one.gate for one in report.benchmarks})
    assert counts["train"]["left_out"] == len(failed)
    assert "left_out" not in counts["benchmarks/mme"]
    made("gate.train=leave_out", "gate.rates_wpm=[1,2]")
    with pytest.raises(InputError, match=r"train\.jsonl: nothing is left to train on"):
        training._samples(context_of(done), done.made._material("train", 0, ("image_speech",)), 30.0, ["image_speech"])


def test_results_are_given_with_and_without_failures(made):
    done = made()
    folder = done.folder / "stages/gate"
    names = ("mme", "textvqa")
    checks = {name: read_store(folder / "benchmarks" / name / "checks.jsonl", Check) for name in names}
    assert all(one.passed for many in checks.values() for one in many)
    # Every second clip of textvqa fails after the fact; typed answers are right, spoken ones only where it passed.
    bad = {one.item for one in checks["textvqa"][::2]}
    path = folder / "benchmarks/textvqa/checks.jsonl"
    path.unlink()
    with Store(path, Check) as store:
        for one in checks["textvqa"]:
            store.append(one.model_copy(update={"reasons": ("wer",)}) if one.item in bad else one)
    clusters = {one.item: f"c{n}" for many in checks.values() for n, one in enumerate(many)}
    scores = [
        Score(
            item=one.item, source=name, model=model, view=view, cluster=clusters[one.item], prediction="x",
            value=float(view == "image_text" or one.item not in bad), invalid=False,
        )
        for model, view in (("base", "image_text"), ("sft", "image_speech"))
        for name in names
        for one in checks[name]
    ]  # fmt: skip
    report = report_job(done.made, [])
    assert (report.text_view, report.speech_view) == ("image_text", "image_speech")
    found = gate.summarise_gate(context_of(done), report, {0: scores, 1: scores})
    cell = found["models"]["sft"]["textvqa"]
    assert cell["n"] == len(checks["textvqa"]) - len(bad)
    assert (cell["gap"]["value"], cell["views"]["image_speech"]["score"]) == (0.0, 100.0)
    assert found["models"]["sft"]["all"]["n"] == cell["n"] + len(checks["mme"])
    assert found["clips"]["benchmarks/textvqa"]["clips"] == len(checks["textvqa"])
    only_one = [score for score in scores if score.source == "mme" or score.item in bad]
    left = gate.summarise_gate(context_of(done), report, {0: only_one})["models"]["sft"]
    assert "textvqa" not in left


def test_clips_of_other_settings_are_removed(made):
    run = made("speech.rates_wpm=[130,140]").folder
    for folder in (run / "stages/speech/benchmarks/mme", run / "stages/speech/benchmarks/textvqa"):
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")}
        assert there == {clip.path for clip in read_clips(folder).clips}


def test_a_gate_needs_speech(tmp_path):
    (tmp_path / "recipe.toml").write_text('name = "a"\n[data]\nsource = "folder"\npath = "."\n[gate]\n')
    with pytest.raises(InputError, match=r"speech: missing table, which \[gate\] needs"):
        load_recipe(tmp_path / "recipe.toml", [])
    with pytest.raises(InputError, match=r"gate\.max_wer"):
        load_recipe(write(tmp_path), ["gate.max_wer=-1"])


def test_leaving_out_clips_that_no_training_hears_is_refused(tmp_path):
    text = RECIPE.partition("[training]")[0]
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InputError, match=r"gate\.train: 'leave_out' changes nothing: no training hears clips"):
        load_recipe(tmp_path / "recipe.toml", ["gate.train=leave_out"])
    with pytest.raises(InputError, match=r"gate\.train: expected one of 'off', 'count' or 'leave_out', got 'all'"):
        load_recipe(tmp_path / "recipe.toml", ["gate.train=all"])
