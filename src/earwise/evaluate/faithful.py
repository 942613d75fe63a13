"""Faithfulness: whether the sounds that a model claims to hear are there.

An answer in the think/answer format is a chain of claims. If the truth about a sound is known, as a chain of all that
is heard in it, each claim is true or not. Claims are compared as strings, as `describe.plain` writes them, so this
works for chains of a closed grammar.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earwise.evaluate.estimates import MEAN, Cells, clusters
from earwise.evaluate.gap import ends, metric_draws
from earwise.evaluate.shares import pooled_share
from earwise.evaluate.summary import Json, ScoreTable
from earwise.records import View
from earwise.traces.describe import claims_of
from earwise.traces.format import parse
from earwise.traces.known import KnownChain
from earwise.work.store import read_jsonl

Truth = Mapping[str, frozenset[str]]
"""All true claims about a sound, by the cluster of the items that ask about it."""


class Chain(NamedTuple):
    """One chain compared with the truth."""

    claims: int
    true: int
    omitted: int
    """True claims that the chain omits."""


def read_truth(path: Path) -> Truth:
    """The true claims of a file of `KnownChain` records, whose ids are the clusters of items. Raises `InputError` for a
    missing file or a broken line.
    """
    return {one.id: frozenset(claims_of(one.reasoning)) for one in read_jsonl(path, KnownChain)}


def judge_chain(reasoning: str, true: frozenset[str]) -> Chain:
    """Compare a chain's distinct claims with all true claims."""
    claims = frozenset(claims_of(reasoning))
    return Chain(len(claims), len(claims & true), len(true - claims))


def summarise_faithfulness(table: ScoreTable, truth: Truth, view: View) -> dict[str, dict[str, Json]]:
    """`{MODEL: {BENCHMARK: ...}}`, see `faithfulness`, for models that reason at least once under `view`."""
    summary: dict[str, dict[str, Json]] = {}
    for model in table.models:
        for benchmark in (name for name in table.benchmarks if name != MEAN):
            cells = table.get(model, benchmark, view)
            found = faithfulness(cells, truth) if cells else None
            if found is not None and found["reasons"]["value"] > 0:
                summary.setdefault(model, {})[benchmark] = found
    return summary


def faithfulness(cells: Cells, truth: Truth) -> Json:
    """How faithful the answers of one model to one benchmark are; shares from 0 to 1 in the form of `pooled_share`.

    | key | share |
    |---|---|
    | `reasons` | of all answers, those that are well-formed and whose reasoning claims anything |
    | `true_chains` | of the chains, those with only true claims |
    | `true_claims` | of all claims of the chains |
    | `complete_chains` | of the chains, those that omit nothing |

    `n` counts items. `no_truth` counts chains, over all seeds, about sounds without known truth; they count in
    `reasons` only.
    """
    chains = [[_chain(score.prediction) for score in cell] for cell in cells]
    known = [score.cluster in truth for score in cells[0]]
    judged = [
        [
            judge_chain(reasoning, truth[score.cluster]) if reasoning and in_truth else None
            for reasoning, score, in_truth in zip(row, cell, known, strict=True)
        ]
        for row, cell in zip(chains, cells, strict=True)
    ]
    groups = clusters(cells[0])
    reasons = np.array([[reasoning is not None for reasoning in row] for row in chains], dtype=np.float64)
    return {
        "n": len(cells[0]),
        "no_truth": int((reasons * ~np.array(known)).sum()),
        "reasons": pooled_share(reasons, np.ones_like(reasons), groups),
        **chain_shares(judged, groups),
    }


def compare_faithfulness(table: ScoreTable, truth: Truth, view: View) -> dict[str, dict[str, dict[str, Json]]]:
    """`{MODEL: {OTHER: {BENCHMARK: {"value", "ci95", "n", "by_seed"}}}}` of models that reason, each minus every
    earlier one: the difference in the share of all answers that have a reasoning with only true claims. An answer
    without reasoning counts as not true, so that the same items are compared. Paired by item, seeds averaged item by
    item, intervals over clusters. Items about sounds without known truth are left out.
    """
    true = {name: _true_answers(table, name, truth, view) for name in table.models}
    reasoning = [name for name, found in true.items() if any(rows.sum() for rows, _ in found.values())]
    compared: dict[str, dict[str, dict[str, Json]]] = {}
    for place, model in enumerate(reasoning):
        for other in reasoning[:place]:
            compared.setdefault(model, {})[other] = {
                benchmark: _difference(rows - true[other][benchmark][0], groups)
                for benchmark, (rows, groups) in true[model].items()
                if benchmark in true[other]
            }
    return compared


def _true_answers(
    table: ScoreTable, model: str, truth: Truth, view: View
) -> dict[str, tuple[np.ndarray, Sequence[Hashable]]]:
    """By benchmark: (S, N) with 1 for a reasoned answer with only true claims, else 0, and N clusters."""
    found: dict[str, tuple[np.ndarray, Sequence[Hashable]]] = {}
    for benchmark in (name for name in table.benchmarks if name != MEAN):
        cells = [[score for score in cell if score.cluster in truth] for cell in table.get(model, benchmark, view)]
        if not cells or not cells[0]:
            continue
        rows = [[_is_true(score.prediction, truth[score.cluster]) for score in cell] for cell in cells]
        found[benchmark] = np.array(rows, dtype=np.float64), clusters(cells[0])
    return found


def _is_true(prediction: str, true: frozenset[str]) -> bool:
    reasoning = _chain(prediction)
    return reasoning is not None and {*claims_of(reasoning)} <= true


def _difference(rows: np.ndarray, groups: Sequence[Hashable]) -> Json:
    """The mean of (S, N) differences."""
    mean = rows.mean(axis=0)
    ci95 = None
    if len(set(groups)) > 1:
        draws = metric_draws(lambda weights: weights @ mean / weights.sum(axis=1), groups)
        ci95 = list(ends(draws, len(set(groups)), (-1.0, 1.0)))
    by_seed = [float(row.mean()) for row in rows]
    return {"value": float(mean.mean()), "ci95": ci95, "n": rows.shape[1], "by_seed": by_seed}


def chain_shares(judged: Sequence[Sequence[Chain | None]], groups: Sequence[str]) -> Json:
    """`true_chains`, `true_claims` and `complete_chains` of chains by seed and item; None counts as no chain."""

    def per_item(value: str) -> np.ndarray:
        rows = [[getattr(chain, value) if chain else 0 for chain in row] for row in judged]
        return np.array(rows, dtype=np.float64)

    there = np.array([[chain is not None for chain in row] for row in judged], dtype=np.float64)
    claims, true = per_item("claims"), per_item("true")
    return {
        "true_chains": pooled_share(there * (claims == true), there, groups),
        "true_claims": pooled_share(true, claims, groups),
        "complete_chains": pooled_share(there * (per_item("omitted") == 0), there, groups),
    }


def _chain(prediction: str) -> str | None:
    """The reasoning of a well-formed answer; None if there is none or it claims nothing."""
    reasoning = parse(prediction).reasoning
    return reasoning if reasoning and claims_of(reasoning) else None
