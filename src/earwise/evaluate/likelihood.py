"""How likely the base's own typed answer is when the question is heard: a measure of free answers without a judge.

The reference is what the base answers to the typed question. A model is given its tokens under each condition, and two
numbers are taken per token, in nats: the cross-entropy of the reference, and the KL divergence of the model's
next-token distribution from the base's under the typed question. A model that listens is far worse where its
sound is silenced or swapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from earwise.errors import InputError
from earwise.evaluate.gap import Floats, ends, metric_draws
from earwise.records import NonEmpty, Record

How = Literal["typed", "transcript", "speech", "silenced", "swapped"]
"""How the question is given: typed; as a recogniser's transcript; as a clip; as silence of the clip's length; as the
clip of another question.
"""
HEARD: Final[tuple[How, ...]] = ("speech", "silenced", "swapped")
"""What a model with ears is measured under."""
MEASURES: Final = ("cross_entropy", "kl")


class Likelihood(Record):
    """One reference under one condition."""

    item: NonEmpty
    source: NonEmpty
    model: NonEmpty
    how: How
    cluster: NonEmpty
    tokens: int
    """Of the reference, with its stop token if it has one."""
    cross_entropy: float
    """Nats per token."""
    kl: float
    """KL(base, typed || model, this condition), nats per token."""

    @property
    def key(self) -> str:
        """Source, item, condition and model."""
        return f"{self.source}|{self.item}|{self.how}|{self.model}"


Row = tuple[str, How]
"""A model under a condition."""


@dataclass(frozen=True)
class LikelihoodTable:
    """Records by (model, condition), by seed and item. All rows are compared on the items that all of them have."""

    cells: Mapping[Row, Sequence[Mapping[tuple[str, str], Likelihood]]]

    @classmethod
    def of(cls, seeds: Sequence[Iterable[Likelihood]]) -> LikelihoodTable:
        """Index the records of each seed."""
        cells: dict[Row, list[dict[tuple[str, str], Likelihood]]] = {}
        for number, records in enumerate(seeds):
            for one in records:
                row = cells.setdefault((one.model, one.how), [{} for _ in seeds])
                row[number][one.source, one.item] = one
        return cls(cells)

    def benchmarks(self) -> list[str]:
        """Names in order of first appearance."""
        return list(dict.fromkeys(source for row in self.cells.values() for seed in row for source, _ in seed))

    def values(self, row: Row, benchmark: str, measure: str) -> tuple[Floats, list[str], Floats]:
        """(items,) means over seeds of one row on one benchmark, the items' clusters, and the mean of each seed.

        Raises `InputError` if seeds have measured different items.
        """
        seeds = self.cells[row]
        items = sorted(key for key in seeds[0] if key[0] == benchmark)
        if any(sorted(key for key in seed if key[0] == benchmark) != items for seed in seeds):
            raise InputError(f"seeds have measured different items of {benchmark}", record=row[0], remedy="run again")
        numbers = np.array([[getattr(seed[item], measure) for item in items] for seed in seeds], dtype=float)
        return numbers.mean(axis=0), [seeds[0][item].cluster for item in items], numbers.mean(axis=1)


def summarise_likelihood(table: LikelihoodTable, cascade: Row) -> dict[str, Any]:
    """`{BENCHMARK: {"n", "tokens", "rows": [{"model", "how", MEASURE: {"value", "ci95", "by_seed"}, "minus_cascade",
    "minus_speech"}]}}`, in nats per token: means over items, with 95 % intervals over clusters of items.

    `minus_cascade` is a row's cross-entropy less that of row `cascade`, where it was measured; `minus_speech`, of the
    controls, is that less the model's own by ear. Both are paired by item.
    """
    return {name: _of_benchmark(table, name, cascade) for name in table.benchmarks()}


def _of_benchmark(table: LikelihoodTable, benchmark: str, cascade: Row) -> dict[str, Any]:
    rows = [row for row, seeds in table.cells.items() if any(source == benchmark for source, _ in seeds[0])]
    found = []
    for model, how in rows:
        entry: dict[str, Any] = {"model": model, "how": how}
        for measure in MEASURES:
            values, clusters, by_seed = table.values((model, how), benchmark, measure)
            entry[measure] = _mean(values, clusters) | {"by_seed": by_seed.tolist()}
        if cascade in rows and (model, how) != cascade:
            entry["minus_cascade"] = _difference(table, benchmark, (model, how), cascade)
        if how in ("silenced", "swapped") and (model, "speech") in rows:
            entry["minus_speech"] = _difference(table, benchmark, (model, how), (model, "speech"))
        found.append(entry)
    first = [one for (source, _), one in table.cells[rows[0]][0].items() if source == benchmark]
    return {"n": len(first), "tokens": sum(one.tokens for one in first), "rows": found}


def _difference(table: LikelihoodTable, benchmark: str, one: Row, other: Row) -> dict[str, Any]:
    (a, clusters, seeds), (b, theirs, others) = (table.values(row, benchmark, MEASURES[0]) for row in (one, other))
    if len(a) != len(b) or clusters != theirs:
        what = f"{one[0]} and {other[0]} were measured on different items of {benchmark}"
        raise InputError(what, record=one[0], remedy="run again")
    return _mean(a - b, clusters) | {"by_seed": (seeds - others).tolist()}


def _mean(values: Floats, clusters: Sequence[str]) -> dict[str, Any]:
    """The mean over items and its interval, resampled by cluster."""
    draws = metric_draws(lambda weights: (weights @ values) / weights.sum(axis=1), clusters)
    return {"value": float(values.mean()), "ci95": list(ends(draws, len(set(clusters)), None))}
