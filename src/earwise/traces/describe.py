"""A checker that transcribes each sound once: a statement holds if it is among these claims.

One request per sound serves all chains about it, and omissions are known, too. This fits chains of a closed grammar
with one expression per event; free text needs `ModelChecker`.
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
    """A checker's transcript of an item's sound."""

    item: NonEmpty
    claims: tuple[NonEmpty, ...]

    @property
    def key(self) -> str:
        """The item."""
        return self.item


def plain(claim: str) -> str:
    """The normal form of a claim for comparison: lower case, single spaces, no final mark."""
    return " ".join(claim.lower().split()).rstrip(" .!;")


def claims_of(reasoning: str) -> tuple[str, ...]:
    """The claims of a chain in normal form, each once, in order."""
    return tuple(dict.fromkeys(filter(None, map(plain, sentences(reasoning)))))


def listen(
    client: Client, sounds: Mapping[Path, str], request: str, max_tokens: int
) -> dict[Path, tuple[Response | None, str]]:
    """A model's greedy answers to `request` about each of `sounds`, once per sound.

    Args:
        client: the model.
        sounds: what each is called in errors.
        request: what it is asked.
        max_tokens: of an answer.

    Returns each response, or None with the reason.
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
    """An audio language model behind any `Client` that describes each sound once, greedily.

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
        """The transcript of each of `sounds`; sounds without an answer are absent."""
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
        """Ask about each of `sounds` without a transcript yet; errors name them by their values."""
        asked = {sound: name for sound, name in sounds.items() if sound not in self._heard}
        if not asked:
            return
        answered = listen(self._client, asked, self._request, self._max_tokens)
        for sound, (response, failure) in answered.items():
            self._heard[sound] = frozenset(claims_of(response.text)) if response else failure
