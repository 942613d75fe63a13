"""n reasoned answers per item, as `Trace` records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earwise.records import Item, Trace, View
from earwise.traces.client import Client
from earwise.traces.format import parse
from earwise.traces.requests import Completion, Message, Request, Sampling

Prompt = Callable[[Item], tuple[Message, ...]]
"""Messages of an item under the view: `prompts.teacher_messages` with its frames, or `student_messages`."""


def draw_traces(
    client: Client, items: Sequence[Item], prompt: Prompt, view: View, n: int, sampling: Sampling
) -> tuple[list[Trace], dict[str, str]]:
    """The traces of all items, and by item id the reason for missing samples."""
    requests = [Request(item.id, prompt(item), sampling, n) for item in items]
    traces: list[Trace] = []
    failed = {}
    for completion in client.complete(requests, f"reasoning about {len(items)} items"):
        traces += to_traces(completion, client.engine.model, view)
        if completion.failure is not None:
            failed[completion.request.id] = completion.failure
    return traces, failed


def to_traces(completion: Completion, model: str, view: View) -> list[Trace]:
    """A trace for each sample that was answered, well formed or not; the request's id is the item's."""
    traces = []
    for response in completion.responses:
        if response is None:
            continue
        parsed = parse(response.text)
        traces.append(
            Trace(
                item=completion.request.id,
                model=model,
                view=view,
                sample=response.sample,
                text=response.text,
                outcome=parsed.outcome.value,
                reasoning=parsed.reasoning,
                answer=parsed.answer,
                finish_reason=response.finish_reason,
            )
        )
    return traces
