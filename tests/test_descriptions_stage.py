"""Sounds as text: by a model that is asked once, by a caption, by transcript and tags; and what is left out."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from chat_server import ChatServer, reply
from pydantic import TypeAdapter
from test_data_cota import GOOD
from tiny import tiny_samples

from earwise.data.descriptions import read_descriptions
from earwise.data.media import save_wav
from earwise.errors import InputError
from earwise.planning.compile import Compiler
from earwise.planning.descriptions import planned_descriptions
from earwise.recipe.data import FolderData
from earwise.recipe.read import load_recipe
from earwise.recipe.teach import ByModel, Descriptions
from earwise.records import Item
from earwise.stages.descriptions import describe, described, with_descriptions
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.stages.media import check_described


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        save_wav(data / f"{name}.wav", (rng.standard_normal(800) * 0.1).astype(np.float32))
    return data


def item(name, sound=None, answer="x", **meta):
    return Item(id=name, source="own", question="What?", answers=(answer,), cluster=name, audio=sound, meta=meta)


def context(folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    return SimpleNamespace(folder=folder, say=lines.append, lines=lines)


def settings(**given):
    """The job of item file `train` with these settings."""
    own = TypeAdapter(Descriptions).validate_python(given)
    return DescriptionsJob(data=DataJob(source=FolderData(source="folder", path="own")), file="train", settings_of=own)


def by_model(url, **given):
    return settings(by="model", model={"type": "server", "base_url": url, "model": "m"}, **given)


def texts(stage):
    return read_descriptions(stage.folder / "descriptions.jsonl")


def left_out(stage):
    return json.loads((stage.folder / "left_out.json").read_text())


def test_a_model_is_asked_greedily_once_for_each_sound_and_not_told_the_question(folder, tmp_path):
    items = [item("1", "a.wav"), item("2", "b.wav"), item("3", "a.wav"), item("4")]
    stage, tested = context(tmp_path / "stage/train"), context(tmp_path / "stage/benchmarks/own")
    said = iter([" A dog barks. ", "Rain.", "A bell."])
    with ChatServer(lambda _: reply(next(said))) as chat:
        job = by_model(chat.url, request="What is heard?", max_tokens=9)
        own = replace(job, file="benchmarks/own")
        describe(stage, job, items, folder)
        describe(tested, own, [item("1", "c.wav")], folder)
        bodies = [body for _, body, _ in chat.requests]
        describe(stage, job, items, folder)
        describe(tested, own, [item("1", "c.wav")], folder)
        assert len(chat.requests) == len(bodies) == 3
    assert {(body["temperature"], body["max_tokens"]) for body in bodies} == {(0.0, 9)}
    asked = [part["text"] for body in bodies for part in body["messages"][0]["content"] if part["type"] == "text"]
    assert asked == ["What is heard?"] * 3
    train = texts(stage)
    assert train.keys() == {"1", "2", "3"}
    assert train["1"] == train["3"] != train["2"]
    assert {train["1"], train["2"], *texts(tested).values()} == {"A dog barks.", "Rain.", "A bell."}
    assert left_out(stage) == {"4": "the item has no sound"}
    counts = json.loads((stage.folder / "counts.json").read_text())
    assert (counts["described"], counts["left_out"]) == (3, {"the item has no sound": 1})
    assert counts["model"]["sounds"] == 2
    counts = json.loads((tested.folder / "counts.json").read_text())
    assert (counts["described"], counts["left_out"], counts["model"]["sounds"]) == (1, {}, 1)


def test_the_caption_of_a_chain_describes_its_sound(folder, tmp_path):
    stage = context(tmp_path / "stage")
    broken = GOOD.replace("</CAPTION>", "")
    describe(stage, settings(by="caption"), [item("1", "a.wav", GOOD), item("2", "b.wav", broken)], folder)
    assert texts(stage) == {"1": "A dog barks\ntwice."}
    assert left_out(stage) == {"2": "no caption: a block is opened and not closed"}
    assert stage.lines == [
        "descriptions: train: 1 sound is described, 1 left out (no caption: a block is opened and not closed 1)"
    ]


def test_transcript_and_tags_describe_a_sound(folder, tmp_path):
    stage = context(tmp_path / "stage")
    some = [
        item("1", words="stop it ", tags=["angry", "loud"]),
        item("2", tags="rain"),
        item("3", words="go", tags=None),
        item("4", words=" "),
    ]
    describe(stage, settings(by="meta", transcript="words"), some, folder)
    assert texts(stage) == {
        "1": 'Speech: "stop it"\nSounds: angry, loud', "2": "Sounds: rain", "3": 'Speech: "go"'
    }  # fmt: skip
    assert left_out(stage) == {"4": "neither transcript nor tags"}
    with pytest.raises(InputError, match="'tags' a text or a list of texts") as error:
        describe(stage, settings(by="meta"), [item("5", tags=[1])], folder)
    assert error.value.record == "5"


def test_a_file_of_which_nothing_is_described_ends_the_run(folder, tmp_path):
    stage = context(tmp_path / "stage")
    with pytest.raises(InputError, match=r"no sound of 'train' could be described.*no caption: a block is not there 1"):
        describe(stage, settings(by="caption"), [item("1", "a.wav")], folder)


def test_samples_without_a_description_are_left_out_and_counted(tmp_path):
    path = tmp_path / "descriptions.jsonl"
    path.write_text('{"item": "item-0", "text": "rain", "source": "a model"}\n')
    samples, lines = tiny_samples(tmp_path, 2), []
    (shown,) = with_descriptions(samples, path, {"item-1": "the model said nothing"}, lines.append)
    assert shown.turns[0].description == "rain"
    assert lines == ["items without a description: 1 left out (the model said nothing 1)"]
    with pytest.raises(InputError, match="no item has a description"):
        with_descriptions(samples, path, {"item-0": "x", "item-1": "x"}, lines.append)
    with pytest.raises(InputError, match="no description of this item"):
        with_descriptions(samples, path, {"item-7": "x"})


RECIPE = """
name = "described"
[data]
source = "corpora"
benchmarks = "b"
[data.train]
parts = [{ format = "items", path = "x.jsonl" }]
[model]
base = "b"
ears = { encoder = "native" }
[training]
steps = 1
batch_size = 1
lr = 1e-3
[train.t]
start = "base"
view = "sound_text"
terms = [{ type = "logits", weight = 1.0, teacher = "t", view = "description_text" }]
"""


def test_without_a_stage_benchmarks_bring_descriptions_of_their_own(tmp_path):
    path, data = tmp_path / "recipe.toml", tmp_path / "data"
    path.write_text(
        RECIPE.replace('source = "corpora"', f'source = "folder"\npath = "{data}"')
        .replace('benchmarks = "b"', "")
        .partition("[data.train]")[0]
        + '[model]\nbase = "b"\nears = { encoder = "native" }\n[evaluate]\nbenchmarks = ["own"]\nbatch_size = 1\n'
        'views = ["description_text"]\nmax_new_tokens = 1\n'
    )
    made, folder = Compiler(load_recipe(path)), data / "benchmarks"
    assert made.media.bring_descriptions
    assert made.media.shown[0].views == {"evaluate.views": ("description_text",)}
    (asked,) = made.asked_benchmarks()
    folder.mkdir(parents=True)
    samples = tiny_samples(tmp_path, 2)
    items = [sample.turns[0].item for sample in samples]
    stage = SimpleNamespace(folder_of=lambda _: tmp_path)
    with pytest.raises(InputError, match=r"benchmarks/descriptions\.jsonl"):
        check_described(items, folder)
    lines = [{"item": one.id, "text": f"sound of {one.id}", "source": "own"} for one in items]
    (folder / "descriptions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    check_described(items, folder)
    shown = described(stage, asked.descriptions, samples, folder)
    assert [sample.turns[0].description for sample in shown] == ["sound of item-0", "sound of item-1"]
    with pytest.raises(InputError, match="no description of this item") as error:
        check_described([*items, item("other")], folder)
    assert error.value.record == "other"


def test_a_training_that_shows_descriptions_needs_its_item_file_described(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    with pytest.raises(InputError, match=r"descriptions: missing table, which train.t needs for description_text"):
        load_recipe(path)
    with pytest.raises(InputError, match=r"descriptions.items: 'train' is not among them, and train.t shows its"):
        load_recipe(path, ['descriptions={by="caption", items=["validation"]}'])
    assert load_recipe(path, ['descriptions={by="caption"}']).descriptions.items == ("train",)
    asked = load_recipe(path, ['descriptions={by="model", model={type="local", model="m"}, max_tokens=5}'])
    assert isinstance(asked.descriptions, ByModel)
    lines = []
    (sample,) = planned_descriptions(asked, tiny_samples(tmp_path, 1), tmp_path, lines.append)
    assert sample.turns[0].description == "sound sound sound sound sound"
    assert lines == ["no sound is described yet: texts of 5 words stand for descriptions"]
