"""What a user gets wrong: exit code 2 and one line that names the file, the record and the remedy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from data_folder import RECIPE, change_line, write_data_folder
from earwise_process import ENVIRONMENT, Result, earwise


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_checkpoints):
    """A place with a base model, a correct data folder and its finished run `runs/own`."""
    place = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_checkpoints["internvl"], place / "vlm")
    write_data_folder(place / "own")
    (place / "own.toml").write_text(RECIPE)
    first = earwise(place, "run", "own.toml")
    assert (first.code, first.stderr) == (0, "")
    return place


@pytest.fixture
def place(finished, tmp_path):
    """The same without a run, for a test to spoil."""
    (tmp_path / "vlm").symlink_to(finished / "vlm")
    shutil.copytree(finished / "own", tmp_path / "own")
    (tmp_path / "own.toml").write_text(RECIPE)
    return tmp_path


def run(place: Path, *overrides: str) -> Result:
    return earwise(place, "run", "own.toml", *overrides)


def assert_one_line(result: Result, line: str) -> None:
    """The command ended with exit code 2 and this line, nothing else, on stderr."""
    assert (result.code, result.stderr) == (2, f"earwise: {line}\n")
    assert "Traceback" not in result.stdout


def test_a_correct_data_folder_runs_to_the_end_and_stays_as_it_was(finished):
    summary = json.loads((finished / "runs/own/summary.json").read_text())
    assert {name: cell["n"] for name, cell in summary["models"]["sft"].items()} == {"all": 7, "colors": 3, "mme": 4}
    assert {path.name for path in (finished / "own").rglob("*") if path.is_file() and path.suffix != ".png"} == {
        "train.jsonl",
        "transcribe.jsonl",
        "colors.jsonl",
        "MME.tsv",
    }
    again = run(finished)
    assert (again.code, again.stderr) == (0, "")
    assert again.stdout.endswith("nothing to do: runs/own is up to date\n")


def test_a_changed_picture_is_a_changed_input(place):
    assert earwise(place, "data", "own.toml").code == 0
    (place / "own/images/red.png").write_bytes((place / "own/images/blue.png").read_bytes())
    assert "data: starts over, input data.path changed" in earwise(place, "data", "own.toml").stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (RECIPE.replace("steps = 1", "step = 1", 1), "own.toml: align.step: unknown key (did you mean 'steps'?)"),
        (RECIPE.replace("lr = 1e-3", 'lr = "1e-3"', 1), "own.toml: align.lr: expected a number, got '1e-3'"),
        (RECIPE.replace("[align]", "[align"), "own.toml: is not valid TOML: Expected ']' at the end of a table"),
        (
            RECIPE.replace('["en-us+f4"]', '["en-us+m3"]'),
            "own.toml: speech.test_voices: en-us+m3: also among speech.train_voices",
        ),
        (None, "own.toml: no such recipe"),
    ],
    ids=["unknown key", "wrong type", "not TOML", "a voice on both sides", "missing"],
)
def test_a_wrong_recipe(text, line, tmp_path):
    """By the installed command itself."""
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    command = [Path(sys.executable).with_name("earwise"), "run", "own.toml"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"earwise: {line}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("data.path=nowhere", "nowhere: no such file or folder"),
        (
            "evaluate.benchmarks=['colours','mme']",
            "data.media: own/benchmarks/colours.jsonl: no file for benchmark 'colours'",
        ),
        ("evaluate.limit=1", "data.media: own/benchmarks: colors: 1 item of one cluster: no interval can be given"),
        (
            "evaluate.views=['image_text','description_text']",
            "data.media: own/benchmarks/descriptions.jsonl: no such file, but a",
        ),
        (
            "evaluate.views=['image_text','sound_text']",
            "data.media: own/benchmarks/colors: b0: the item has no sound",
        ),
        (
            "train.sft.view=description_text",
            "data.media: own/descriptions.jsonl: no such file, but a view shows descriptions",
        ),
        (
            "train.sft.view=video_text",
            "data.media: own/train.jsonl: t0: the item has no video for view 'video_text'",
        ),
        (
            "speech.train_voices=['en-us+m33']",
            "speech/benchmarks/colors: the engine has no voice 'en-us+m33' (did you",
        ),
        (
            "speech.test_voices=['en-gb+m3']",
            "speech/benchmarks/colors: variant 'm3' is both in the training voices and in",
        ),
        ("model.base=nowhere", "nowhere: no such model folder, and no model of that name on the hub"),
        ("model.base=own.toml", "own.toml: model.base: not a model folder"),
        ("model.base=own", "own: model.base: model folder without config.json"),
    ],
)
def test_a_recipe_that_asks_for_what_is_not_there(override, line, place):
    result = run(place, override)
    assert result.code == 2
    assert result.stderr.startswith(f"earwise: {line}")
    assert result.stderr.count("\n") == 1


def test_a_model_folder_without_weights(place, finished):
    shutil.copytree(finished / "vlm", place / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    line = "bare: model.base: model folder without weights (it needs *.safetensors files)"
    assert_one_line(run(place, "model.base=bare"), line)


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def scribble(path: Path) -> None:
    path.write_bytes(b"hello")


def double(path: Path) -> None:
    path.write_text(path.read_text() * 2)


def blank(path: Path) -> None:
    change_line(path, 1, question="  ")


def lose_gold(path: Path) -> None:
    change_line(path, 2, answers=["pink"])


def break_base64(path: Path) -> None:
    path.write_text(path.read_text().replace("\tiVBOR", "\t*VBOR", 1))


@pytest.mark.parametrize(
    ("file", "spoil", "line"),
    [
        ("images/blue.png", lose, "own/train.jsonl: t1: file 'images/blue.png' not found in own"),
        ("images/blue.png", scribble, "own/images/blue.png: t4: not an image (use a PNG, JPEG or WebP file)"),
        (
            "images/blue.png",
            cut,
            "own/images/blue.png: t4: broken or truncated image: image file is truncated (fetch the file again)",
        ),
        ("benchmarks/images/red.png", scribble, "own/benchmarks/images/red.png: b0: not an image (use a PNG,"),
        ("train.jsonl", lose, "own/train.jsonl: no such file"),
        ("train.jsonl", double, "own/train.jsonl: line 7: item 't0' is already on line 1 (ids must be unique)"),
        ("train.jsonl", cut, "own/train.jsonl: line 6: is truncated or not JSON: "),
        ("train.jsonl", blank, "own/train.jsonl: t1: empty question"),
        (
            "benchmarks/colors.jsonl",
            lose_gold,
            "own/benchmarks/colors.jsonl: b2: gold answer 'pink' is not among the choices ['green', 'black'] (give the",
        ),
        ("benchmarks/colors.jsonl", lose, "own/benchmarks/colors.jsonl: no file for benchmark 'colors' (put colors.js"),
        ("benchmarks/MME.tsv", lose, "own/benchmarks/MME.tsv: no file for benchmark 'mme' (put MME.tsv there)"),
        ("benchmarks/MME.tsv", break_base64, "own/benchmarks/MME.tsv: line 2 index '0': broken base64 image: "),
    ],
)
def test_wrong_data(file, spoil, line, place):
    spoil(place / "own" / file)
    result = run(place)
    assert result.code == 2
    assert result.stderr.startswith(f"earwise: data.media: {line}")
    assert result.stderr.count("\n") == 1
    assert not (place / "runs/own/stages/speech").exists()


class ClipOf:
    """A run that has spoken everything and trained nothing, and one clip in it. The clips are not vouched for, so what
    a test does to one is found when it is heard, as if it had happened while the run was under way.
    """

    def __init__(self, place: Path, finished: Path, heard_in: str, *, vouched: bool = False) -> None:
        self.place = place
        self.speech = place / "runs/own/stages/speech" / {"train": "train", "evaluate": "benchmarks/mme"}[heard_in]
        shutil.copytree(finished / "runs", place / "runs")
        (place / "runs/own/summary.json").unlink()
        for name in ("predict.sft", "evaluate.sft"):
            shutil.rmtree(place / "runs/own/stages/seed0" / name)
        if heard_in == "train":
            shutil.rmtree(place / "runs/own/stages/seed0/train.sft")
        if not vouched:
            marker = json.loads((self.speech / "done.json").read_text())
            marker["held"]["files"] = {}
            (self.speech / "done.json").write_text(json.dumps(marker))
        record = json.loads((self.speech / "clips.jsonl").read_text().splitlines()[0])["record"]
        self.item = record["item"]
        self.path = self.speech / record["path"]

    def assert_refused(self, stage: str, what: str) -> None:
        shown, speech = self.path.relative_to(self.place), self.speech.relative_to(self.place)
        remedy = f"delete the folder {speech} and run again: all clips are made again as they were"
        assert_one_line(run(self.place), f"seed0/{stage}: {shown}: {self.item}: {what} ({remedy})")


def silence(path: Path) -> None:
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.zeros_like(samples), rate)


def empty(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


def wipe(path: Path) -> None:
    path.write_bytes(b"")


def replace(path: Path) -> None:
    soundfile.write(path, np.random.default_rng(0).normal(size=5_000) * 0.1, 16_000)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (cut, "truncated audio: the header promises {bytes} bytes of b'data', {rest} are there"),
        (silence, "audio is silent"),
        (empty, "audio has no samples"),
        (wipe, "audio file is empty (0 bytes)"),
        (scribble, "not readable as audio: Format not recognised."),
        (replace, "the clip has 5000 samples, its record says {samples}"),
        (lose, "audio file not found"),
    ],
)
def test_a_wrong_clip_in_training(spoil, what, place, finished):
    clip = ClipOf(place, finished, "train")
    size = clip.path.stat().st_size - 44
    spoil(clip.path)
    clip.assert_refused("train.sft", what.format(bytes=size, rest=size - 60, samples=size // 2))


@pytest.mark.parametrize("spoil", [cut, silence, lose])
def test_a_wrong_clip_of_a_finished_stage_is_made_again_as_it_was(spoil, place, finished):
    clip = ClipOf(place, finished, "evaluate", vouched=True)
    spoil(clip.path)
    mended = run(place)
    assert (mended.code, mended.stderr) == (0, "")
    assert f"speech/benchmarks/mme: damaged: {clip.path.relative_to(clip.speech)}: it" in mended.stdout
    assert "align: " in mended.stdout
    assert "align: starts" not in mended.stdout
    assert clip.path.read_bytes() == (finished / clip.path.relative_to(place)).read_bytes()


@pytest.mark.parametrize("names", [("scores",), ("predictions",), ("scores", "predictions")])
def test_lost_answers_and_scores_are_made_again(names, place, finished):
    """One item is lost from every file of answers or scores, with each file a sound store."""
    shutil.copytree(finished / "runs", place / "runs")
    summary = (place / "runs/own/summary.json").read_text()
    stages = place / "runs/own/stages/seed0"
    for path in [path for name in names for path in stages.rglob(f"{name}.jsonl")]:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if '"item":"b0"' not in line))
        assert path.read_text() != "".join(lines) or path.parent.name == "mme"
    (place / "runs/own/summary.json").unlink()
    mended = run(place)
    assert (mended.code, mended.stderr) == (0, "")
    again = json.loads((place / "runs/own/summary.json").read_text())
    assert again["models"] == json.loads(summary)["models"]


@pytest.mark.parametrize("stage", ["align", "train.sft"])
def test_truncated_ears_are_trained_again(stage, place, finished):
    shutil.copytree(finished / "runs", place / "runs")
    ears = place / "runs/own/stages/seed0" / stage / "ears/ears.safetensors"
    cut(ears)
    mended = run(place)
    assert (mended.code, mended.stderr) == (0, "")
    assert f"seed0/{stage}: damaged: ears/ears.safetensors: it has" in mended.stdout
    assert ears.read_bytes() == (finished / ears.relative_to(place)).read_bytes()
    assert mended.stdout.count(": starts") == 1


def test_a_wrong_clip_in_a_test_and_its_remedy(place, finished):
    clip = ClipOf(place, finished, "evaluate")
    silence(clip.path)
    clip.assert_refused("predict.sft/mme", "audio is silent")
    shutil.rmtree(clip.speech)
    mended = run(place)
    assert (mended.code, mended.stderr) == (0, "")
    assert "speech: starts\n" in mended.stdout
    assert "align: starts" not in mended.stdout
    assert clip.path.read_bytes() == (finished / clip.path.relative_to(place)).read_bytes()


def test_a_clip_of_eight_channels_at_96_khz_is_mixed_down_and_resampled(place, finished):
    clip = ClipOf(place, finished, "train")
    samples, rate = soundfile.read(clip.path, dtype="float32")
    wide = soxr.resample(samples, rate, 96_000)
    soundfile.write(clip.path, np.stack([wide * weight for weight in np.linspace(0.5, 1.5, 8)], axis=1), 96_000)
    result = run(place)
    assert (result.code, result.stderr) == (0, "")
    assert (place / "runs/own/summary.json").exists()


@pytest.mark.parametrize(
    ("largest_file", "line"),
    [
        (60_000, "speech/benchmarks/colors: runs/own/stages/speech/benchmarks/colors/wav/"),
        (150_000, "seed0/align: runs/own/stages/seed0/align/checkpoints: cannot write a checkpoint: "),
    ],
)
def test_a_full_disk(largest_file, line, place):
    """No file can grow beyond so many bytes: writing fails in the middle of one, as on a full disk."""
    result = earwise(place, "run", "own.toml", largest_file=largest_file)
    assert result.code == 2
    assert result.stderr.startswith(f"earwise: {line}")
    assert "cannot write" in result.stderr
    assert "(make room, then run again" in result.stderr
    assert result.stderr.count("\n") == 1
    mended = run(place)
    assert (mended.code, mended.stderr) == (0, "")


def test_a_full_disk_that_also_holds_the_output(place):
    result = earwise(place, "run", "own.toml", largest_file=0)
    assert (result.code, result.stdout, result.stderr) == (2, "", "")


def test_a_question_that_cannot_be_spoken_is_left_out_and_counted(place):
    change_line(place / "own/train.jsonl", 0, question="\N{CJK UNIFIED IDEOGRAPH-4E00}")
    result = earwise(place, "speech", "own.toml")
    assert (result.code, result.stderr) == (0, "")
    assert "speech/train: 5 clips" in result.stdout
    assert "speech/train: dropped 1: " in result.stdout
