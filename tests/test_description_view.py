"""The sound as text: where a description stands, and what happens without one."""

from dataclasses import replace

import pytest
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.errors import InputError
from earwise.models import Sample

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
