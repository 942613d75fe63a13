"""Multiple choice (RealWorldQA, MMAlign): which option letter an answer says, or None.

None is never replaced by a guess: on a two-way choice a random fallback would turn unparsed answers into 50 %.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.errors import InputError

Parser = Callable[[str, Sequence[str], str], str | None]
"""Of a prediction, the option texts in order (may be empty) and the allowed letters; gives the letter or None."""

_ABCD: Final = "ABCD"
_ALONE: Final = re.compile(
    r"\W*(?:(?:the |my )?(?:correct |right |best )?(?:option|choice|answer)\b(?: is)?\W*)*([a-z])\W*", re.IGNORECASE
)
_FIRST: Final = re.compile(
    r"[^\w\s]*(?:(?:option|choice|answer)\W+)*([a-z])(?:[.):\]*,]+(?=\s|$)|\s+[-–:]\s)", re.IGNORECASE
)
_DECLARED: Final = re.compile(
    r"(?i:\b(?:answer|option|choice)\s*(?:is\b|[:=])|\bi (?:choose|pick|select)\b)"
    r"\s*(?i:(?:option|choice)\s+)?[^\w\s]*([A-Z])(?![\w'’])"
)
# "A dog" has an article, "I think" a pronoun; "A is right", "A or B" and "option A shows" have a letter.
_FREE: Final = re.compile(
    r"(?i:\b(?:option|choice)\s+)([A-Z])\b"
    r"|(?<![\w'’-])([AI](?! (?!(?:is|as|or|and|but|because|since)\b)[a-z])|[B-HJ-Z])(?![\w'’-])"
)
_LONE_CAPITAL: Final = re.compile(r"(?<![\w'’-])[A-Z](?![\w'’-])")
_OWN_MARK: Final = re.compile(r"\W*[A-Z][.:)]")
_WORD: Final = re.compile(r"[$€£]?\w[\w.'’-]*\w%?|[$€£]?\w%?")


def parse_strict(prediction: str, choices: Sequence[str], letters: str) -> str | None:
    """Earwise's rule: a letter in any usual writing, or an option in words. The first of these that applies decides.

    1. The answer is a letter and nothing else: `b`, `A.`, `(A)`, `option a`, `The answer is B`.
    2. It is the text of exactly one option, without regard to case, space and outer marks.
    3. It starts with a marked letter: `B. Right`, `(A) the dog`, `a) the dog`.
    4. It declares one letter: `The correct answer is **C**. Here is why: A is wrong`. Two different ones are None.
    5. Exactly one capital option letter stands free in it (the article of `A dog` does not). Two are None.
    6. It holds the text of exactly one option in whole words, texts within a longer matching text not counted.

    For 3 to 5, a letter inside the text of an option is none: `The key is C major` has no C where C major is an option.
    """
    text = prediction.strip()
    if letter := _captured(_ALONE.fullmatch(text), letters):
        return letter
    plain = _plain(text)
    if letter := _only(letters[place] for place, choice in enumerate(choices) if _plain(choice) == plain):
        return letter
    lettered = _lettered_texts(tuple(choices))
    rest = text if lettered is None else lettered.sub("text", text)
    if letter := _captured(_FIRST.match(rest), letters):
        return letter
    for pattern in (_DECLARED, _FREE):
        named = [letter for match in pattern.finditer(rest) if (letter := _captured(match, letters))]
        if named:
            return _only(named)
    return _only(_texts_within(text, choices, letters))


def scorer(parse: Parser) -> Callable[[Sequence[str], str, Sequence[str]], float | None]:
    """A scorer that compares the letter `parse` finds with the gold one (a letter, or the text of a choice).

    Without choices a gold answer A to D allows these four letters; any other gold is an open answer (a number, a word)
    and compared as text, without regard to case, outer space and a final full stop.
    """

    def score_choice(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        gold = golds[0].strip()
        if not choices and gold not in tuple(_ABCD):
            return float(prediction.lower().strip().rstrip(".") == gold.lower().rstrip("."))
        right = gold_letter(gold, choices) if choices else gold
        if right is None:
            raise InputError(f"the gold answer {gold!r} is not among the choices {list(choices)}")
        answer = parse(prediction, choices, LETTERS[: len(choices)] if choices else _ABCD)
        return None if answer is None else float(answer == right)

    return score_choice


def _captured(match: re.Match[str] | None, letters: str) -> str | None:
    letter = next((group for group in match.groups() if group), "").upper() if match else ""
    return letter if letter and letter in letters else None


def _only(letters: Iterable[str]) -> str | None:
    different = set(letters)
    return different.pop() if len(different) == 1 else None


@lru_cache(maxsize=65536)
def _plain(text: str) -> str:
    """Without letter case and outer marks, unless there is nothing else: an option may be `*`."""
    words = " ".join(text.casefold().split())
    return words.strip(" .,;:!?\"'“”’*()[]") or words


@lru_cache(maxsize=4096)
def _lettered_texts(choices: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds the options that hold a single capital among other words; not those that begin with a mark (`B. Right`)."""
    texts = [" ".join(choice.split()) for choice in choices]
    held = [text for text in texts if " " in text and _LONE_CAPITAL.search(text) and not _OWN_MARK.match(text)]
    if not held:
        return None
    longest_first = "|".join(re.escape(text) for text in sorted(held, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=65536)
def _spaced_words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _texts_within(text: str, choices: Sequence[str], letters: str) -> list[str]:
    words = _spaced_words(text)
    present = {
        letter: spaced
        for letter, choice in zip(letters, choices, strict=True)
        if (spaced := _spaced_words(choice)).strip() and spaced in words
    }
    return [
        letter
        for letter, spaced in present.items()
        if not any(spaced != other and spaced in other for other in present.values())
    ]
