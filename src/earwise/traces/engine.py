"""The interface of engines of generation: requests in, events out as they happen, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from earwise.traces.requests import Request


@dataclass(frozen=True)
class Ask:
    """The missing samples of one request."""

    key: str
    """Of the request."""
    request: Request
    samples: tuple[int, ...]
    """Indices of the samples, rising."""


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
    """A failed call that is repeated, with the tokens it used."""

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
    """Draws samples. Every requested sample ends in exactly one `Draw` or is named in one `Failure`."""

    @property
    def model(self) -> str:
        """Identity of the model, a part of the answers' key. Never an address or a secret."""

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`. Raises `InputError` when no request could ever succeed (no server, no model)."""


def alike(asks: Sequence[Ask], size: int) -> Iterator[list[Ask]]:
    """Batches of at most `size` consecutive asks with equal sampling parameters."""
    for _, some in groupby(asks, key=lambda ask: ask.request.sampling):
        same = list(some)
        for start in range(0, len(same), size):
            yield same[start : start + size]
