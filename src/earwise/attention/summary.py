"""Computes `attention.json` from attention rows: curves over layers, distances to the typed view, comparisons, sinks.

Values of several seeds are averaged item by item before anything is resampled, as scores are. Intervals are the 95 %
percentile bootstrap over clusters (images).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earwise.attention.records import KINDS, SOURCES, VARIANTS, AttentionRow, Kind, Sink, Source, Variant
from earwise.errors import InputError
from earwise.evaluate.gap import CHUNK, RESAMPLES, Floats, paired_gap
from earwise.records import View

Json = dict[str, Any]
Flow = tuple[Source, Kind]
Reader = tuple[str, View]
"""A model and its view."""

FLOWS: tuple[Flow, ...] = tuple((s, k) for s in SOURCES for k in KINDS if (s, k) != ("query", "response"))
"""Possible flows of attention; a query comes before its response and never sees it."""

TOP_TOKENS = 3
"""Number of the most frequent sinks listed per layer and kind."""


@dataclass(frozen=True)
class AttentionTable:
    """Rows of all seeds: `rows[reader][seed]` is sorted by item, and all readers have read the same items."""

    rows: Mapping[Reader, list[list[AttentionRow]]]
    reference: Reader
    """Model and view of the reference."""

    @classmethod
    def of(cls, seeds: Sequence[Sequence[AttentionRow]], reference: Reader) -> AttentionTable:
        """Index the rows of each seed; raises `InputError` if two readers, or two seeds, have read different items."""
        readers = dict.fromkeys((row.model, row.view) for rows in seeds for row in rows)
        table: dict[Reader, list[list[AttentionRow]]] = {}
        items = None
        for model, view in sorted(readers, key=lambda reader: reader != reference):
            own = [[row for row in rows if (row.model, row.view) == (model, view)] for rows in seeds]
            table[model, view] = [sorted(rows, key=lambda row: (row.source, row.item)) for rows in own]
            found = [[(row.source, row.item, row.layers) for row in rows] for rows in table[model, view]]
            items = items or found[0]
            if any(one != items for one in found):
                what = f"{view}: not the same items and layers as {reference[0]} under {reference[1]}"
                raise InputError(what, record=model, remedy="run the attention stage again")
        if reference not in table:
            raise InputError(
                f"no row under {reference[1]}", record=reference[0], remedy="run the attention stage again"
            )
        return cls(table, reference)

    @property
    def first(self) -> list[AttentionRow]:
        """One row per item, in order."""
        return self.rows[self.reference][0]

    @property
    def clusters(self) -> list[str]:
        """Cluster of each item; images of two benchmarks may have the same name."""
        return [f"{row.source}/{row.cluster}" for row in self.first]

    def values(self, reader: Reader, flow: Flow, variant: Variant) -> Floats | None:
        """(seeds, items, layers) values of one flow; None where an item has no token of the kind."""
        read = [[row.flow(flow[0]).values(variant, flow[1]) for row in rows] for rows in self.rows[reader]]
        if any(value is None for rows in read for value in rows):
            return None
        return np.array(read, dtype=np.float64)

    def distance(self, reader: Reader, flow: Flow, variant: Variant) -> Floats | None:
        """(seeds, items) mean over layers of the absolute difference from the reference, on the same item."""
        own, reference = self.values(reader, flow, variant), self.values(self.reference, flow, variant)
        return None if own is None or reference is None else np.abs(own - reference).mean(axis=2)


def summarise(table: AttentionTable, baseline: str | None) -> Json:
    """The content of `attention.json`; models are compared with `baseline`."""
    return {
        "items": len(table.first),
        "clusters": len(set(table.clusters)),
        "seeds": len(table.rows[table.reference]),
        "layers": list(table.first[0].layers),
        "reference": {"model": table.reference[0], "view": table.reference[1]},
        "tokens": [_tokens(table, reader) for reader in table.rows],
        "comparisons": _comparisons(table, baseline) if baseline is not None else [],
        "distances": _distances(table),
        "curves": _curves(table),
        "sinks": [row for reader in table.rows for row in _sinks(table, reader)],
    }


def _tokens(table: AttentionTable, reader: Reader) -> Json:
    """Mean number of tokens of each kind."""
    rows = table.rows[reader][0]
    counts: dict[str, list[float]] = {
        "vision": [row.query.visible[KINDS.index("vision")] for row in rows],
        "query": [row.query.rows for row in rows],
        "response": [row.response.rows for row in rows],
    }
    return {"model": reader[0], "view": reader[1], **{k: round(float(np.mean(v)), 2) for k, v in counts.items()}}


def _comparisons(table: AttentionTable, baseline: str) -> list[Json]:
    """How much closer to the typed view each model is than the baseline under the same view, paired by item.

    `value` is the baseline's distance minus the model's: above 0 the model is closer.
    """
    found = []
    for (model, view), flow, variant in itertools.product(table.rows, FLOWS, VARIANTS):
        if model in (baseline, table.reference[0]) or (baseline, view) not in table.rows:
            continue
        own, other = (table.distance((name, view), flow, variant) for name in (model, baseline))
        if own is None or other is None:
            continue
        gap = paired_gap(other.mean(axis=0).tolist(), own.mean(axis=0).tolist(), table.clusters)
        found.append(
            {
                **_named(model, view, flow, variant),
                "baseline": baseline,
                "value": _short(gap.value),
                "ci95": [_short(end) for end in gap.ci95],
                "se": _short(gap.se),
                "by_seed": [_short(x) for x in (other - own).mean(axis=1)],
                "items": gap.n,
            }
        )
    return found


def _distances(table: AttentionTable) -> list[Json]:
    """Each reader's distance to the typed view, on the scale of the variant."""
    keys, columns, seeds = [], [], []
    for reader, flow, variant in itertools.product(table.rows, FLOWS, VARIANTS):
        found = table.distance(reader, flow, variant)
        if reader != table.reference and found is not None:
            keys.append(_named(*reader, flow, variant))
            columns.append(found.mean(axis=0))
            seeds.append([_short(x) for x in found.mean(axis=1)])
    if not columns:
        return []
    mean, low, high = mean_intervals(np.stack(columns, axis=1), table.clusters)
    return [
        {**key, "value": _short(mean[n]), "ci95": [_short(low[n]), _short(high[n])], "by_seed": seeds[n]}
        for n, key in enumerate(keys)
    ]


