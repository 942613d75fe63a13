"""Stage `verify`: a checker that passed a test judges by listening whether the teacher is right.

trust.json         the checker's test results, measured before it judges
verdicts.jsonl     its verdicts, one per chain or claim
heard.jsonl        with method `describe`: the claims that it hears in each item's sound
decisions.jsonl    verification, and with `describe` completeness: one line per judged trace
counts.json        kept and dropped by reason, label histograms, tokens and cost
traces_*.jsonl in items/: what training runs learn from
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.recipe.scale import Scale
from earwise.recipe.teach import Verify
from earwise.records import Item, Trace
from earwise.stages.data import data_folder, items_of, sound_of
from earwise.stages.jobs.teach import VerifyJob
from earwise.stages.scale import pool_of
from earwise.stages.taught import labels_items, taught_items, write_taught
from earwise.stages.traces import DECISIONS, RESPONSES, TRACES, in_words, label_counts, spent, write_counts
from earwise.traces.checker import ModelChecker
from earwise.traces.claims import sentences
from earwise.traces.client import Client
from earwise.traces.corruption import Corruption, added, foreign, replaced, swapped
from earwise.traces.describe import DescribingChecker, Heard
from earwise.traces.filtering import Decision, by_completeness, by_verdict, count, kept
from earwise.traces.known import KnownChain
from earwise.traces.opening import open_client, price_of
from earwise.traces.trust import Bar, TrustedVerifier, admit, measure
from earwise.traces.verifier import Chain, Verifier
from earwise.work.job import StageContext
from earwise.work.store import read_jsonl, write_atomic, write_jsonl

VERDICTS, TRUST, HEARD = "verdicts.jsonl", "trust.json", "heard.jsonl"


def work(context: StageContext, job: VerifyJob) -> None:
    """Verify the traces of stage `traces`."""
    items, folder = items_of(context, job.data, job.items), data_folder(context, job.data)
    verify(context, job.verify, context.folder_of(job.drawn), items, folder, job.scale)


def verify(
    context: StageContext,
    settings: Verify,
    drawn: Path,
    items: Sequence[Item],
    folder: Path,
    scale: Scale | None = None,
) -> None:
    """Measure the checker, then let it judge the traces in the folder `drawn`. Raises `InputError` if the checker fails
    its bar; `trust.json` then has the measurements.
    """
    of = {item.id: item for item in items}
    with open_client(settings.checker, context.folder / RESPONSES, pool_of(scale, runs_model=True)) as client:
        checker = _checker(settings, client)
        trusted = _earn_trust(context, settings, checker, folder)
        traces, agreed = _judged(settings, drawn)
        sounds = {item: _sound(of[item], folder) for item in {trace.item for trace in traces}}
        verdicts = by_verdict(traces, sounds, trusted, context.folder / VERDICTS)
        heard = _heard(checker, of, folder) if isinstance(checker, DescribingChecker) else None
    verified = kept(traces, verdicts)
    decisions = {"verification": verdicts}
    files = {"traces_agreed_verified": [trace for trace in verified if trace.key in agreed]}
    if not settings.agreed_only:
        files["traces_verified"] = verified
    if heard is not None:
        write_jsonl(context.folder / HEARD, [Heard(item=item, claims=claims) for item, claims in heard.items()])
        decisions["completeness"] = by_completeness(traces, heard)
        complete = {trace.key for trace in kept(traces, decisions["completeness"])}
        files["traces_complete"] = [trace for trace in files["traces_agreed_verified"] if trace.key in complete]
    write_jsonl(context.folder / DECISIONS, [decision for some in decisions.values() for decision in some])
    for name, some in files.items():
        write_taught(context.folder, name, taught_items(some, of))
    if heard is not None:
        write_taught(context.folder, "distilled_complete", labels_items(files["traces_complete"], of))
    counts: dict[str, Any] = {
        "judged": len(traces),
        **{step: count(some) for step, some in decisions.items()},
        "labels": {
            "judged": label_counts(traces, of),
            **{name: label_counts(some, of) for name, some in files.items()},
        },
        "checker": spent(client, price_of(settings.checker)),
    }
    write_counts(context, counts)
    context.say(f"verify: {', '.join(f'{step}: {in_words(counts[step])}' for step in decisions)}")


def _checker(settings: Verify, client: Client) -> ModelChecker | DescribingChecker:
    if settings.method == "describe":
        return DescribingChecker(client, settings.request, settings.max_tokens)
    return ModelChecker(client, settings.max_tokens)


def _earn_trust(
    context: StageContext, settings: Verify, checker: ModelChecker | DescribingChecker, folder: Path
) -> TrustedVerifier:
    verifier = Verifier(checker, sentences if settings.unit == "claim" else None)
    trust = measure(verifier, _known(_of_data(folder, settings.known)), _corruptions(settings), settings.seed)
    write_atomic(context.folder / TRUST, json.dumps(trust.to_json(), indent=2) + "\n")
    context.say(f"verify: {checker.name}: precision {trust.precision}, recall {trust.recall} on known chains")
    return admit(verifier, trust, Bar(**settings.bar.model_dump()))


def _heard(checker: DescribingChecker, items: Mapping[str, Item], folder: Path) -> dict[str, tuple[str, ...]]:
    """The claims that the checker hears in each item's sound, even without a trace, because a reward can use them."""
    sounds = {name: _sound(item, folder) for name, item in items.items()}
    claims = checker.claims(list(sounds.values()))
    return {name: tuple(sorted(claims[sound])) for name, sound in sounds.items() if sound in claims}


def _sound(item: Item, folder: Path) -> Path:
    if (path := sound_of(item, folder)) is None:
        raise InputError("the item has neither sound nor video for the checker to hear", file=folder, record=item.id)
    return path


def _of_data(folder: Path, name: str) -> Path:
    """The file `name` of the data folder; if there is none, `name` is a path."""
    own = folder / name
    return own if own.is_file() or not Path(name).is_file() else Path(name)


def _known(path: Path) -> list[Chain]:
    return [Chain(one.id, resolve(path.parent, one.audio), one.reasoning) for one in read_jsonl(path, KnownChain)]


def _corruptions(settings: Verify) -> list[Corruption]:
    return [
        *([replaced(settings.words)] if settings.words else []),
        *(swapped(first, second) for first, second in settings.orders),
        *([foreign()] if settings.foreign else []),
        *([added()] if settings.added else []),
    ]


def _judged(settings: Verify, drawn: Path) -> tuple[list[Trace], set[str]]:
    """The traces to judge (those that agree, or all well-formed ones), and the keys of those that agree."""
    decisions = read_jsonl(drawn / DECISIONS, Decision)
    passed = {
        step: {decision.trace for decision in decisions if decision.step == step and decision.kept}
        for step in ("format", "agreement")
    }
    wanted = passed["agreement" if settings.agreed_only else "format"]
    return [trace for trace in read_jsonl(drawn / TRACES, Trace) if trace.key in wanted], passed["agreement"]
