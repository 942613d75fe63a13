"""Questions out of WordNet, from a few lines in its format."""

import pytest

from earwise.data.items import read_items
from earwise.real import questions
from earwise.real.wordnet import Noun, capitals, common_nouns, opposites

LICENCE = "  1 This software and database is being provided\n"
NOUNS = (
    LICENCE
    + """\
00000001 05 n 02 dog 0 domestic_dog 0 001 @ 00000009 n 0000 | a member of the genus Canis; "the dog barked all night"
00000002 06 n 01 kettle 0 000 | a metal pot for stewing or boiling; usually has a lid
00000003 15 n 01 Minsk 0 001 @i 00000009 n 0000 | the capital of Belarus and of the Commonwealth
00000004 15 n 02 Kabul 0 capital_of_Afghanistan 0 001 @i 00000009 n 0000 | the capital and largest city of Afghanistan
00000005 15 n 01 birmingham 0 001 @i 00000009 n 0000 | the largest city in Alabama
00000006 07 n 01 idea 0 000 | the content of cognition
"""
)
ADJECTIVES = (
    LICENCE
    + """\
00000011 00 a 01 wet 0 001 ! 00000012 a 0101 | covered with water
00000012 00 a 02 dry(a) 0 arid 0 001 ! 00000011 a 0101 | free from liquid
00000013 00 a 01 abaxial 0 001 ! 00000014 a 0101 | facing away
00000014 00 a 01 adaxial 0 001 ! 00000013 a 0101 | nearest
"""
)
INDEX = (
    LICENCE
    + """\
dog n 1 1 @ 1 1 00000001
kettle n 1 0 1 1 00000002
birmingham n 1 1 @i 1 1 00000005
idea n 1 0 1 1 00000006
unused n 1 0 1 0 00000006
"""
)
COUNTS = """\
dog%1:05:00:: 1 42
kettle%1:06:00:: 1 3
birmingham%1:15:00:: 1 1
idea%1:07:00:: 1 3
wet%3:00:00:: 1 5
dry%3:00:00:: 1 6
dry%2:30:00:: 1 9
"""


@pytest.fixture
def wordnet(tmp_path):
    for name, text in (("data.noun", NOUNS), ("data.adj", ADJECTIVES), ("index.noun", INDEX), ("cntlist.rev", COUNTS)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_common_nouns_have_their_kind_and_no_names_are_among_them(wordnet):
    assert common_nouns(wordnet) == [
        Noun("dog", "animal", "a member of the genus Canis", 42),
        Noun("idea", "", "the content of cognition", 3),
        Noun("kettle", "object", "a metal pot for stewing or boiling", 3),
    ]


def test_opposites_are_words_in_use(wordnet):
    assert opposites(wordnet) == [("wet", "dry"), ("dry", "wet")]


def test_capitals_are_those_of_the_glosses(wordnet):
    assert capitals(wordnet) == [("Afghanistan", "Kabul"), ("Belarus", "Minsk")]


def test_training_and_test_share_no_word_and_are_the_same_each_time(wordnet, tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "VALIDATION", 5)
    more = [f"{'abcdefghij'[n % 10] * 3}{'klmno'[n // 10] * 2}" for n in range(50)]
    lines = [f"{100 + n:08} 06 n 01 {word} 0 000 | a thing" for n, word in enumerate(more)]
    (wordnet / "data.noun").write_text(NOUNS + "\n".join(lines) + "\n")
    index = [f"{word} n 1 0 1 1 {100 + n:08}" for n, word in enumerate(more)]
    (wordnet / "index.noun").write_text(INDEX + "\n".join(index) + "\n")
    (wordnet / "cntlist.rev").write_text(COUNTS + "".join(f"{word}%1:06:00:: 1 2\n" for word in more))
    counts = questions.write_questions(wordnet, tmp_path / "one")
    questions.write_questions(wordnet, tmp_path / "two")
    files = {name: read_items(tmp_path / "one" / f"{name}.jsonl") for name in counts}
    assert {name: len(items) for name, items in files.items()} == counts
    tested = {item.cluster for name, items in files.items() if name.startswith("benchmarks/") for item in items}
    trained = {item.cluster for name in ("train", "validation") for item in files[name]}
    assert tested
    assert not tested & trained
    assert {item.instruction for item in files["transcribe"]} == {"Repeat the speech:"}
    assert {item.kind for item in files["train"]} >= {"sum", "capital"}
    for name in counts:
        assert (tmp_path / "one" / f"{name}.jsonl").read_text() == (tmp_path / "two" / f"{name}.jsonl").read_text()
