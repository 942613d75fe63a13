"""Stages `traces` and `verify`: a teacher reasons about silent videos, and a checker hears whether it is right.

stages/traces/responses.jsonl    every answer of the teacher, as it came
stages/traces/traces.jsonl       the same, taken apart
stages/traces/decisions.jsonl    format and agreement: one line for each trace, kept or dropped and why
stages/verify/trust.json         how good the checker is, measured before it judged
stages/verify/verdicts.jsonl     its verdicts, one per chain or claim
stages/verify/decisions.jsonl    verification: one line for each trace that was judged
stages/*/counts.json             kept and dropped by reason, label histograms, tokens and cost
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from earwise.data.media import resolve
from earwise.data.video import FrameChoice, frame_files, sound_file
from earwise.errors import InputError
from earwise.records import Item, Trace
from earwise.run import StageContext
from earwise.store import read_jsonl, write_atomic, write_jsonl
from earwise.traces.agreement import majority, unanimous
from earwise.traces.checker import ModelChecker
from earwise.traces.claims import sentences
from earwise.traces.client import Client, Price
from earwise.traces.corruption import Corruption, added, foreign, replaced, swapped
from earwise.traces.filtering import Decision, Rule, answer_of, by_agreement, by_format, by_verdict, count, kept
from earwise.traces.known import KnownChain
from earwise.traces.opening import open_client, price_of
from earwise.traces.prompts import teacher_messages
from earwise.traces.requests import Frames, Message, Sampling
from earwise.traces.sampling import draw_traces
from earwise.traces.trust import Bar, admit, measure
from earwise.traces.verifier import Chain, Verifier
from earwise.traces_settings import Traces, Verify

NAME, VERIFY = "traces", "verify"
RESPONSES, TRACES, DECISIONS, COUNTS = "responses.jsonl", "traces.jsonl", "decisions.jsonl", "counts.json"
VERDICTS, TRUST = "verdicts.jsonl", "trust.json"
_TOLD: Final = 3
"""Requests that failed which are named in the output; all of them are in `counts.json`."""


def draw(context: StageContext, settings: Traces, items: Sequence[Item], folder: Path) -> None:
    """Draw n traces of each of `items`, whose media are in `folder`, and decide by format and agreement."""
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.seed)
    prompt = partial(_silent, settings=settings, folder=folder)
    with open_client(settings.teacher, context.folder / RESPONSES) as client:
        traces, failed = draw_traces(client, items, prompt, "video_text", settings.n, sampling)
    write_jsonl(context.folder / TRACES, traces)
    of = {item.id: item for item in items}
    form = by_format(traces, of)
    agreement = by_agreement(traces, of, _rule(settings), settings.n)
    write_jsonl(context.folder / DECISIONS, [*form, *agreement])
    counts: dict[str, Any] = {
        "items": len(items),
        "traces": len(traces),
        "format": count(form),
        "agreement": count(agreement),
        "labels": {"all": _labels(traces, of), "agreed": _labels(kept(traces, agreement), of)},
        "failed": failed,
        "teacher": _spent(client, price_of(settings.teacher)),
    }
    _write(context, counts)
    context.say(f"traces: {_in_words(counts['format'])} by format, {_in_words(counts['agreement'])} by agreement")
    _tell_failed(context, failed)


def verify(context: StageContext, settings: Verify, drawn: Path, items: Sequence[Item], folder: Path) -> None:
    """Measure the checker, then let it judge the traces in the folder `drawn`.

    Raises `InputError` if the checker fails its bar; what was measured is then in `trust.json`.
    """
    of = {item.id: item for item in items}
    with open_client(settings.checker, context.folder / RESPONSES) as client:
        checker = ModelChecker(client, settings.max_tokens)
        verifier = Verifier(checker, sentences if settings.unit == "claim" else None)
        trust = measure(verifier, _known(folder / settings.known), _corruptions(settings), settings.seed)
        write_atomic(context.folder / TRUST, json.dumps(trust.to_json(), indent=2) + "\n")
        context.say(f"verify: {checker.name}: precision {trust.precision}, recall {trust.recall} on known chains")
        trusted = admit(verifier, trust, Bar(**settings.bar.model_dump()))
        traces = _judged(settings, drawn)
        sounds = {item: _sound(of[item], folder) for item in {trace.item for trace in traces}}
        decisions = by_verdict(traces, sounds, trusted, context.folder / VERDICTS)
    write_jsonl(context.folder / DECISIONS, decisions)
    counts: dict[str, Any] = {
        "judged": len(traces),
        "verification": count(decisions),
        "labels": {"judged": _labels(traces, of), "verified": _labels(kept(traces, decisions), of)},
        "checker": _spent(client, price_of(settings.checker)),
    }
    _write(context, counts)
    context.say(f"verify: {_in_words(counts['verification'])}")


def _silent(item: Item, settings: Traces, folder: Path) -> tuple[Message, ...]:
    if item.video is None:
        raise InputError("the item has no video for the teacher to watch", file=folder, record=item.id)
    frames = frame_files(resolve(folder, item.video), FrameChoice(**settings.frames.model_dump()))
    return teacher_messages(item, Frames(tuple(frames)))


def _sound(item: Item, folder: Path) -> Path:
    """The item's own sound file, or the sound of its video."""
    if item.audio is not None:
        return resolve(folder, item.audio)
    if item.video is None:
        raise InputError("the item has neither sound nor video for the checker to hear", file=folder, record=item.id)
    return sound_file(resolve(folder, item.video))


