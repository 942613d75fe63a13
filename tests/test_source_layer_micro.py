"""The laboratory's recipe of source- and layer-wise distillation, from data to table, on tiny models."""

import json
import random
from pathlib import Path

import pytest

from earwise.cli import execute
from earwise.data.media import save_wav
from earwise.micro.build import write_tiny
from earwise.micro.feelings.speaking import Actor
from earwise.micro.feelings.utterances import Utterance
from earwise.models import OmniModel
from earwise.models.shipped import SHIPPED
from earwise.planning.inputs import teacher_folders
from earwise.recipe.read import load_recipe
from earwise.recipe.terms import TaughtTerm
from earwise.records import Item
from earwise.stages.samples import sample_items

RECIPE = Path(__file__).parent.parent / "recipes" / "source_layer" / "micro.toml"
PAPER = RECIPE.with_name("paper.toml")
ROWS = ["base", "sft", "text_top", "text_skip", "text_all", "text_all_acoustic"]
SMALL = [
    "seeds=[0]", "data.train_clips=2", "data.train_utterances=4", "data.validation_clips=1",
    "data.validation_utterances=1", "data.test_clips=4", "data.test_utterances=20", "training.steps=1",
    "training.batch_size=2", "evaluate.max_new_tokens=2", "training.precision='float32'",
]  # fmt: skip
STUDENT = "hearer-micro"


def test_the_recipe_leaves_a_table_of_sound_speech_and_emotion(tmp_path):
    student = write_tiny(tmp_path / "student", "qwen2_audio", vocabulary="feelings", num_layers=4)
    reader = write_tiny(tmp_path / "reader", "causal_lm", vocabulary="feelings", hidden_size=48, num_layers=6)
    own = tmp_path / "own.toml"
    own.write_text(RECIPE.read_text().replace(f'"{STUDENT}"', f'"{student}"').replace('"reader-micro"', f'"{reader}"'))
    assert execute(own, SMALL, tmp_path / "run") == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert list(summary["ablation"]) == ROWS
    for row in ROWS:
        assert [*summary["ablation"][row]] == ["mmau_sound", "mmau_speech", "iemocap", "all"]
        assert all({*cell} == {"score", "ci95", "n"} for cell in summary["ablation"][row].values())


def test_a_shipped_teacher_is_an_input_of_what_it_teaches():
    trainings = load_recipe(RECIPE).train
    (teacher,) = teacher_folders("text_all_acoustic", trainings["text_all_acoustic"])
    assert (teacher.given, teacher.path) == ("reader-micro", SHIPPED / "reader-micro")
    assert teacher_folders("sft", trainings["sft"]) == ()


def test_terms_and_weights_are_those_of_the_published_settings():
    mine, published = (load_recipe(path).train for path in (RECIPE, PAPER))
    assert list(mine) == list(published) == ROWS[1:]
    for name, train in mine.items():
        told = [(term.type, term.weight) for term in train.terms]
        assert told == [(term.type, term.weight) for term in published[name].terms]
        teachers = {term.teacher for term in train.terms if isinstance(term, TaughtTerm)}
        assert teachers <= {"reader-micro", "snapshot"}
        assert (train.steps, train.lr, train.batch_size, train.start) == (None, None, None, "base")


@pytest.mark.parametrize(("name", "family", "depth"), [(STUDENT, "qwen2_audio", 4), ("reader-micro", "causal_lm", 6)])
def test_student_and_reader_are_shipped_and_small(name, family, depth):
    model = OmniModel.from_pretrained(name)
    assert (model.family.name, model.family.depth) == (family, depth)
    assert sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) <= 5_000_000


def test_the_shipped_student_has_the_sizes_of_its_recipe():
    """And the tower of the encoder that it started from, trained on."""
    base = load_recipe(RECIPE.parent.parent / "micro_hearer.toml").base
    config = json.loads((SHIPPED / STUDENT / "config.json").read_text())
    text, audio = config["text_config"], config["audio_config"]
    assert (text["hidden_size"], text["intermediate_size"]) == (base.width, base.feed_forward)
    assert (text["num_hidden_layers"], text["num_attention_heads"]) == (base.layers, base.heads)
    tower = json.loads((SHIPPED / base.tower / "config.json").read_text())
    for key in ("d_model", "encoder_layers", "encoder_ffn_dim", "num_mel_bins"):
        assert audio[key] == tower[key]
    assert load_recipe(RECIPE).model.base == STUDENT


def test_the_shipped_student_hears_a_word(tmp_path):
    """A training voice, and the question as the benchmark asks it: what it was taught must be in the weights."""
    said = Actor("train").say(Utterance("they", "lost", "keys", "neutral"), random.Random(3))[0]
    save_wav(tmp_path / "keys.wav", said)
    question = "which word is spoken? Option A: ring. Option B: keys. Option C: camera. Option D: money."
    item = Item(id="1", source="talk", question=question, answers=("keys",), audio="keys.wav", cluster="1", kind="word")
    [sample] = sample_items([item], tmp_path, None, print, views=["sound_text"])
    [answer] = OmniModel.from_pretrained(STUDENT).generate([sample], view="sound_text", max_new_tokens=3)
    assert answer == "keys"
