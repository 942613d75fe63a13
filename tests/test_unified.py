"""What the recipe of the three systems in one student needs beside parts: its files, its view, and a text teacher."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_model

from earwise.cli import execute
from earwise.data.descriptions import FILE, read_descriptions
from earwise.data.items import read_items
from earwise.data.media import save_wav
from earwise.evaluate.benchmarks import load_benchmark
from earwise.micro.build import write_tiny
from earwise.micro.lab import spoken_words
from earwise.micro.sounds.lab import SoundLabSize, write_sound_lab
from earwise.models.omni import OmniModel
from earwise.models.prefix import shared_prefix
from earwise.planning.page import plan
from earwise.recipe.read import load_recipe
from earwise.stages.samples import sample_items

RECIPES = Path(__file__).parent.parent / "recipes/unified"
SMALL = SoundLabSize(4, 2, 3, 3, 2, 2, 2, 2, questions_per_clip=2)
"""Clips of train, validation, test, seen, listen, events and known, and items of the guards."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_sound_lab(folder, 7, SMALL)
    return folder


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A fresh base with the vocabulary of the laboratory of sounds, and ears."""
    folder = write_tiny(tmp_path_factory.mktemp("student") / "vlm", "internvl", vocabulary="sounds", image_size=32)
    return tiny_model(folder)


def test_words_are_written_down_as_they_are_heard_and_all_are_known(lab, student):
    items = read_items(lab / "transcribe.jsonl")
    asked = {item.question for item in read_items(lab / "train.jsonl")}
    assert len(items) == 2 * len(asked)
    assert {item.question for item in items[: len(asked)]} == asked
    tokenizer = student.family.tokenizer
    for item in items:
        assert item.answers == (spoken_words(item.question),)
        assert tokenizer.unk_token_id not in tokenizer.encode(f"{item.instruction} {item.question}")


def test_a_reader_is_told_exactly_what_the_chain_of_an_honest_video_says(lab):
    told = read_descriptions(lab / FILE)
    items = read_items(lab / "seen.jsonl")
    assert told.keys() == {item.id for item in items}
    for item in items:
        assert re.fullmatch(r"<think> (.*) </think> <answer> .* </answer>", item.answers[0])[1] == told[item.id]


def test_a_spoken_question_comes_after_the_frames_that_the_typed_one_shares(lab, student, tmp_path):
    items = load_benchmark("spoken", lab / "benchmarks")
    assert [item.id for item in items] == [item.id for item in load_benchmark("avqa", lab / "benchmarks")]
    sample = sample_items(items[:1], lab / "benchmarks", None, print, views=["video_speech"])[0]
    save_wav(tmp_path / "clip.wav", np.sin(np.arange(9_600) / 9, dtype=np.float32) / 9)
    turn = replace(sample.turns[0], clip=tmp_path / "clip.wav", num_samples=9_600)
    sample = replace(sample, turns=(turn,))
    spoken, typed = (student.layouts.build(sample, view, answers=True) for view in ("video_speech", "video_text"))
    assert [medium.kind for medium in spoken.media] == ["image"] * 8 + ["audio"]
    assert [medium.kind for medium in typed.media] == ["image"] * 8
    assert shared_prefix([spoken, typed], with_audio=False) >= typed.media[-1].stop
    assert [spoken.ids[i] for i in spoken.response] == [typed.ids[i] for i in typed.response]


def test_the_text_teacher_is_a_base_of_the_students_words_that_reads(tmp_path, student):
    sizes = ("train_clips", "validation_clips", "listen_clips", "event_clips", "known_clips", "guard_items")
    few = [*(f"data.{key}=2" for key in sizes), "data.seen_clips=3", "data.test_clips=2"]
    few += ["base.phases.0.steps=1", "base.phases.0.batch_size=2", "base.width=32", "base.layers=1"]
    assert execute(RECIPES / "reader.toml", few, tmp_path / "run", verb="base") == 0
    reader = OmniModel.from_pretrained(str(tmp_path / "run/stages/seed0/base/model"))
    mine, theirs = student.family.tokenizer, reader.family.tokenizer
    assert mine.get_vocab() == theirs.get_vocab()


def test_a_step_of_the_student_has_as_much_of_each_kind_as_the_steps_of_the_systems_alone():
    recipe = load_recipe(RECIPES / "micro.toml")
    items = {name: recipe.optimisation(name).batch_size for name in recipe.train}
    shares = {name: part.share for name, part in recipe.train["unified"].parts.items()}
    assert round(items["unified"] * shares["spoken"]) == items["self_kd"]
    assert round(items["unified"] * shares["heard"]) == items["sightsound"] == items["source_layer"]
    rows = {name: train for name, train in recipe.train.items() if name not in ("copies", "words", "hears")}
    assert len({recipe.optimisation(name).steps for name in rows}) == 1
    assert {train.start for train in rows.values()} == {"hears"}


def test_the_plan_counts_each_question_and_a_random_string_for_it_among_the_words_to_write_down():
    clips = ("train_clips", "test_clips", "event_clips", "known_clips", "guard_items")
    few = [*(f"data.{key}=3" for key in clips), "data.questions_per_clip=2", "train.words.steps=3"]
    lines = [str(line) for line in plan(load_recipe(RECIPES / "micro.toml", few))]
    first = next(n for n, line in enumerate(lines) if line.startswith("training words, part spoken"))
    assert any("3 steps, 8.00 epochs" in line for line in lines[first : first + 5]), lines  # 3 * 32 of 2 * 3 * 2
