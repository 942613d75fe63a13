"""Copies of a local model, one per worker, as one engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from earwise.traces.engine import Ask, Engine, Event, alike
from earwise.work.parallel import Workers


class Replicas:
    """Answers as the engine that `make` opens does, with one copy of it in each worker; see `Engine`.

    Prompts that one engine would put through the model together stay together, so that the answers are its answers.

    Args:
        make: opens the engine; must be picklable.
        name: the engine's `model`, known without opening one.
        batch_size: prompts that go through the model together.
        workers: where the copies are.
    """

    def __init__(self, make: Callable[[], Engine], name: str, batch_size: int, workers: Workers) -> None:
        self.model = name
        self._make, self._batch_size, self._workers = make, batch_size, workers

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`, in order. Raises what an engine raises."""
        batches = list(alike(asks, self._batch_size))
        for events in self._workers.map(partial(_open, self._make), batches, chunk=1):
            yield from events


class _Answerer:
    """Maps a batch of asks to all its events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, asks: Sequence[Ask]) -> list[Event]:
        return list(self._engine.answer(asks))


def _open(make: Callable[[], Engine]) -> _Answerer:
    return _Answerer(make())
