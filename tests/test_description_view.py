"""The sound as text: where a description stands, and what happens without one."""

import json
from dataclasses import replace

import pytest
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.errors import InputError
from earwise.models import Sample
from earwise.stages.descriptions import with_descriptions

DESCRIPTION = "two red stars and a circle"


def described(folder, count=2, text=DESCRIPTION):
    samples = tiny_samples(folder, count)
    return [
        Sample(tuple(replace(turn, description=text, clip=None, num_samples=0) for turn in sample.turns))
        for sample in samples
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_description_stands_before_the_question_and_changes_nothing_else(family, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints[family])
    sample = described(tmp_path)[0]
    shown, bare = (model.layouts.build(sample, view, answers=True) for view in ("description_text", "text_only"))
    (span,) = [span for span in shown.spans if span.role == "description"]
    assert [span.role for span in shown.spans] == ["system", "description", "query", "template", "response"]
    assert model.family.tokenizer.decode(shown.ids[span.start : span.stop]) == DESCRIPTION
    assert shown.ids[: span.start] + shown.ids[span.stop :] == bare.ids
    assert shown.media == ()


def test_the_first_turns_description_serves_the_whole_conversation(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"], ears=False)
    first, second = (sample.turns[0] for sample in described(tmp_path))
    layout = model.layouts.build(Sample((first, second)), "description_text", answers=True)
    assert [span.role for span in layout.spans].count("description") == 1
    assert layout.spans[1].role == "description"


@pytest.mark.parametrize("text", [None, ""])
def test_an_item_without_a_description_is_named(text, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"], ears=False)
    with pytest.raises(InputError, match="the item has no description") as error:
        model.layouts.build(described(tmp_path, text=text)[0], "description_text", answers=True)
    assert error.value.record == "item-0"


def test_descriptions_come_from_a_file_by_item(tmp_path):
    lines = [{"item": f"item-{n}", "text": f"sound {n}", "source": "a model, greedily"} for n in (1, 0)]
    path = tmp_path / "descriptions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    samples = tiny_samples(tmp_path, 3)
    assert [s.turns[0].description for s in with_descriptions(samples[:2], path)] == ["sound 0", "sound 1"]
    with pytest.raises(InputError, match="no description of this item") as error:
        with_descriptions(samples, path)
    assert (error.value.record, error.value.file) == ("item-2", path)


def test_an_item_that_is_described_twice_is_an_error(tmp_path):
    path = tmp_path / "descriptions.jsonl"
    path.write_text('{"item": "a", "text": "x", "source": "y"}\n' * 2)
    with pytest.raises(InputError, match="already on line 1"):
        with_descriptions([], path)
