"""Attention of one model on many samples, written item by item so that a stopped run continues."""

from __future__ import annotations

from collections.abc import Sequence

from earwise.attention.measure import Look, measure
from earwise.attention.records import AttentionRow
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import View
from earwise.work.progress import track
from earwise.work.store import Store


def run_attention(
    model: OmniModel,
    name: str,
    benchmark: str,
    samples: Sequence[Sample],
    views: Sequence[View],
    look: Look,
    store: Store[AttentionRow],
    batch_size: int = 8,
) -> None:
    """Measure every single-turn sample under every view that is not in `store` yet; see `measure` for the rest.

    Batches are cut from all samples, whatever is done already, so that a resumed run computes what an uninterrupted one
    does.
    """
    # Neighbours of similar length waste little padding.
    ordered = sorted(samples, key=lambda sample: (sample.turns[0].num_samples, sample.key))
    batches = [(view, ordered[i : i + batch_size]) for view in views for i in range(0, len(ordered), batch_size)]
    for view, batch in track(batches, len(batches), f"attention of {name} on {benchmark}"):
        if all(_key(benchmark, sample, view, name) in store for sample in batch):
            continue
        for row in measure(model, name, benchmark, batch, view, look):
            if row.key not in store:
                store.append(row)


def _key(benchmark: str, sample: Sample, view: View, name: str) -> str:
    return f"{benchmark}|{sample.key}|{view}|{name}"
