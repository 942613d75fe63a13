import random

from earwise.models import Sample, Turn
from earwise.records import Item
from earwise.stages.base import _stretched


def copy_of(text):
    item = Item(id="1", source="transcribe", question=text, answers=("what color",), cluster="1")
    return Sample((Turn(item, text),))


def test_drawn_out_words_stay_in_order_and_within_the_limit():
    [turn] = _stretched(copy_of("What color?"), 3, random.Random(1)).turns
    words = turn.text.split()
    assert words == sorted(words, key=["what", "color"].index)
    assert {words.count("what"), words.count("color")} <= {1, 2, 3}
    assert turn.item.answers == ("what color",)


def test_every_length_is_drawn():
    lengths = {len(_stretched(copy_of("What color?"), 2, random.Random(n)).turns[0].text.split()) for n in range(40)}
    assert lengths == {2, 3, 4}


def test_without_stretch_a_text_stays_as_it_is():
    sample = copy_of("What color?")
    assert _stretched(sample, 1, random.Random(0)) is sample
