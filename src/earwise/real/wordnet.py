"""What the questions need of WordNet: common nouns with their kinds, pairs of opposites, and capitals.

The files are those of WordNet 3.0 (wndb(5WN), cntlist(5WN)): a line per synset, with an offset, the number of its
lexicographer file, its words, pointers to other synsets, and a gloss behind `|`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwise.io.files import read_text

KINDS: Final = {"05": "animal", "06": "object", "13": "food", "18": "person", "20": "plant"}
"""Lexicographer files of nouns, and what they hold in one word."""
_WORD: Final = re.compile(r"[a-z]{3,12}")
_CAPITAL: Final = re.compile(
    r"(?:the )?capital(?: and largest city)? of (?:the )?([A-Z][a-z]+(?: [A-Z][a-z]+)?)(?=[ ;,]|$)"
)
_OPPOSITE: Final = "!"
_INSTANCE: Final = "@i"
"""Pointers: to an antonym, and from a single thing (a city, a person) to what it is one of."""
_NOUN: Final = "1"
_ADJECTIVE: Final = "3"
"""Parts of speech in keys of senses."""


@dataclass(frozen=True)
class Noun:
    """A noun, the kind of thing that its most frequent sense is (empty if it is none of `KINDS`), and its gloss."""

    word: str
    kind: str
    gloss: str
    uses: int
    """How often its senses stand in the tagged texts."""


@dataclass(frozen=True)
class _Synset:
    offset: str
    file: str
    words: tuple[str, ...]
    pointers: tuple[str, ...]
    gloss: str


def common_nouns(folder: Path) -> list[Noun]:
    """Nouns of one word in small letters that stand in the tagged texts, most frequent first."""
    uses, synsets = _uses(folder, _NOUN), {one.offset: one for one in _synsets(folder / "data.noun")}
    found = []
    for line in read_text(folder / "index.noun").splitlines():
        word, *rest = line.split(" ")
        if uses[word] and _WORD.fullmatch(word):
            # The offsets of its senses stand at the end, the most frequent one first; their number stands second.
            first = synsets[[one for one in rest if one][-int(rest[1])]]
            if _INSTANCE not in first.pointers:
                found.append(Noun(word, KINDS.get(first.file, ""), _short(first.gloss), uses[word]))
    return sorted(found, key=lambda noun: (-noun.uses, noun.word))


def opposites(folder: Path) -> list[tuple[str, str]]:
    """Adjectives that stand in the tagged texts with their antonym, both of one word, in the order of the file."""
    uses = _uses(folder, _ADJECTIVE)
    synsets = {one.offset: one for one in _synsets(folder / "data.adj")}
    found: dict[str, str] = {}
    for one in synsets.values():
        for symbol, offset, _, places in zip(*[iter(one.pointers)] * 4, strict=False):
            if symbol == _OPPOSITE:
                mine, theirs = int(places[:2], 16), int(places[2:], 16)
                word, other = one.words[mine - 1], synsets[offset].words[theirs - 1]
                if uses[word] and _WORD.fullmatch(word) and _WORD.fullmatch(other):
                    found.setdefault(word, other)
    return list(found.items())


def capitals(folder: Path) -> list[tuple[str, str]]:
    """Countries (and other lands) with their capital."""
    found: dict[str, str] = {}
    for one in _synsets(folder / "data.noun"):
        if one.file == "15" and (match := _CAPITAL.match(one.gloss)):
            found.setdefault(match[1], one.words[0].replace("_", " "))
    return sorted(found.items())


def _synsets(path: Path) -> Iterator[_Synset]:
    for line in read_text(path).splitlines():
        if line.startswith(" "):  # the licence
            continue
        data, _, gloss = line.partition(" | ")
        offset, file, _, count, *rest = data.split()
        words = tuple(re.sub(r"\(.*\)$", "", word) for word in rest[: 2 * int(count, 16) : 2])
        yield _Synset(offset, file, words, tuple(rest[2 * int(count, 16) + 1 :]), gloss.strip())


def _uses(folder: Path, part: str) -> Counter[str]:
    """How often each word of one part of speech stands in the tagged texts."""
    uses: Counter[str] = Counter()
    for line in read_text(folder / "cntlist.rev").splitlines():
        key, _, count = line.split(" ")
        word, _, sense = key.partition("%")
        if sense.startswith(f"{part}:"):
            uses[word] += int(count)
    return uses


def _short(gloss: str) -> str:
    """The definition of a gloss, without its examples."""
    return re.split(r"; \"|; ", gloss)[0].strip()
