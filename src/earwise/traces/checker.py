"""A checker hears a sound and reads a statement about it: yes or no, with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from earwise.traces.client import Client
from earwise.traces.prompts import checker_messages
from earwise.traces.requests import Request, Sampling, Sound

_YES_NO: Final = re.compile(r"\W*(yes|no)\b[\W_]*(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Case:
    """A statement to be judged against a sound; `id` names it in errors."""

    id: str
    sound: Path
    statement: str


class Word(StrEnum):
    """A checker's decision. Only `YES` lets a statement pass."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"
    """The answer is neither yes nor no."""
    FAILED = "failed"
    """The checker did not answer; the next run asks again."""


@dataclass(frozen=True)
class Judgement:
    """A checker's decision on one case, with its reason."""

    word: Word
    reason: str


class Checker(Protocol):
    """Judges statements against sounds."""

    @property
    def name(self) -> str:
        """Name of the checker, for verdicts."""

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """One judgement for each case, in order."""


class CallableChecker:
    """A function as a checker, for a laboratory with known sounds."""

    def __init__(self, name: str, function: Callable[[Case], Judgement]) -> None:
        self.name = name
        self._function = function

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """See `Checker.judge`."""
        return [self._function(case) for case in cases]


class ModelChecker:
    """An audio language model behind any `Client` as a checker. It is asked greedily, once per case."""

    def __init__(self, client: Client, max_tokens: int = 64) -> None:
        self.name = client.engine.model
        self._client = client
        self._sampling = Sampling(max_tokens=max_tokens, temperature=0.0)

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """See `Checker.judge`. Raises `InputError` for a missing sound."""
        requests = [
            Request(case.id, checker_messages(Sound(case.sound), case.statement), self._sampling) for case in cases
        ]
        judgements = []
        for completion in self._client.complete(requests, f"checking with {self.name}"):
            (response,) = completion.responses
            if response is None:
                judgements.append(Judgement(Word.FAILED, completion.failure or "no answer"))
            else:
                judgements.append(read_judgement(response.text))
        return judgements


def read_judgement(text: str) -> Judgement:
    """A reply that begins with yes or no, the rest of it being the reason. Anything else is unclear, never a guess."""
    found = _YES_NO.fullmatch(text.strip())
    if found is None:
        return Judgement(Word.UNCLEAR, f"neither yes nor no: {text.strip()[:80]}")
    return Judgement(Word(found[1].lower()), " ".join(found[2].split()))
