"""`Client.complete` answers requests by any engine. Each answer is stored: none is requested twice or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from earwise.traces.engine import Ask, Draw, Engine, Event, Failure, Retry
from earwise.traces.requests import Completion, Request, Response, response_key
from earwise.work.progress import Ticker
from earwise.work.store import Store

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """A server's prices of a million tokens, in one currency."""

    prompt: float = 0.0
    completion: float = 0.0


@dataclass
class Tally:
    """Usage of the answers: those drawn now, those found in the store, and failed calls."""

    drawn: int = 0
    reused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Samples without an answer, by reason."""
    retries: Counter[str] = field(default_factory=Counter)
    """Repeated calls, by reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, price: Price) -> float:
        """Price of all counted tokens, in the currency of `price`."""
        return (self.prompt_tokens * price.prompt + self.completion_tokens * price.completion) / _MILLION

    def count_tokens(self, of: Response | Draw | Retry) -> None:
        """Add the tokens of one answer or call."""
        self.prompt_tokens += of.prompt_tokens
        self.completion_tokens += of.completion_tokens


class Client:
    """An engine with a store of its answers. Use it as a context manager, with one process at a time per store.

    Every answer is appended when it arrives, so a killed process loses only requests in progress. Samples that the
    engine gave up on are not stored: the next run asks for them again.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.tally = Tally()
        self._store = Store(path, Response)
        self._held = {response.key: response for response in self._store}

    def complete(self, requests: Sequence[Request], what: str = "") -> list[Completion]:
        """Answer all `requests`, in their order. Equal requests are asked once; `what` names the progress line.

        Raises `InputError` for a missing media file and for an engine that cannot work.
        """
        keys = [request.key(self.engine.model) for request in requests]
        asks = self._missing(keys, requests)
        reasons: dict[str, str] = {}
        total = sum(len(ask.samples) for ask in asks)
        if asks:
            with Ticker(total, what or f"asking {self.engine.model}") as progress:
                done = 0
                for event in self.engine.answer(asks):
                    done += self._take(event, reasons)
                    progress(done)
        return [self._completion(key, request, reasons) for key, request in zip(keys, requests, strict=True)]

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _missing(self, keys: Sequence[str], requests: Sequence[Request]) -> list[Ask]:
        """Samples that are not in the store, each request once with the largest n; stored samples are counted."""
        most: dict[str, Request] = {}
        for key, request in zip(keys, requests, strict=True):
            if key not in most or request.n > most[key].n:
                most[key] = request
        asks = []
        for key, request in most.items():
            held = [self._held.get(response_key(key, sample)) for sample in range(request.n)]
            for response in filter(None, held):
                self.tally.reused += 1
                self.tally.count_tokens(response)
            if missing := tuple(sample for sample, response in enumerate(held) if response is None):
                asks.append(Ask(key, request, missing))
        return asks

    def _take(self, event: Event, reasons: dict[str, str]) -> int:
        """Record an event; returns how many samples it settles."""
        if isinstance(event, Failure):
            reasons[event.key] = event.reason
            self.tally.failed[event.reason] += len(event.samples)
            return len(event.samples)
        self.tally.count_tokens(event)
        if isinstance(event, Retry):
            self.tally.retries[event.reason] += 1
            return 0
        response = Response(
            request=event.key,
            sample=event.sample,
            text=event.text,
            finish_reason=event.finish_reason,
            logprobs=event.logprobs,
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
        )
        self._store.append(response)
        self._held[response.key] = response
        self.tally.drawn += 1
        return 1

    def _completion(self, key: str, request: Request, reasons: dict[str, str]) -> Completion:
        responses = tuple(self._held.get(response_key(key, sample)) for sample in range(request.n))
        return Completion(request, responses, reasons.get(key) if None in responses else None)
