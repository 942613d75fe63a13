"""From a LLaVA file and a LibriSpeech folder to trained ears: data, speech, align, train, with the micro model."""

import json
import shutil

import pytest
from corpora import conversation, write_librispeech, write_lines, write_llava
from data_folder import write_data_folder
from earwise_process import earwise
from tiny_recipe import MODEL, NAMED_VOICES

from earwise.data.items import read_items
from earwise.speech.clips import load_clip, read_clips

RECIPE = (
    """\
name = "corpora"
[data]
source = "corpora"
seed = 3
benchmarks = "own/benchmarks"
[data.train]
[[data.train.parts]]
format = "llava"
path = "mix.json"
images = "images"
[data.transcribe]
items = 8
exhausted = "repeat"
[[data.transcribe.parts]]
format = "librispeech"
path = "LibriSpeech"
weight = 3
[[data.transcribe.parts]]
format = "items"
name = "written"
path = "own/transcribe.jsonl"
[data.files.talk]
items = 5
[[data.files.talk.parts]]
format = "items"
name = "talk"
path = "own/train.jsonl"
"""
    + NAMED_VOICES
    + """\
workers = 1
"""
    + MODEL
    + """\
[align]
steps = 2
batch_size = 3
lr = 1e-3
[training]
steps = 2
batch_size = 3
lr = 1e-3
[train.self_kd]
terms = [{ type = "logits", weight = 0.75 }, { type = "sft", weight = 0.25 }]
[train.mixed.parts.asked]
share = 0.67
terms = [{ type = "sft", weight = 1.0 }]
[train.mixed.parts.talk]
share = 0.33
data = "talk"
terms = [{ type = "sft", weight = 1.0 }]
[evaluate]
benchmarks = ["colors"]
views = ["image_text", "image_speech", "image_transcript"]
batch_size = 4
max_new_tokens = 2
"""
)