def _curves(table: AttentionTable) -> list[Json]:
    """Mean and interval in every layer, for every reader, flow and variant."""
    found = []
    for reader, flow, variant in itertools.product(table.rows, FLOWS, VARIANTS):
        values = table.values(reader, flow, variant)
        if values is not None:
            ends = mean_intervals(values.mean(axis=0), table.clusters)
            numbers = {name: [_short(x) for x in end] for name, end in zip(("mean", "low", "high"), ends, strict=True)}
            found.append({**_named(*reader, flow, variant), **numbers})
    return found


def _named(model: str, view: View, flow: Flow, variant: Variant) -> Json:
    return {"model": model, "view": view, "from": flow[0], "to": flow[1], "variant": variant}


def _sinks(table: AttentionTable, reader: Reader) -> list[Json]:
    """Sinks by layer and kind: share of the items that have one, mean attention on them, the most frequent ones."""
    rows = [row for seed in table.rows[reader] for row in seed]
    groups: dict[tuple[Source, int, Kind], list[tuple[int, Sink]]] = {}
    for n, row in enumerate(rows):
        for sink in row.sinks:
            groups.setdefault((sink.source, sink.layer, sink.kind), []).append((n, sink))
    order = sorted(groups, key=lambda group: (SOURCES.index(group[0]), group[1], KINDS.index(group[2])))
    return [
        {
            "model": reader[0],
            "view": reader[1],
            "from": source,
            "layer": layer,
            "kind": kind,
            "items": _short(len({n for n, _ in groups[source, layer, kind]}) / len(rows)),
            "share": _short(sum(sink.share for _, sink in groups[source, layer, kind]) / len(rows)),
            "top": _top([sink for _, sink in groups[source, layer, kind]], len(rows)),
        }
        for source, layer, kind in order
    ]


def _top(sinks: Sequence[Sink], rows: int) -> list[Json]:
    """The most frequent positions with their tokens, and in what share of the items each is a sink."""
    counted = Counter((sink.position, sink.token) for sink in sinks).most_common(TOP_TOKENS)
    return [{"position": p, "token": t, "items": _short(n / rows)} for (p, t), n in counted]


def mean_intervals(values: Floats, clusters: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Means of the columns of (n, M) values with 95 % intervals, as (mean, low, high) of M each.

    Equal to `earwise.evaluate.gap.interval` column by column, with the same resamples, at the cost of one column.
    """
    numbers = {name: n for n, name in enumerate(dict.fromkeys(clusters))}
    codes, count = np.array([numbers[name] for name in clusters]), len(numbers)
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, codes, values)
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    rng = np.random.default_rng(0)
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        picked = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)
        means.append(times @ sums / (times @ sizes)[:, None])
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5), axis=0)
    return values.mean(axis=0), low, high


def _short(value: float) -> float:
    """Six decimals: float32 attention holds no more."""
    return round(float(value), 6)
