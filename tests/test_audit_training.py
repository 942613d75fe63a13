"""The audit of training data names every broken file at once, and a run leaves out and counts what is broken."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import conversation, write_librispeech, write_llava
from data_folder import RECIPE as FOLDER_RECIPE
from data_folder import change_line, write_data_folder
from PIL import Image
from test_corpora_pipeline import RECIPE as CORPORA_RECIPE
from test_data_tsv import HUGE
from typer.testing import CliRunner

from earwise.cli import app
from earwise.data.broken_media import MediaCheck, check_sound
from earwise.data.drops import Drops
from earwise.data.media import load_audio, save_wav
from earwise.errors import InputError
from earwise.io.limits import MAX_SAMPLES
from earwise.planning.audit import audit_training
from earwise.recipe.read import load_recipe
from earwise.records import Item
from earwise.stages.corpora import open_pool


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The small data folder of a user, with a recipe beside it."""
    write_data_folder(tmp_path / "own")
    (tmp_path / "own.toml").write_text(FOLDER_RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def found(file):
    result = audit_training(load_recipe(Path(file), []))
    return [(f.level, f.check, f.record, f.what.split(":")[0]) for f in result.findings]


def test_a_whole_folder_has_no_findings(folder):
    result = audit_training(load_recipe(Path("own.toml"), []))
    assert result.findings == []
    assert result.counts == {"train: items": 6, "train: image files": 3, "transcribe: items": 3}


def test_every_broken_picture_of_a_folder_is_named_at_once(folder):
    halve(folder / "images/red.png")
    (folder / "images/blue.png").unlink()
    (folder / "images/green.png").write_bytes(HUGE)
    Image.new("RGB", (2_010, 10)).save(folder / "images/long.png")
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(folder / "images/deep.png")
    change_line(folder / "train.jsonl", 3, image="images/long.png")
    change_line(folder / "train.jsonl", 5, image="images/deep.png")
    assert found("own.toml") == [
        ("error", "item", "train: t1", "file 'images/blue.png' not found in own"),
        ("error", "item", "train: t4", "file 'images/blue.png' not found in own"),
        ("error", "media", "train: t0", "images/red.png"),
        ("error", "media", "train: t2", "images/green.png"),
        ("warning", "extreme", "train: t3", "images/long.png"),
        ("warning", "picture", "train: t5", "images/deep.png"),
    ]


def test_sounds_and_videos_are_looked_at_too(folder):
    for name, seconds in (("whole", 1), ("half", 1), ("long", 31)):
        save_wav(folder / f"{name}.wav", np.tile(np.float32([0.2, -0.2]), 8_000 * seconds))
    halve(folder / "half.wav")
    (folder / "no.mp4").write_bytes(b"no video" * 99)
    for line, changes in enumerate(({"audio": "whole.wav"}, {"audio": "half.wav"}, {"audio": "long.wav"})):
        change_line(folder / "train.jsonl", line, **changes)
    change_line(folder / "train.jsonl", 3, video="no.mp4")
    assert found("own.toml") == [
        ("error", "media", "train: t1", "half.wav"),
        ("error", "media", "train: t3", "no.mp4"),
        ("warning", "long", "train: t2", "long.wav"),
    ]


def test_a_sound_of_hours_is_long_and_no_error(folder):
    """A run hears its beginning, so that it is too large to be decoded at once does not matter."""
    samples = np.tile(np.float32([0.2, -0.2]), MAX_SAMPLES // 32 + 1_000)
    soundfile.write(folder / "hours.wav", samples, 1_000, subtype="PCM_U8")
    soundfile.write(folder / "odd.wav", samples[:9_000], 999)
    with pytest.raises(InputError, match="too long to be decoded at once"):
        load_audio(folder / "hours.wav")
    for line, name in enumerate(("hours.wav", "odd.wav")):
        change_line(folder / "train.jsonl", line, audio=name)
    assert found("own.toml") == [
        ("error", "media", "train: t1", "odd.wav"),
        ("warning", "long", "train: t0", "hours.wav"),
    ]


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command(folder):
    result = run("train", "own.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    for name in ("red", "blue"):
        halve(folder / f"images/{name}.png")
    result = run("train", "own.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith("earwise: own.toml: train: t0: images/red.png: broken or truncated image")
    assert result.stderr.endswith("2 errors\n")
    assert all(name in result.stdout for name in ("images/red.png", "images/blue.png"))
    result = run("train", "own.toml", "--json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["errors"], len(shown["findings"])) == (2, 2, 2)
    assert run("train", "own.toml", "--own").stderr == (
        "earwise: --own is about a benchmark's file (leave it out for training data)\n"
    )
    assert run("train", "none.toml").exit_code == 2


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """LLaVA conversations of four pictures and a LibriSpeech of six recordings."""
    asked = ("What color is it?", "red")
    images = ["coco/red.png", "coco/blue.png", "coco/grey.png", "coco/cut.png", "coco/cut.png"]
    write_llava(tmp_path, [conversation(number, *asked, image=image) for number, image in enumerate(images)])
    shutil.copy(tmp_path / "images/coco/red.png", tmp_path / "images/coco/cut.png")
    halve(tmp_path / "images/coco/cut.png")
    write_librispeech(tmp_path)
    write_data_folder(tmp_path / "own")
    (tmp_path / "corpora.toml").write_text(CORPORA_RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_corpora_are_read_whole_and_what_they_lack_is_named(corpora):
    (corpora / "LibriSpeech/dev/19/198/19-198-0001.flac").unlink()
    halve(corpora / "LibriSpeech/dev/26/198/26-198-0002.flac")
    assert found("corpora.toml") == [
        ("error", "media", "train: llava-0000003-0", "llava/coco/cut.png"),
        ("error", "missing", "train: llava: record 2 (000000000002)", "image file missing"),
        ("error", "media", "transcribe: librispeech-00000004", "librispeech/dev/26/198/26-198-0002.flac"),
        (
            "error", "missing", "transcribe: librispeech: dev/19/198/19-198.trans.txt line 2", "audio file missing",
        ),
    ]  # fmt: skip


def test_a_run_leaves_out_what_is_broken_and_counts_it(corpora):
    recipe = load_recipe(Path("corpora.toml"), [])
    pool = open_pool("train", recipe.data.pools["train"], 0, corpora / "run")
    items = list(pool.items())
    assert sorted(item.image for item in items) == ["media/llava/coco/blue.png", "media/llava/coco/red.png"]
    drops = pool.parts[0].conversations.drops
    assert drops.counts == {"image file missing": 1, "broken or truncated image": 2}
    assert sorted(drops.records["broken or truncated image"]) == [
        "record 3 (000000000003): llava/coco/cut.png",
        "record 4 (000000000004): llava/coco/cut.png",
    ]


def test_a_broken_sound_is_found_by_its_header_or_its_last_sample(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3"):
        soundfile.write(tmp_path / name, samples, 16_000)
        check_sound(tmp_path / name)
        halve(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}: (truncated audio|not readable as audio)"):
            check_sound(tmp_path / name)
    item = Item(id="i", source="s", question="q?", answers=("a",), cluster="c", audio="a.wav")
    check = MediaCheck(tmp_path)
    assert check.broken(item).reason == "truncated audio"
    assert check.broken(item.model_copy(update={"meta": {"recording": {}}})) is None
    assert tmp_path / "a.wav" not in check.seen


def test_drops_name_every_record():
    drops = Drops()
    for record in ("1", "2"):
        drops.add("broken", record)
    drops.add("missing", "3")
    assert (len(drops), drops["broken"], drops["other"]) == (3, 2, 0)
    assert drops.records == {"broken": ["1", "2"], "missing": ["3"]}
    assert list(drops.lines()) == ["dropped 2: broken (first: 1)", "dropped 1: missing (first: 3)"]


def test_a_recipe_that_makes_its_own_data_has_nothing_to_look_at():
    result = run("train", Path(__file__).parent.parent / "recipes/quickstart.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "made by the recipe itself" in result.stdout
