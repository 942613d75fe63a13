"""Questions for a text model: about nouns, opposites, numbers, capitals and kinds of things, from WordNet.

Training, validation and test share no noun, adjective, country or pair of numbers. Free questions need no gold answer,
as the typed view teaches; their `answers` hold the noun's gloss, which nothing learns from or is scored by.

    train.jsonl, validation.jsonl, transcribe.jsonl
    benchmarks/free.jsonl, benchmarks/short.jsonl
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from earwise.real.wordnet import Noun, capitals, common_nouns, opposites
from earwise.records import Item
from earwise.work.store import write_atomic

INSTRUCTION: Final = "Repeat the speech:"
NOUNS: Final = 2_500
"""The most frequent ones."""
TEST_FREE, TEST_SHORT, VALIDATION = 300, 300, 200
_STRINGS: Final = 4_000
_STRING_WORDS: Final = 6
"""Strings of words to transcribe, beside the training questions."""
_FREE: Final = (
    ("define", "What is {a}?"), ("define", "What does the word {} mean?"), ("define", "Explain the word {}."),
    ("use", "Use the word {} in a sentence."), ("use", "Write a sentence about {a}."),
    ("fact", "Tell me something about {a}."), ("fact", "What do you know about {a}?"),
    ("place", "Where would you find {a}?"), ("place", "When would somebody need {a}?"),
    ("compare", "Is {a} larger than a house?"), ("compare", "What is {a} similar to?"),
)  # fmt: skip
_FREE_KINDS: Final = frozenset(kind for kind, _ in _FREE)
_OPPOSITES: Final = ("What is the opposite of {}?", "Which word means the opposite of {}?")
_SUMS: Final = ("What is {} plus {}?", "How much is {} and {}?")
_CAPITALS: Final = ("What is the capital of {}?", "Which city is the capital of {}?")
_KINDS: Final = "Is {a} an animal, a plant, a person, a kind of food or an object?"
_SEED: Final = 17

Question = tuple[str, str, str, str]
"""Kind, word that it is about, text, answer."""


def write_questions(wordnet: Path, folder: Path) -> dict[str, int]:
    """Write the item files from the folder of WordNet's data files; returns the number of items of each."""
    rng = random.Random(_SEED)
    nouns = common_nouns(wordnet)[:NOUNS]
    train, test = _split([*_free(nouns, rng), *_short(wordnet, nouns, rng)], rng)
    free_test, short_test = ([one for one in test if (one[0] in _FREE_KINDS) == free] for free in (True, False))
    questions = [one[2] for one in train[VALIDATION:]]
    words = sorted({word for kind, word, _, _ in train if kind in _FREE_KINDS})
    files = {
        "validation": _items("validation", train[:VALIDATION]),
        "train": _items("train", train[VALIDATION:]),
        "transcribe": list(_transcribe(questions, words, rng)),
        "benchmarks/free": _items("free", free_test[:TEST_FREE]),
        "benchmarks/short": _items("short", short_test[:TEST_SHORT]),
    }
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    for name, items in files.items():
        write_atomic(folder / f"{name}.jsonl", "".join(f"{item.to_json()}\n" for item in items))
    return {name: len(items) for name, items in files.items()}


def _split(questions: Sequence[Question], rng: random.Random) -> tuple[list[Question], list[Question]]:
    """Training and test, which share no word: a tenth of the words is tested, in a random order of questions."""
    words = sorted({word for _, word, _, _ in questions})
    tested = set(rng.sample(words, len(words) // 10))
    mixed = rng.sample(questions, len(questions))
    return [one for one in mixed if one[1] not in tested], [one for one in mixed if one[1] in tested]


def _free(nouns: Iterable[Noun], rng: random.Random) -> Iterator[Question]:
    """Two questions about each noun."""
    for noun in nouns:
        for kind, template in rng.sample(_FREE, 2):
            yield kind, noun.word, _asked(template, noun.word), noun.gloss


def _short(wordnet: Path, nouns: Iterable[Noun], rng: random.Random) -> Iterator[Question]:
    """Questions with one short answer that is known."""
    for word, other in opposites(wordnet):
        yield "opposite", word, rng.choice(_OPPOSITES).format(word), other
    for a in range(2, 26):
        for b in range(2, 26):
            yield "sum", f"{a} {b}", rng.choice(_SUMS).format(a, b), str(a + b)
    for country, city in capitals(wordnet):
        for template in _CAPITALS:
            yield "capital", country, template.format(country), city
    for noun in nouns:
        if noun.kind:
            yield "kind", noun.word, _asked(_KINDS, noun.word), noun.kind


def _asked(template: str, word: str) -> str:
    return template.format(word, a=f"{'an' if word[0] in 'aeiou' else 'a'} {word}")


def _items(source: str, questions: Sequence[Question]) -> list[Item]:
    return [
        Item(id=f"{source}-{n}", source=source, question=text, answers=(answer,), cluster=word, kind=kind)
        for n, (kind, word, text, answer) in enumerate(questions)
    ]


def _transcribe(questions: Sequence[str], words: Sequence[str], rng: random.Random) -> Iterator[Item]:
    """Training questions and strings of training words, to be written down."""
    strings = [" ".join(rng.choices(words, k=rng.randint(1, _STRING_WORDS))) for _ in range(_STRINGS)]
    for n, text in enumerate([*questions, *strings]):
        yield Item(
            id=f"transcribe-{n}", source="transcribe", question=text, answers=(text,), cluster=str(n),
            instruction=INSTRUCTION,
        )  # fmt: skip
