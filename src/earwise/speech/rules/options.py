"""Answer options: every notation becomes `Option A: ...`."""

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
_JOINT: Final = re.compile(r"[\s,;]+(?:or|and)\s*\Z")
_SINGLE: Final = re.compile(r"\(([A-Z])\)")
_OWN_MARK: Final = "^\\s*(?:\\({0}\\)|{0}[.:)])\\s*(?=\\S)"


def say_options(question: str) -> str:
    """Find options inside a question: `(A) red (B) blue`, `A) red B) blue` and lines that start with `A. ` or `A: `.

    There must be at least two, in order, each with a text ("Is (A) above (B)?" has none); any other `(A)` is a letter.
    """
    question = _HEADING.sub("", question)
    for pattern in (_BRACKETED, _DOTTED_LINE, _INLINE):
        head, *pairs = _split(question, pattern)
        letters, texts = [letter for letter, _ in pairs], [text for _, text in pairs]
        in_order = letters == [chr(ord("A") + place) for place in range(len(pairs))]
        if len(pairs) >= 2 and in_order and all(any(char.isalnum() for char in text) for text in texts):
            return join_options(head[1], letters, texts)
    return _SINGLE.sub(r" \1 ", question)


def _split(question: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Letter and text of each option that `pattern` finds, after the text before them with an empty letter."""
    marks = list(pattern.finditer(question))
    letters = ["", *(mark[1] or mark[mark.re.groups] for mark in marks)]
    starts, ends = [0, *(mark.end() for mark in marks)], [*(mark.start() for mark in marks), len(question)]
    texts = [question[start:end] for start, end in zip(starts, ends, strict=True)]
    return [(letter, _JOINT.sub("", text) if letter else text) for letter, text in zip(letters, texts, strict=True)]


def join_options(question: str, letters: Sequence[str], texts: Sequence[str]) -> str:
    """`question` and its options as sentences, so that engines pause between them."""
    said = [f"Option {letter}: {sentence(text)}" for letter, text in zip(letters, texts, strict=True)]
    return " ".join(part for part in (sentence(question), *said) if part)


def add_choices(question: str, choices: Sequence[str]) -> str:
    """`question` followed by `choices` as options."""
    return join_options(question, option_letters(choices), choices)


def without_own_marks(choices: Sequence[str]) -> list[str]:
    """`choices` without the `A.` or `(A)` that some files write before them."""
    pairs = zip(option_letters(choices), choices, strict=True)
    return [re.sub(_OWN_MARK.format(letter), "", choice) for letter, choice in pairs]


def sentence(text: str) -> str:
    """`text` stripped, with a full stop if it has no end mark; empty text stays empty."""
    text = text.strip().rstrip(",;")
    return text if not text or text.endswith((".", "?", "!", ":")) else f"{text}."
