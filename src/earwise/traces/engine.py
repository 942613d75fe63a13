"""What an engine of generation is: it is given what to ask, and gives back events as they happen, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from earwise.traces.requests import Request


@dataclass(frozen=True)
class Ask:
    """Samples of one request that are still to be drawn."""

    key: str
    """Of the request."""
    request: Request
    samples: tuple[int, ...]
    """Numbers of the samples, rising."""


@dataclass(frozen=True)
class Draw:
    """One sample of an answer. Tokens are those of the call, at its first sample; see `Response`."""

    key: str
    sample: int
    text: str
    finish_reason: str
    logprobs: tuple[float, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Retry:
    """A call that brought nothing usable and is made again; the tokens it cost all the same."""

    reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Failure:
    """The engine gives up on some samples of a request."""

    key: str
    samples: tuple[int, ...]
    reason: str


Event = Draw | Retry | Failure


class Engine(Protocol):
    """Draws samples. Every sample that is asked for ends in exactly one `Draw` or is named in one `Failure`."""

    @property
    def model(self) -> str:
        """What the answers depend on besides the request: part of their key. Never an address or a secret."""

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`. Raises `InputError` when no request could ever succeed (no server, no model)."""


def alike(asks: Sequence[Ask], size: int) -> Iterator[list[Ask]]:
    """Runs of at most `size` asks that are drawn in the same way, in order: what a model can take at once."""
    for _, some in groupby(asks, key=lambda ask: ask.request.sampling):
        same = list(some)
        for start in range(0, len(same), size):
            yield same[start : start + size]
