"""The laboratory's recipe of source- and layer-wise distillation, from data to table, on tiny models."""

import json
from pathlib import Path

from earwise.cli import execute
from earwise.micro.build import write_tiny
from earwise.models import OmniModel
from earwise.models.shipped import SHIPPED
from earwise.recipe import load_recipe
from earwise.term_settings import TaughtTerm

RECIPE = Path(__file__).parent.parent / "recipes" / "source_layer" / "micro.toml"
PAPER = RECIPE.with_name("paper.toml")
ROWS = ["base", "sft", "text_top", "text_skip", "text_all", "text_all_acoustic"]
SMALL = [
    "seeds=[0]", "data.train_clips=2", "data.train_utterances=4", "data.validation_clips=1",
    "data.validation_utterances=1", "data.test_clips=4", "data.test_utterances=20", "training.steps=1",
    "training.batch_size=2", "evaluate.max_new_tokens=2", "training.precision='float32'",
]  # fmt: skip
STUDENT = "runs/micro_hearer/stages/seed0/base/model"


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


def test_terms_and_weights_are_those_of_the_published_settings():
    mine, published = (load_recipe(path).train for path in (RECIPE, PAPER))
    assert list(mine) == list(published) == ROWS[1:]
    for name, train in mine.items():
        told = [(term.type, term.weight) for term in train.terms]
        assert told == [(term.type, term.weight) for term in published[name].terms]
        teachers = {term.teacher for term in train.terms if isinstance(term, TaughtTerm)}
        assert teachers <= {"reader-micro", "snapshot"}
        assert (train.steps, train.lr, train.batch_size, train.start) == (None, None, None, "base")


def test_the_reader_is_shipped_and_small():
    model = OmniModel.from_pretrained("reader-micro")
    assert (model.family.name, model.family.depth) == ("causal_lm", 6)
    assert sum(path.stat().st_size for path in (SHIPPED / "reader-micro").iterdir()) <= 5_000_000
