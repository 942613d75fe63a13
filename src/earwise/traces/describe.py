"""A checker that writes down what it hears, once for each sound: a statement holds if it is among these claims.

Nothing is asked twice about a sound, however many chains speak of it, and what a chain leaves out is known, too. It
fits chains of a closed grammar, in which one event can be told in one way only; free text needs `ModelChecker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from earwise.records import NonEmpty, Record
from earwise.traces.checker import Case, Judgement, Word
from earwise.traces.claims import sentences
from earwise.traces.client import Client
from earwise.traces.requests import Message, Request, Response, Sampling, Sound


class Heard(Record):
    """What a checker hears in the sound of an item."""

    item: NonEmpty
    claims: tuple[NonEmpty, ...]

    @property
    def key(self) -> str:
        """The item."""
        return self.item


def plain(claim: str) -> str:
    """`claim` in the form in which claims are compared: lower case, single spaces, no mark at its end."""
    return " ".join(claim.lower().split()).rstrip(" .!;")


def claims_of(reasoning: str) -> tuple[str, ...]:
    """The claims of a chain in the form in which they are compared, each once, in order."""
    return tuple(dict.fromkeys(filter(None, map(plain, sentences(reasoning)))))


def listen(
    client: Client, sounds: Mapping[Path, str], request: str, max_tokens: int
) -> dict[Path, tuple[Response | None, str]]:
    """What a model says when it is asked `request` about each of `sounds`: without randomness, once per sound.

    Args:
        client: the model.
        sounds: what each is called in errors.
        request: what it is asked.
        max_tokens: of an answer.

    Returns the response, and why there is none where it is None.
    """
    sampling = Sampling(max_tokens=max_tokens, temperature=0.0)
    requests = [Request(name, (Message("user", (Sound(path), request)),), sampling) for path, name in sounds.items()]
    completions = client.complete(requests, f"{client.engine.model} listens to {len(sounds)} sounds")
    answered = {}
    for path, completion in zip(sounds, completions, strict=True):
        (response,) = completion.responses
        answered[path] = (response, "" if response else completion.failure or "no answer")
    return answered


class DescribingChecker:
    """An audio language model behind any `Client`, asked to describe; without randomness, once per sound.

    Args:
        client: the model.
        request: what it is asked.
        max_tokens: of a description.
    """

    def __init__(self, client: Client, request: str, max_tokens: int) -> None:
        self.name = client.engine.model
        self._client, self._request, self._max_tokens = client, request, max_tokens
        self._heard: dict[Path, frozenset[str] | str] = {}

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """See `Checker.judge`."""
        self._listen({case.sound: case.id for case in cases})
        return [self._judge(case) for case in cases]

    def claims(self, sounds: Sequence[Path]) -> dict[Path, frozenset[str]]:
        """What is heard in each of `sounds`; those for which there is no answer are not among them."""
        self._listen({sound: sound.name for sound in sounds})
        return {sound: heard for sound in sounds if isinstance(heard := self._heard[sound], frozenset)}

    def _judge(self, case: Case) -> Judgement:
        heard = self._heard[case.sound]
        if isinstance(heard, str):
            return Judgement(Word.FAILED, heard)
        if plain(case.statement) in heard:
            return Judgement(Word.YES, "")
        return Judgement(Word.NO, f"heard: {'; '.join(sorted(heard)) or 'nothing'}")

    def _listen(self, sounds: dict[Path, str]) -> None:
        """Ask about each of `sounds`, named by their values in errors, that is not known yet."""
        asked = {sound: name for sound, name in sounds.items() if sound not in self._heard}
        if not asked:
            return
        answered = listen(self._client, asked, self._request, self._max_tokens)
        for sound, (response, failure) in answered.items():
            self._heard[sound] = frozenset(claims_of(response.text)) if response else failure
