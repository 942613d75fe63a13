"""Answers that a model writes itself: what is kept, that a killed stage goes on, and that a training hears them."""

import json
import shutil
from dataclasses import replace

import pytest
from example_recipe import TEXT
from tiny import tiny_model, tiny_samples
from tiny_recipe import MODEL, NAMED_VOICES

from earwise.cli import execute
from earwise.data.items import read_items
from earwise.distil.on_policy import chance_of
from earwise.distil.rollouts import Completion
from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.planning.page import plan
from earwise.recipe.read import load_recipe
from earwise.recipe.teach import Answers
from earwise.stages import answers as stage
from earwise.stages.answers import BEHIND, CUT, EMPTY, WrittenAnswer, write_answers, written_items
from earwise.stages.samples import sample_items
from earwise.stages.taught import read_taught
from earwise.work.store import Store, read_store

RECIPE = (
    """\
name = "written"
[data]
source = "micro"
train_images = 8
validation_images = 1
test_images = 4
turns_per_image = 2
transcribe_items = 4
"""
    + NAMED_VOICES
    + MODEL
    + """\
[answers]
max_new_tokens = 100
temperature = 1.0
batch_size = 3
[training]
steps = 2
batch_size = 4
lr = 1e-3
log_every = 1
[train.own]
start = "base"
data = "written"
terms = [{ type = "logits", weight = 1.0, answers = "drawn" }, { type = "sft", weight = 1.0 }]
on_policy = { share = 0.5, max_tokens = 3 }
"""
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("answers")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    (folder / "recipe.toml").write_text(RECIPE.replace('"vlm"', f'"{folder / "vlm"}"'))
    return folder


@pytest.fixture(scope="module")
def run(workplace):
    """The whole recipe, uninterrupted."""
    assert execute(workplace / "recipe.toml", [], workplace / "run") == 0
    return workplace / "run" / "stages"


def written(stages):
    return read_taught(stages / "answers", "written")


def test_a_training_learns_from_written_answers_through_the_clips_of_their_questions(run):
    gold = {item.id: item for item in read_items(run / "data" / "train.jsonl")}
    items, counts = written(run), json.loads((run / "answers" / "counts.json").read_text())
    assert counts["kept"] + counts.get(EMPTY, 0) == len(gold) == 16
    assert len(items) == counts["kept"]
    assert 0 < sum("cut" in item.meta for item in items) == counts[CUT] < len(items)
    for item in items:
        without = {"answers": ("?",), "meta": {key: value for key, value in item.meta.items() if key != "cut"}}
        assert item.model_copy(update=without) == gold[item.id].model_copy(update={"answers": ("?",)})
    assert any(item.answers != gold[item.id].answers for item in items)
    assert (run / "seed0" / "train.own" / "ears" / "ears.safetensors").is_file()


def test_the_same_training_draws_a_share_of_its_answers(run):
    """Which ones, is what the choices by seed, step and place say; each term counts on its own kind."""
    lines = [json.loads(line) for line in (run / "seed0" / "train.own" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    drawn = [sum(chance_of(0, step, place) < 0.5 for place in range(4)) for step in range(2)]
    assert [line["drawn"] for line in steps] == [count / 4 for count in drawn]
    assert [line["terms/logits"] > 0 for line in steps] == [count > 0 for count in drawn]
    assert [line["terms/sft"] > 0 for line in steps] == [count < 4 for count in drawn]


def test_a_killed_stage_goes_on_to_the_same_files(run, workplace):
    shutil.copytree(run.parent, workplace / "killed")
    folder = workplace / "killed" / "stages" / "answers"
    (folder / "done.json").unlink()
    shutil.rmtree(folder / "items")
    whole = (folder / "answers.jsonl").read_bytes()
    (folder / "answers.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:4]) + b"half a li")
    assert execute(workplace / "recipe.toml", [], workplace / "killed", verb="answers") == 0
    assert (folder / "answers.jsonl").read_bytes() == whole
    for name in ("items/written.jsonl", "counts.json"):
        assert (folder / name).read_bytes() == (run / "answers" / name).read_bytes()


def test_ears_and_seeds_of_trainings_do_not_answer_again(run, workplace, capsys):
    changed = ["model.ears.hidden=12", "seeds=[1]", "answers.batch_size=5"]
    shutil.copytree(run.parent, workplace / "changed")
    assert execute(workplace / "recipe.toml", changed, workplace / "changed", verb="answers") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_the_plan_shows_the_questions_under_the_views_of_the_training(workplace):
    lines = [line.plain for line in plan(load_recipe(workplace / "recipe.toml", ()))]
    assert any(line.startswith("image_speech: ") for line in lines)


def test_greedy_answers_are_those_of_generate(run, workplace, tmp_path):
    samples = sample_items(
        read_items(run / "data" / "train.jsonl")[:5], run / "data", None, print, views=["image_text"]
    )
    model = OmniModel.from_pretrained(str(workplace / "vlm")).eval()
    settings = Answers(max_new_tokens=6, batch_size=2)
    with Store(tmp_path / "answers.jsonl", WrittenAnswer) as store:
        write_answers(model, samples, settings, store)
    found = [answer.text for answer in read_store(tmp_path / "answers.jsonl", WrittenAnswer)]
    assert found == [model.generate([one], view="image_text", max_new_tokens=6)[0] for one in samples]


def test_a_conversation_is_answered_on_top_of_what_was_written_before(monkeypatch, tiny_checkpoints, tmp_path):
    """Its questions see earlier written answers, not the gold ones; behind a dropped answer nothing is asked."""
    model, asked = tiny_model(tiny_checkpoints["internvl"], ears=False), []
    stop, encode = model.family.stop_ids[0], model.family.tokenizer.encode
    says = {"item-0": "red star", "item-1": "two stars", "item-2": "", "item-3": "yes"}

    class Scripted:
        def __init__(self, model, **given):
            assert given == {"max_tokens": 9, "temperature": 0.0}

        def draw(self, prompts, seeds, group):
            items = [prompt.sample.turns[-1].item.id for prompt in prompts]
            asked.extend(zip(items, (model.family.tokenizer.decode(p.layout.ids) for p in prompts), strict=True))
            ids = [(*encode(says[item], add_special_tokens=False), stop) for item in items]
            return [[Completion(one, "", True)] for one in ids]

    monkeypatch.setattr(stage, "LocalRollouts", Scripted)
    four = tiny_samples(tmp_path, 4)
    samples = [replace(four[n], turns=(*four[n].turns, *four[n + 1].turns)) for n in (0, 2)]
    with Store(tmp_path / "answers.jsonl", WrittenAnswer) as store:
        write_answers(model, samples, Answers(view="text_only", max_new_tokens=9), store)
    assert [item for item, _ in asked] == ["item-0", "item-2", "item-1"]
    assert "red star" in asked[2][1]
    items, counts = written_items(samples, read_store(tmp_path / "answers.jsonl", WrittenAnswer))
    assert [(item.id, item.answers) for item in items] == [("item-0", ("red star",)), ("item-1", ("two stars",))]
    assert counts == {"kept": 2, EMPTY: 1, BEHIND: 1}


def test_empty_answers_are_dropped_and_cut_ones_kept_as_far_as_they_go(tmp_path):
    samples = tiny_samples(tmp_path, 5)
    answers = [
        WrittenAnswer(item="item-0", text="a red \ufffd", ended=False),
        WrittenAnswer(item="item-1", text="", ended=True), WrittenAnswer(item="item-2", text="two", ended=True),
        WrittenAnswer(item="item-3", text="\ufffd", ended=False), WrittenAnswer(item="item-4", text="", ended=False),
    ]  # fmt: skip
    items, counts = written_items(samples, answers)
    assert [(item.id, item.answers[0], item.meta.get("cut")) for item in items] == [
        ("item-0", "a red", True),
        ("item-2", "two", None),
    ]
    assert counts == {"kept": 2, CUT: 1, EMPTY: 3}


def test_behind_a_cut_answer_nothing_is_asked_or_learned(tmp_path):
    two = tiny_samples(tmp_path, 2)
    sample = replace(two[0], turns=(*two[0].turns, *two[1].turns))
    answers = [WrittenAnswer(item="item-0", text="a red", ended=False)]
    items, counts = written_items([sample], answers)
    assert [item.id for item in items] == ["item-0"]
    assert counts == {"kept": 1, CUT: 1, BEHIND: 1}


@pytest.mark.parametrize("independent", [False, True])
def test_the_layout_of_a_cut_answer_is_the_whole_one_without_its_end(independent, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"], ears=False)
    (sample,) = tiny_samples(tmp_path, 1)
    (turn,) = sample.turns
    cut = replace(turn, item=turn.item.model_copy(update={"meta": {"cut": True}}))
    whole, part = (
        model.layouts.build(replace(sample, turns=(one,), independent=independent), "text_only", answers=True)
        for one in (turn, cut)
    )
    response = [whole.ids[i] for i in whole.response]
    assert response[-1] in model.family.stop_ids
    assert [part.ids[i] for i in part.response] == response[:-1]
    assert part.ids == whole.ids[: whole.response[-1]]
    with pytest.raises(InputError, match="its answer was cut, and other questions follow"):
        model.layouts.build(replace(sample, turns=(cut, turn)), "text_only", answers=True)


ANSWERS = '[answers]\nmax_new_tokens = 8\n[train.own]\ndata = "written"\nterms = [{ type = "logits", weight = 1.0 }]\n'


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[answers]\nmax_new_tokens = 8\n", "", "answers: missing table, which train.own.data = 'written' needs"),
        ("data = \"written\"\n", "", "answers: no training learns from these answers: set data = 'written' in one"),
        ("max_new_tokens = 8", "max_new_tokens = 8\nview = \"image_speech\"", "answers.view"),
    ],
)  # fmt: skip
def test_recipes_that_contradict_themselves_are_refused(old, new, match, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TEXT.replace("[report]\n", "") + ANSWERS)
    loaded = load_recipe(path)
    assert loaded.answers == Answers(max_new_tokens=8)
    keys = {"items", "view", "model", "max_new_tokens", "temperature", "seed", "precision"}
    assert loaded.answers.for_stage().keys() == keys
    assert old in ANSWERS
    path.write_text(TEXT.replace("[report]\n", "") + ANSWERS.replace(old, new))
    with pytest.raises(InputError, match=match):
        load_recipe(path)
