"""An engine that answers from a script: for tests, and for rehearsing a pipeline without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from earwise.traces.engine import Ask, Draw, Event, Failure
from earwise.traces.requests import Request

Script = Callable[[Request, int], str | None]
"""Maps a request and a sample's index to the answer, or to None for a failure."""


class ScriptedEngine:
    """Answers what `script` says; `asked` holds every sample that was drawn, as (request id, sample)."""

    def __init__(self, script: Script, model: str = "scripted") -> None:
        self.model = model
        self.asked: list[tuple[str, int]] = []
        self._script = script

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """See `Engine.answer`; tokens are words."""
        for ask in asks:
            for sample in ask.samples:
                self.asked.append((ask.request.id, sample))
                text = self._script(ask.request, sample)
                if text is None:
                    yield Failure(ask.key, (sample,), "the script has no answer")
                else:
                    yield Draw(ask.key, sample, text, "stop", completion_tokens=len(text.split()))
