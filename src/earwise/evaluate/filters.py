"""What the filters of traces keep and drop, compared with the truth where it is known.

| step | traces |
|---|---|
| `all` | every sampled trace |
| `well_formed` | those with one reasoning and one readable answer |
| `agreed` | those of items whose samples agree on an answer |
| `verified` | those that the checker confirms; absent if it judged only those that agree |
| `agreed_verified` | those that agree and are confirmed |
| `complete` | of these, those that omit nothing that the checker hears |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from earwise.evaluate.faithful import Chain, Truth, chain_shares, judge_chain
from earwise.evaluate.shares import pooled_share
from earwise.evaluate.summary import Json
from earwise.records import Item, Trace
from earwise.traces.agreement import canonical
from earwise.traces.filtering import Decision, Step, answer_of, count


def summarise_filters(
    traces: Sequence[Trace], decisions: Sequence[Decision], items: Mapping[str, Item], truth: Truth
) -> Json:
    """The entry `traces` of `summary.json`: `{"items", "drawn", "steps", "dropped", "checker"}`.

    `steps` has an entry for each step of the table above, see `_step`; `dropped` counts by filter and reason. `checker`
    rates verification on these traces (not on the chains of the checker's own test): `precision` is the share of true
    chains among those it confirmed, `recall` the share of confirmed chains among the true ones that it judged. Shares
    have the form of `pooled_share`, over clusters of items, and are None if no truth is known. `decisions` are those of
    all filters.
    """
    chains = {trace.key: _chain(trace, items[trace.item], truth) for trace in traces}
    true = {key for key, chain in chains.items() if chain is not None and chain.true == chain.claims}
    used = dict.fromkeys(one.step for one in decisions)
    kept = {step: {one.trace for one in decisions if one.step == step and one.kept} for step in used}
    judged = {one.trace for one in decisions if one.step == "verification"}
    known = [trace for trace in traces if chains[trace.key] is not None]
    summary: Json = {
        "items": len({trace.item for trace in traces}),
        "drawn": len(traces),
        "no_truth": sum(trace.reasoning is not None and items[trace.item].cluster not in truth for trace in traces),
        "steps": {
            name: _step([trace for trace in traces if trace.key in keys], traces, items, chains, true)
            for name, keys in _steps(traces, kept, judged).items()
        },
        "dropped": {step: count([one for one in decisions if one.step == step]) for step in kept},
        "checker": None,
    }
    if judged:
        confirmed = kept["verification"]
        summary["checker"] = {
            "judged": len(judged),
            "precision": _share(known, confirmed & true, confirmed, items),
            "recall": _share(known, confirmed & true, judged & true, items),
        }
    return summary


def _steps(
    traces: Sequence[Trace], kept: Mapping[Step, AbstractSet[str]], judged: AbstractSet[str]
) -> dict[str, AbstractSet[str]]:
    """The traces left at each step."""
    steps: dict[str, AbstractSet[str]] = {
        "all": {trace.key for trace in traces},
        "well_formed": kept["format"],
        "agreed": kept["agreement"],
    }
    if "verification" in kept:
        if not judged <= kept["agreement"]:
            steps["verified"] = kept["verification"]
        steps["agreed_verified"] = kept["agreement"] & kept["verification"]
    if "completeness" in kept:
        steps["complete"] = steps["agreed_verified"] & kept["completeness"]
    return steps


def _step(
    left: Sequence[Trace],
    drawn: Sequence[Trace],
    items: Mapping[str, Item],
    chains: Mapping[str, Chain | None],
    true: AbstractSet[str],
) -> Json:
    """One step.

    | key | meaning |
    |---|---|
    | `traces`, `items` | how many are left |
    | `hallucinated` | of the chains, those with an untrue claim |
    | `true_claims` | of all claims of the chains |
    | `omitting` | of the chains, those that omit something that is heard |
    | `recall` | of all true chains that were sampled, those that are left |
    | `right` | of the traces, those with the gold answer |
    | `labels` | each answer's share of all answers, most frequent first |
    """
    keys = {trace.key for trace in left}
    clusters = [items[trace.item].cluster for trace in left]
    told = chain_shares([[chains[trace.key] for trace in left]], clusters) if left else {}
    answers = Counter(answer for trace in left if (answer := answer_of(trace, items[trace.item])) is not None)
    return {
        "traces": len(left),
        "items": len({trace.item for trace in left}),
        "hallucinated": _rest(told.get("true_chains")),
        "true_claims": told.get("true_claims"),
        "omitting": _rest(told.get("complete_chains")),
        "recall": _share(drawn, true & keys, true, items),
        "right": _share(left, {trace.key for trace in left if _is_right(trace, items[trace.item])}, keys, items),
        "labels": {answer: number / answers.total() for answer, number in answers.most_common()},
    }


def _chain(trace: Trace, item: Item, truth: Truth) -> Chain | None:
    """The chain of a well-formed trace compared with the truth; None if there is no chain or no truth."""
    if trace.reasoning is None or item.cluster not in truth:
        return None
    chain = judge_chain(trace.reasoning, truth[item.cluster])
    return chain if chain.claims else None


def _is_right(trace: Trace, item: Item) -> bool:
    gold = item.answers[0] if item.choices else canonical(item.answers[0])
    return answer_of(trace, item) == gold


def _share(
    traces: Sequence[Trace], hits: AbstractSet[str], cases: AbstractSet[str], items: Mapping[str, Item]
) -> Json | None:
    hit, asked = (np.array([[trace.key in some for trace in traces]], dtype=np.float64) for some in (hits, cases))
    return pooled_share(hit, asked, [items[trace.item].cluster for trace in traces])


def _rest(share: Json | None) -> Json | None:
    """1 - `share`."""
    if share is None:
        return None
    ci95 = share["ci95"] and [1 - share["ci95"][1], 1 - share["ci95"][0]]
    by_seed = [None if one is None else 1 - one for one in share["by_seed"]]
    return {"value": 1 - share["value"], "ci95": ci95, "n": share["n"], "by_seed": by_seed}
