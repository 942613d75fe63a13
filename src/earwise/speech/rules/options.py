"""Answer options: every way of writing them becomes `Option A: ...`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from earwise.data.choices import option_letters

_HEADING: Final = re.compile(
    r"(?i)(?:\A|(?<=[\s.?!:]))(?:options|choices|answer choices)\s*:\s*(?=\(?A[).:]|Option A:)"
)
_BRACKETED: Final = re.compile(r"(?<![\w)])\(([A-Z])\)\s*|(?<![\w(])([A-Z])\)\s+")
_DOTTED_LINE: Final = re.compile(r"(?:\A|(?<=\n))[ \t]*([A-Z])[.:][ \t]+")
_INLINE: Final = re.compile(r"(?<=[.?!:;,\s])(?<!Option )([A-Z])[.:] ")
_SINGLE: Final = re.compile(r"\(([A-Z])\)")
_OWN_MARK: Final = "^\\s*(?:\\({0}\\)|{0}[.:)])\\s*(?=\\S)"


def say_options(question: str) -> str:
    """Options inside a question: `(A) red (B) blue`, `A) red B) blue` and lines that start with `A. ` or `A: `.

    They are options only if A, B, ... stand in order, at least two of them; a single `(A)` is the letter.
    """
    question = _HEADING.sub("", question)
    for pattern in (_BRACKETED, _DOTTED_LINE, _INLINE):
        marks = list(pattern.finditer(question))
        letters = [mark[1] or mark[mark.re.groups] for mark in marks]
        if len(marks) >= 2 and letters == [chr(ord("A") + place) for place in range(len(marks))]:
            return _with_options(question, marks, letters)
    return _SINGLE.sub(r" \1 ", question)


def _with_options(question: str, marks: list[re.Match[str]], letters: list[str]) -> str:
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    texts = [question[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    return join_options(question[: marks[0].start()], letters, texts)


def join_options(question: str, letters: Sequence[str], texts: Sequence[str]) -> str:
    """`question` and its options as sentences, so that a speaker pauses between them."""
    said = [f"Option {letter}: {sentence(text)}" for letter, text in zip(letters, texts, strict=True)]
    return " ".join(part for part in (sentence(question), *said) if part)


def add_choices(question: str, choices: Sequence[str]) -> str:
    """`question` followed by `choices` as options."""
    return join_options(question, option_letters(choices), choices)


def without_own_marks(choices: Sequence[str]) -> list[str]:
    """`choices` without the `A.` or `(A)` that some files write before the text of the first, and so on."""
    pairs = zip(option_letters(choices), choices, strict=True)
    return [re.sub(_OWN_MARK.format(letter), "", choice) for letter, choice in pairs]


def sentence(text: str) -> str:
    """`text` stripped, with a full stop if it does not end with a mark; empty if there is nothing in it."""
    text = text.strip().rstrip(",;")
    return text if not text or text.endswith((".", "?", "!", ":")) else f"{text}."
