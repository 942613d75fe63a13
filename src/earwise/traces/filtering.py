"""Filters of traces, with a reason for each dropped trace. Filters delete nothing.

Each filter gives one `Decision` for every trace it gets. The next filter gets the kept traces; traces and decisions
stay on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from earwise.errors import InputError
from earwise.records import Item, NonEmpty, Record, Trace, Verdict
from earwise.traces.agreement import Agreement, canonical
from earwise.traces.checker import Judgement, Word
from earwise.traces.describe import claims_of
from earwise.traces.format import Outcome
from earwise.traces.trust import TrustedVerifier
from earwise.traces.verifier import SAID, Chain, Ruling, Verifier
from earwise.work.store import Store

Step = Literal["format", "agreement", "verification", "completeness"]
Rule = Callable[[Sequence[str | None]], Agreement]
"""Of the canonical answers of all n samples of an item, None where there is none: `agreement.unanimous`, `majority`."""

NO_CHOICE: Final = "the answer names no choice"
OUTVOTED: Final = "the answer is not the one agreed on"
OMITS: Final = "something that the checker hears is left out"


class Decision(Record):
    """A filter's decision on a trace; `reason` is empty for a kept trace."""

    trace: NonEmpty
    step: Step
    kept: bool
    reason: str = ""

    @property
    def key(self) -> str:
        """Trace and step."""
        return f"{self.trace}|{self.step}"


def by_format(traces: Sequence[Trace], items: Mapping[str, Item]) -> list[Decision]:
    """Keeps well-formed traces with a parsable answer."""
    return [_decision(trace, "format", _format_fault(trace, items[trace.item])) for trace in traces]


def by_agreement(traces: Sequence[Trace], items: Mapping[str, Item], rule: Rule, n: int) -> list[Decision]:
    """Keeps the traces with the agreed answer, of items whose n samples agree.

    A sample that is malformed or was never answered has no answer, and counts among the n. Raises `InputError` for an
    item with more than n samples.
    """
    answers: dict[str, list[str | None]] = {}
    for trace in traces:
        answers.setdefault(trace.item, []).append(answer_of(trace, items[trace.item]))
    agreed = {}
    for item, some in answers.items():
        if len(some) > n:
            raise InputError(f"{len(some)} samples, where {n} were to be drawn", record=item)
        agreed[item] = rule([*some, *[None] * (n - len(some))])
    return [
        _decision(trace, "agreement", _agreement_fault(trace, items[trace.item], agreed[trace.item]))
        for trace in traces
    ]


def by_verdict(
    traces: Sequence[Trace], sounds: Mapping[str, Path], trusted: TrustedVerifier, path: Path
) -> list[Decision]:
    """Keeps well-formed traces whose claims the checker confirms. `sounds` holds the sound of each item.

    Verdicts are appended to the store at `path`; stored verdicts are not requested again. Missing answers of the
    checker are not stored. `verifier` must have earned trust.
    """
    chains = {
        trace.key: Chain(trace.key, sounds[trace.item], trace.reasoning)
        for trace in traces
        if trace.reasoning is not None
    }
    with Store(path, Verdict) as store:
        known = {verdict.key: verdict for verdict in store}
        rulings = {key: ruling for key, chain in chains.items() if (ruling := _known(chain, trusted.verifier, known))}
        for ruling in trusted.verifier.judge([chain for key, chain in chains.items() if key not in rulings]):
            rulings[ruling.chain] = ruling
            for verdict in _verdicts(ruling, trusted.verifier):
                if verdict.key not in store:
                    store.append(verdict)
    return [
        _decision(trace, "verification", rulings[trace.key].reason if trace.key in rulings else _malformed(trace))
        for trace in traces
    ]


def by_completeness(traces: Sequence[Trace], heard: Mapping[str, Collection[str]]) -> list[Decision]:
    """Keeps traces without an omission, compared with the checker's transcript of their item's sound.

    A checker of claims accepts omissions, because an omission is no claim. `heard` holds the claims by item, in the
    form of `describe.plain`.
    """
    return [_decision(trace, "completeness", _omission(trace, heard)) for trace in traces]


def kept(traces: Sequence[Trace], decisions: Sequence[Decision]) -> list[Trace]:
    """The traces kept by `decisions`, which has one decision per trace, in the same order."""
    return [trace for trace, decision in zip(traces, decisions, strict=True) if decision.kept]


def count(decisions: Sequence[Decision]) -> dict[str, int]:
    """How many traces were kept, and how many dropped for each reason, most frequent first."""
    dropped = Counter(decision.reason for decision in decisions if not decision.kept)
    return {"kept": sum(decision.kept for decision in decisions), **dict(dropped.most_common())}


def answer_of(trace: Trace, item: Item) -> str | None:
    """The canonical answer of a trace, or None if it is malformed or names no choice."""
    return None if trace.answer is None else canonical(trace.answer, item.choices)


def _format_fault(trace: Trace, item: Item) -> str:
    if trace.outcome != Outcome.OK:
        return _malformed(trace)
    return "" if answer_of(trace, item) is not None else NO_CHOICE


def _omission(trace: Trace, heard: Mapping[str, Collection[str]]) -> str:
    if trace.reasoning is None:
        return _malformed(trace)
    if trace.item not in heard:
        return SAID[Word.FAILED]
    return "" if {*heard[trace.item]} <= {*claims_of(trace.reasoning)} else OMITS


def _agreement_fault(trace: Trace, item: Item, agreed: Agreement) -> str:
    if agreed.reason is not None:
        return agreed.reason.value
    return "" if answer_of(trace, item) == agreed.answer else OUTVOTED


def _decision(trace: Trace, step: Step, fault: str) -> Decision:
    return Decision(trace=trace.key, step=step, kept=not fault, reason=fault)


def _malformed(trace: Trace) -> str:
    return f"{trace.outcome}: {Outcome(trace.outcome).reason}"


_UNCLEAR: Final = f"{Word.UNCLEAR}: "
"""Prefix of the reason of a verdict that is neither yes nor no."""


def _verdicts(ruling: Ruling, verifier: Verifier) -> Iterator[Verdict]:
    """The stored verdicts of a ruling, without claims that got no answer."""
    for claim, judgement in ruling.judgements:
        if judgement.word is not Word.FAILED:
            yield Verdict(
                trace=ruling.chain,
                checker=verifier.checker.name,
                accepted=judgement.word is Word.YES,
                reason=(_UNCLEAR if judgement.word is Word.UNCLEAR else "") + judgement.reason,
                claim=claim,
            )


def _known(chain: Chain, verifier: Verifier, verdicts: Mapping[str, Verdict]) -> Ruling | None:
    """The ruling of stored verdicts, or None if a verdict is missing."""
    judgements = []
    for claim in verifier.parts(chain):
        verdict = verdicts.get(f"{chain.id}|{verifier.checker.name}|{claim or ''}")
        if verdict is None:
            return None
        judgements.append((claim, _judgement(verdict)))
    return Ruling(chain.id, tuple(judgements))


def _judgement(verdict: Verdict) -> Judgement:
    if verdict.accepted:
        return Judgement(Word.YES, verdict.reason)
    unclear = verdict.reason.startswith(_UNCLEAR)
    return Judgement(Word.UNCLEAR if unclear else Word.NO, verdict.reason.removeprefix(_UNCLEAR))