def _rule(settings: Traces) -> Rule:
    return unanimous if settings.threshold is None else partial(majority, threshold=settings.threshold)


def _known(path: Path) -> list[Chain]:
    return [Chain(one.id, resolve(path.parent, one.audio), one.reasoning) for one in read_jsonl(path, KnownChain)]


def _corruptions(settings: Verify) -> list[Corruption]:
    return [
        *([replaced(settings.words)] if settings.words else []),
        *(swapped(first, second) for first, second in settings.orders),
        *([foreign()] if settings.foreign else []),
        *([added()] if settings.added else []),
    ]


def _judged(settings: Verify, drawn: Path) -> list[Trace]:
    """The traces that are judged: those that agree, or all well-formed ones."""
    step = "agreement" if settings.agreed_only else "format"
    decisions = read_jsonl(drawn / DECISIONS, Decision)
    wanted = {decision.trace for decision in decisions if decision.step == step and decision.kept}
    return [trace for trace in read_jsonl(drawn / TRACES, Trace) if trace.key in wanted]


def _labels(traces: Sequence[Trace], items: dict[str, Item]) -> dict[str, int]:
    """How often each answer is given, most frequent first: filters shift this, because more claims fail more often."""
    answers = (answer_of(trace, items[trace.item]) for trace in traces)
    return dict(Counter(answer for answer in answers if answer is not None).most_common())


def _spent(client: Client, price: Price) -> dict[str, Any]:
    tally = client.tally
    return {
        "prompt_tokens": tally.prompt_tokens,
        "completion_tokens": tally.completion_tokens,
        "cost": round(tally.cost(price), 4),
        "retries": dict(tally.retries),
        "failed": dict(tally.failed),
    }


def _write(context: StageContext, counts: dict[str, Any]) -> None:
    write_atomic(context.folder / COUNTS, json.dumps(counts, indent=2, ensure_ascii=False) + "\n")


def _tell_failed(context: StageContext, failed: dict[str, str]) -> None:
    for item, reason in list(failed.items())[:_TOLD]:
        context.say(f"traces: {item} has no full set of samples: {reason}")
    if len(failed) > _TOLD:
        context.say(f"traces: and {len(failed) - _TOLD} more, all in {COUNTS}")


def _in_words(counts: dict[str, int]) -> str:
    """`kept 12, dropped 4 (the samples give different answers 4)`."""
    why = {reason: number for reason, number in counts.items() if reason != "kept"}
    listed = ", ".join(f"{reason} {number}" for reason, number in why.items())
    return f"kept {counts['kept']}, dropped {sum(why.values())}{f' ({listed})' if listed else ''}"
