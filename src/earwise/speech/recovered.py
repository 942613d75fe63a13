"""Comparison of a spoken form with the transcript of its clip: word errors, and loss of decisive words.

Both sides pass through Whisper's English normaliser, which writes numbers as digits. Spelled letters and single digits
are joined, so that `B X, seven, four` equals `BX 74`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import jiwer
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from earwise.data.written_forms import one_form
from earwise.speech.spoken_form import spoken_form

Kind = Literal["numbers", "letters", "quotes"]

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_LETTER: Final = re.compile(r"\boption ([a-z])\b")
_SPELLED: Final = re.compile(r"\b[a-z](?: [a-z])+\b|\b\d+(?: \d+)+\b")
_QUOTED: Final = re.compile(r"\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|(?<!\w)'([^']+)'(?!\w)")


@dataclass(frozen=True)
class Recovery:
    """The result of a round trip: the word errors, and the kinds of decisive words that were lost."""

    errors: int
    words: int
    lost: tuple[Kind, ...]

    @property
    def wer(self) -> float:
        """Word error rate; may exceed 1."""
        return self.errors / self.words


class RoundTrip:
    """Compares spoken forms with transcripts.

    Args:
        spelling: British to American spelling, from a Whisper checkpoint; may be empty.
    """

    def __init__(self, spelling: Mapping[str, str]) -> None:
        self._normalise = EnglishTextNormalizer(dict(spelling))

    def words(self, text: str) -> str:
        """Normalised words with single spaces."""
        return " ".join(self._normalise(one_form(text)).split())

    def compare(self, question: str, spoken: str, heard: str) -> Recovery:
        """Compare the spoken form of `question` with the transcript `heard`, also for its quoted strings."""
        said, back = self.words(spoken), self.words(heard)
        reference, hypothesis = _joined(said), _joined(back)
        # A sign alone has a spoken form without a word; everything heard is then an error.
        count = jiwer.process_words(reference or "-", hypothesis)
        errors = count.substitutions + count.deletions + count.insertions
        lost: list[Kind] = []
        if not Counter(_NUMBER.findall(reference)) <= Counter(_NUMBER.findall(hypothesis)):
            lost.append("numbers")
        if set(_LETTER.findall(said)) - set(_LETTER.findall(back)):
            lost.append("letters")
        if any(_holds(said, quote) and not _holds(back, quote) for quote in self._quotes(question)):
            lost.append("quotes")
        return Recovery(errors, max(1, len(reference.split())), tuple(lost))

    def _quotes(self, question: str) -> list[str]:
        """The normalised words of each quoted string, as spoken."""
        quoted = ["".join(groups) for groups in _QUOTED.findall(question)]
        return [words for text in quoted if (words := self.words(spoken_form(text).text))]


def _joined(words: str) -> str:
    return _SPELLED.sub(lambda run: run.group().replace(" ", ""), words)


def _holds(text: str, quote: str) -> bool:
    """Whether whole words of `text` are `quote`, apart from spaces."""
    wanted, words = quote.replace(" ", ""), text.split()
    return any(_begins(words[start:], wanted) for start in range(len(words)))


def _begins(words: Sequence[str], wanted: str) -> bool:
    joined = ""
    for word in words:
        joined += word
        if len(joined) >= len(wanted):
            break
    return joined == wanted
