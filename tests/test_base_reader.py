"""A text model that stage `base` trains from nothing, and what it has in common with a student that hears."""

import json

import pytest
import torch
from safetensors.torch import load_file

from earwise.cli import execute
from earwise.distil.vocabulary import shared_vocabulary
from earwise.errors import InputError
from earwise.micro.build import vocabulary_words, write_tiny
from earwise.micro.tokenizer import build_tokenizer
from earwise.models import OmniModel
from earwise.recipe.read import load_recipe

RECIPE = """
name = "own"
[data]
source = "folder"
path = "own"
[base]
family = "causal_lm"
view = "description_text"
vocabulary = "feelings"
width = 32
feed_forward = 48
layers = 1
heads = 2
key_value_heads = 1
[[base.phases]]
files = { read = 1.0 }
steps = 2
batch_size = 2
independent = 0.5
lr = 1e-2
log_every = 1
"""
TEXTS = ("Sounds: bell at one, dog at three", 'Speech: "they lost the keys"')


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Two descriptions without a sound, each with two questions."""
    (tmp_path / "own").mkdir()
    items, told = [], []
    for n, text in enumerate(TEXTS):
        for number, (question, answer) in enumerate((("which is heard first?", "bell"), ("which word?", "keys"))):
            row = {"id": f"{n}-{number}", "source": "read", "question": question, "answers": [answer]}
            items.append(row | {"cluster": str(n)})
            told.append({"item": f"{n}-{number}", "text": text, "source": "written by hand"})
    for name, rows in (("read", items), ("descriptions", told)):
        (tmp_path / f"own/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own.toml"


def test_a_base_that_reads_is_trained_in_all_its_parts(recipe, tmp_path):
    assert execute(recipe, [], tmp_path / "run") == 0
    stage = tmp_path / "run/stages/seed0/base"
    before, after = (load_file(stage / part / "model.safetensors") for part in ("start", "model"))
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    model = OmniModel.from_pretrained(str(stage / "model"))
    assert (model.family.name, model.family.model.config.model_type) == ("causal_lm", "qwen3")


def test_a_text_that_is_not_described_is_named(recipe, tmp_path, capsys):
    described = tmp_path / "own/descriptions.jsonl"
    described.write_text(described.read_text().splitlines()[0] + "\n")
    assert execute(recipe, [], tmp_path / "run") == 2
    assert "own/descriptions.jsonl: 1-0: no description of this item" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("base.view='image_text'", "is shown 'description_text', as it only reads"),
        ("base.view='sound_text'", "is shown 'description_text', as it only reads"),
        ("base.tower=whisper-micro", "base.tower: has no effect on the family 'causal_lm'"),
        ("base.audio_width=16", "has no effect on the family 'causal_lm'"),
        ("base.vision_width=16", "has no effect on the family 'causal_lm'"),
        ("base.image_size=32", "has no effect on the family 'causal_lm'"),
    ],
)
def test_a_base_that_reads_has_neither_eyes_nor_ears(recipe, override, message):
    with pytest.raises(InputError, match=message):
        load_recipe(recipe, [override])


def test_a_reader_shares_its_words_with_a_student_that_hears_and_no_more():
    words, reasoning = vocabulary_words("feelings")
    student, reader = (build_tokenizer(family, words, reasoning=reasoning) for family in ("qwen2_audio", "causal_lm"))
    common = shared_vocabulary(student, reader, student_name="student", teacher_name="reader")
    assert reader.convert_ids_to_tokens([common - 1]) == ["<|im_end|>"]
    assert reader.convert_ids_to_tokens([common]) == ["<|im_start|>"]
    assert student.convert_ids_to_tokens([common]) != ["<|im_start|>"]
    assert student(TEXTS[0])["input_ids"] == reader(TEXTS[0])["input_ids"]


def test_a_tiny_reader_is_a_checkpoint_that_loads_and_answers(tmp_path):
    model = OmniModel.from_pretrained(str(write_tiny(tmp_path / "tiny", "causal_lm", vocabulary="feelings")))
    rendered = model.family.render(["\ue000"], ["\ue001"], 0)
    assert rendered.count("<|im_end|>") == 3
    assert model.family.stop_ids == (model.family.tokenizer.convert_tokens_to_ids("<|im_end|>"),)
