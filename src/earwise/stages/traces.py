"""Stage `traces`: a teacher reasons about silent videos; only answers on which its samples agree are kept.

responses.jsonl    every answer of the teacher
traces.jsonl       the parsed answers
decisions.jsonl    format and agreement: one line per trace, kept or dropped and why
counts.json        kept and dropped by reason, label histograms, tokens and cost
distilled.jsonl, traces_*.jsonl in items/: what training runs learn from (`earwise.stages.taught`)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from earwise.data.media import resolve
from earwise.data.video import FrameChoice, frame_files
from earwise.errors import InputError, about
from earwise.recipe.scale import Scale
from earwise.recipe.teach import Traces
from earwise.records import Item, Trace
from earwise.stages.data import data_folder, items_of
from earwise.stages.jobs.teach import TracesJob
from earwise.stages.scale import pool_of
from earwise.stages.taught import labels_items, taught_items, write_taught
from earwise.traces.agreement import majority, unanimous
from earwise.traces.client import Client, Price
from earwise.traces.filtering import Rule, answer_of, by_agreement, by_format, count, kept
from earwise.traces.opening import open_client, price_of
from earwise.traces.prompts import teacher_messages
from earwise.traces.requests import Frames, Message, Sampling
from earwise.traces.sampling import draw_traces
from earwise.work.job import StageContext
from earwise.work.store import write_atomic, write_jsonl

RESPONSES, TRACES, DECISIONS, COUNTS = "responses.jsonl", "traces.jsonl", "decisions.jsonl", "counts.json"
_TOLD: Final = 3
"""Failed requests named in the output; `counts.json` has all of them."""


def work(context: StageContext, job: TracesJob) -> None:
    """Draw the teacher's traces and filter them."""
    items, folder = items_of(context, job.data, job.traces.items), data_folder(context, job.data)
    draw(context, job.traces, items, folder, job.scale)


def draw(
    context: StageContext, settings: Traces, items: Sequence[Item], folder: Path, scale: Scale | None = None
) -> None:
    """Sample n traces of each of `items`, whose media are in `folder`, and filter them by format and agreement."""
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.seed)
    prompt = partial(_silent, settings=settings, folder=folder)
    with open_client(settings.teacher, context.folder / RESPONSES, pool_of(scale, runs_model=True)) as client:
        traces, failed = draw_traces(client, items, prompt, "video_text", settings.n, sampling)
    write_jsonl(context.folder / TRACES, traces)
    of = {item.id: item for item in items}
    form = by_format(traces, of)
    agreement = by_agreement(traces, of, _rule(settings), settings.n)
    write_jsonl(context.folder / DECISIONS, [*form, *agreement])
    agreed = kept(traces, agreement)
    write_taught(context.folder, "distilled", labels_items(agreed, of))
    write_taught(context.folder, "traces", taught_items(kept(traces, form), of))
    write_taught(context.folder, "traces_agreed", taught_items(agreed, of))
    counts: dict[str, Any] = {
        "items": len(items),
        "traces": len(traces),
        "format": count(form),
        "agreement": count(agreement),
        "labels": {"all": label_counts(traces, of), "agreed": label_counts(agreed, of)},
        "failed": failed,
        "teacher": spent(client, price_of(settings.teacher)),
    }
    write_counts(context, counts)
    context.say(f"traces: {in_words(counts['format'])} by format, {in_words(counts['agreement'])} by agreement")
    _tell_failed(context, failed)


def _silent(item: Item, settings: Traces, folder: Path) -> tuple[Message, ...]:
    if item.video is None:
        raise InputError("the item has no video for the teacher to watch", file=folder, record=item.id)
    with about(item.id):
        frames = frame_files(resolve(folder, item.video), FrameChoice(**settings.frames.model_dump()))
    return teacher_messages(item, Frames(tuple(frames)), settings.system, settings.request)


def _rule(settings: Traces) -> Rule:
    return unanimous if settings.threshold is None else partial(majority, threshold=settings.threshold)


def label_counts(traces: Sequence[Trace], items: Mapping[str, Item]) -> dict[str, int]:
    """How often each answer is given, most frequent first. Filters change this, because more claims fail more often.
    Answers to items with choices are counted by the choice's text: letters are distributed evenly on purpose.
    """
    counted: Counter[str] = Counter()
    for trace in traces:
        item, answer = items[trace.item], answer_of(trace, items[trace.item])
        if answer is not None:
            counted[item.choices[ord(answer) - ord("A")] if item.choices else answer] += 1
    return dict(counted.most_common())


def spent(client: Client, price: Price) -> dict[str, Any]:
    """Tokens, cost, retries and failures of a client."""
    tally = client.tally
    return {
        "prompt_tokens": tally.prompt_tokens,
        "completion_tokens": tally.completion_tokens,
        "cost": round(tally.cost(price), 4),
        "retries": dict(tally.retries),
        "failed": dict(tally.failed),
    }


def write_counts(context: StageContext, counts: dict[str, Any]) -> None:
    """Write `counts.json`."""
    write_atomic(context.folder / COUNTS, json.dumps(counts, indent=2, ensure_ascii=False) + "\n")


def _tell_failed(context: StageContext, failed: dict[str, str]) -> None:
    for item, reason in list(failed.items())[:_TOLD]:
        context.say(f"traces: {item} has no full set of samples: {reason}")
    if len(failed) > _TOLD:
        context.say(f"traces: and {len(failed) - _TOLD} more, all in {COUNTS}")


def in_words(counts: Mapping[str, int]) -> str:
    """`kept 12, dropped 4 (the samples give different answers 4)`."""
    why = {reason: number for reason, number in counts.items() if reason != "kept"}
    listed = ", ".join(f"{reason} {number}" for reason, number in why.items())
    return f"kept {counts['kept']}, dropped {sum(why.values())}{f' ({listed})' if listed else ''}"
