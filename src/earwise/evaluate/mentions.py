"""Replaces each option that an answer mentions, by letter or in words, with a sign.

`(A) is wrong, so the dog` becomes a text with two signs, which `multiple_choice` interprets. A letter inside an
option's text is not a letter: `The key is C major` does not name option C if C major is option B.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

# Private-use code points, to which the option's place is added; no answer contains them.
_WORDS, _MARKED, _FREE = 0xE000, 0xE020, 0xE040
IN_WORDS: Final = "\ue000-\ue01f"
MARKED: Final = "\ue020-\ue03f"
FREE: Final = "\ue040-\ue05f"
SIGN: Final = f"[{IN_WORDS}{MARKED}{FREE}]"
"""Regular expression for a sign: an option in words, its letter with a mark (`(A)`, `A:`), its letter alone."""

_OWN_SIGN: Final = re.compile("[\ue000-\ue05f]")
_EAST_ASIAN: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_JOINT: Final = re.compile(f"(?<=[{_EAST_ASIAN}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_EAST_ASIAN}])")
_OWN_MARK: Final = re.compile(r"\s*\(?[A-Z][.:)]+\s+(?=\S)")
_WORD: Final = re.compile(r"[$€£]?\w[\w.'’-]*\w%?|[$€£]?\w%?")
_BEFORE: Final = r"(?<![\w$€£])(?<!\w[.'’-])"
_AFTER: Final = r"(?![\w%])(?![.'’-]\w)"

_FREE_START: Final = r"(?<![\w'’-])"
_MARKED_LETTER: Final = re.compile(
    r"[(\[]\**([A-Za-z])\**[)\]]|\*\*([A-Za-z])\*\*"  # (A) [A] **A**
    rf"|{_FREE_START}([A-Za-z])(?:\)|(?=:\s))"  # A) A:
    rf"|(?:^|(?<=[.!?;]\s)|(?<=[{IN_WORDS}]\s)){_FREE_START}([A-Z])(?=\.(?:\s|$))|{_FREE_START}([A-Z])(?=\.\s+[{IN_WORDS}])"
    r"|^([a-z])(?=\.\s)|(?<=\boption )([a-z])\b|(?:(?<=\banswer is )|(?<=\banswer: ))([a-z])\b(?!['’ ]\w)",
    re.MULTILINE,
)
# "A dog" has an article, "I think" a pronoun; "A is right", "A or B" and "option A shows" have a letter.
_FREE_LETTER: Final = re.compile(
    r"(?i:\b(?:option|choice)\s+)([A-Z])\b"
    rf"|{_FREE_START}([AI](?! (?!(?:is|as|or|and|but|because|since)\b)[a-z{IN_WORDS}])|[B-HJ-Z])(?![\w'’-])"
)


def with_signs(text: str, choices: Sequence[str], letters: str) -> str:
    """`text` with a sign, in spaces, for each mention of `choices` in words and of `letters`. The longest text wins an
    overlap, and a letter followed by its own text is one mention. An option that is a single letter counts as words
    only if it is not one of `letters` (a chord G beside the options A to D).
    """
    text = _spaced(_with_words(plain_letters(_OWN_SIGN.sub(" ", text)), choices, letters))
    text = _MARKED_LETTER.sub(_letter_sign(_MARKED, letters), text)
    text = _spaced(_FREE_LETTER.sub(_letter_sign(_FREE, letters), text))
    return re.sub(rf"([{MARKED}{FREE}])[\s.:,*-]*([{IN_WORDS}])", _one_mention, text)


def place_of(sign: str) -> int:
    """The place, from 0, of a sign's option."""
    return ord(sign) % 32


def plain_letters(text: str) -> str:
    """Full-width letters and marks in their usual form, with a space between Latin and East Asian letters."""
    return text if text.isascii() else _JOINT.sub(" ", unicodedata.normalize("NFKC", text))


def _spaced(text: str) -> str:
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _letter_sign(kind: int, letters: str) -> Callable[[re.Match[str]], str]:
    def sign(found: re.Match[str]) -> str:
        place = letters.find(found[found.lastindex or 0].upper())
        return found[0] if place < 0 else f" {chr(kind + place)} "

    return sign


def _one_mention(found: re.Match[str]) -> str:
    return found[1] if place_of(found[1]) == place_of(found[2]) else found[0]


def _with_words(text: str, choices: Sequence[str], letters: str) -> str:
    pattern, places = _texts(tuple(choices), letters)
    if pattern is None:
        return text
    return pattern.sub(lambda found: f" {chr(_WORDS + places[(found.lastindex or 1) - 1])} ", text)


@lru_cache(maxsize=4096)
def _texts(choices: tuple[str, ...], letters: str) -> tuple[re.Pattern[str] | None, list[int]]:
    """A pattern for options in words, with one group per option, and the place of each group's option."""
    found = sorted(_text_patterns(choices, letters), key=lambda one: -len(one[1]))
    if not found:
        return None, []
    return re.compile("|".join(f"({pattern})" for _, pattern in found), re.IGNORECASE), [place for place, _ in found]


def _text_patterns(choices: Sequence[str], letters: str) -> Iterator[tuple[int, str]]:
    texts = [plain_letters(_OWN_MARK.sub("", choice, count=1)).strip() for choice in choices]
    words = [tuple(_WORD.findall(text.lower())) for text in texts]
    counts = Counter(words)
    for place, (text, said) in enumerate(zip(texts, words, strict=True)):
        if len(text) == 1 and text.isalpha():
            if text.upper() not in letters:
                yield place, f"{_BEFORE}(?-i:{text}){_AFTER}"
        elif (counts[said] == 1 and len("".join(said)) > 1) or text.isdigit():
            yield place, _BEFORE + r"[^\w]+".join(map(re.escape, said)) + _AFTER
        elif said:  # `C#` beside `C`, `A:maj` beside `A#:maj`: the marks tell them apart
            yield place, r"(?<!\w)" + r"\s+".join(map(re.escape, text.split())) + r"(?!\w)"