ONE_WORD = "\nAnswer the question using a single word or phrase."
RECORDS = [
    conversation(1, "What color is it?" + ONE_WORD, "red", "Is it a box?" + ONE_WORD, "yes"),
    conversation(2, "What color is it?" + ONE_WORD, "blue", image="coco/blue.png"),
    conversation(3, "What color is it?" + ONE_WORD, "grey", image="coco/grey.png"),
    conversation(4, "Is a star red?", "not always", image=None),
    conversation(5, "\N{CJK UNIFIED IDEOGRAPH-4E00}", "one", "Is it green?", "no"),
    conversation(6, "word " * 150, "too long to be asked"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("corpora")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    write_data_folder(folder / "own")
    write_llava(folder, RECORDS)
    write_librispeech(folder)
    (folder / "corpora.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def finished(place):
    result = earwise(place, "run", "corpora.toml")
    assert (result.code, result.stderr) == (0, "")
    return result


def test_own_data_run_through_every_stage(place, finished):
    stages = place / "runs/corpora/stages"
    assert (stages / "seed0/train.self_kd/ears/ears.safetensors").is_file()
    summary = json.loads((place / "runs/corpora/summary.json").read_text())
    assert summary["models"]["self_kd"]["colors"]["n"] == 3


def test_what_is_left_out_is_said_with_its_reason(finished):
    lines = finished.stdout.splitlines()
    assert "data: train: llava: dropped 1: image file missing (first: record 2 (000000000003))" in lines
    assert "speech/train: dropped 1: longer than 30 s when spoken" in lines
    assert any(line.startswith("speech/train: dropped 1: ") and "30 s" not in line for line in lines)
    assert "2 items left out: they have no clip (reasons in runs/corpora/stages/speech/train)" in lines
    assert "1 item left out: the rest of their conversation has no clip" in lines


def test_recordings_are_cut_and_texts_are_spoken_in_one_item_file(place, finished):
    stages = place / "runs/corpora/stages"
    items = {item.id: item for item in read_items(stages / "data/transcribe.jsonl")}
    clips = read_clips(stages / "speech/transcribe").clips
    assert len(items) == len(clips) == 8
    assert {item.instruction for item in items.values()} == {"Repeat the speech:"}
    by_engine = {clip.item: clip.engine for clip in clips}
    recorded = [name for name in items if name.startswith("librispeech")]
    assert len(recorded) == 6
    assert {by_engine[name] for name in recorded} == {"recording"}
    assert {by_engine[name] for name in items if name not in recorded} == {"espeak-ng 1.52.0"}
    for clip in clips:
        assert len(load_clip(clip, stages / "speech/transcribe")) == clip.num_samples
    one = items["librispeech-00000002"]
    assert (one.question, one.answers) == ("ONE GREEN BOX AND A STAR", ("one green box and a star",))


def test_a_second_run_does_nothing_and_a_changed_file_starts_over(place, finished):
    again = earwise(place, "run", "corpora.toml")
    assert again.stdout.endswith("nothing to do: runs/corpora is up to date\n")
    write_llava(place, RECORDS[:-1])
    assert "data: starts over, input data: mix.json changed" in earwise(place, "data", "corpora.toml").stdout
    write_llava(place, RECORDS)


MANIFEST = '\n[[data.transcribe.parts]]\nformat = "nemo"\npath = "manifest.json"\n'


@pytest.mark.parametrize(
    ("record", "row", "line"),
    [
        (
            {"id": "x", "conversations": [{"from": "gpt", "value": "Hello"}]},
            {},
            "mix.json: record 1 (x): the conversation begins with the assistant (remove its first turn)",
        ),
        (
            RECORDS[0],
            {"duration": -2},
            "manifest.json: line 1: the duration is negative: -2 s",
        ),
        (
            RECORDS[0],
            {"audio_filepath": "/etc/passwd"},
            "manifest.json: line 1: the audio path '/etc/passwd' is outside the data folder . (name the folder that "
            "holds the audio)",
        ),
    ],
)
def test_wrong_corpora_are_one_line_with_file_and_record(record, row, line, tmp_path, tiny_checkpoints):
    (tmp_path / "vlm").symlink_to(tiny_checkpoints["internvl"])
    write_data_folder(tmp_path / "own")
    write_llava(tmp_path, [RECORDS[1], record])
    write_librispeech(tmp_path)
    audio = "LibriSpeech/dev/19/198/19-198-0000.flac"
    write_lines(tmp_path / "manifest.json", [{"audio_filepath": audio, "duration": 1.0, "text": "a star", **row}])
    (tmp_path / "corpora.toml").write_text(RECIPE.replace("[speech]", f"{MANIFEST}[speech]"))
    result = earwise(tmp_path, "data", "corpora.toml")
    assert (result.code, result.stderr) == (2, f"earwise: data: {line}\n")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("data.transcribe.items=10", None),
        ("data.train.items=10", "data: data.train.items: 10 draws asked for, the sources end after 5"),
        (
            "train.self_kd.data=train_other",
            "command line: train.self_kd.data: [data] has no item file 'train_other': choose from",
        ),
        ("data.transcribe.parts.0.path=nowhere", "nowhere: no such file or folder"),
        ("data.train.parts.0.weight=0", "command line: data.train.parts.0.weight: expected more than 0, got 0"),
        ("data.train.parts.0.spoken=1.5", "command line: data.train.parts.0.spoken: expected one of 'all', 'first' or"),
        ("data.transcribe.parts.1.name=librispeech", "command line: data: two parts are named 'librispeech'"),
    ],
)
def test_wrong_recipes(override, line, place, finished, tmp_path):
    result = earwise(place, "data", "corpora.toml", override, "--out", tmp_path / "run")
    if line is None:
        assert result.code == 0
    else:
        assert result.code == 2
        assert result.stderr.startswith(f"earwise: {line}")
        assert result.stderr.count("\n") == 1
