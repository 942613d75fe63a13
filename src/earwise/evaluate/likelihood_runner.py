"""Measures likelihoods with a model: the records of `earwise.evaluate.likelihood`.

Shapes: N response tokens of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from earwise.data import meta
from earwise.distil.divergence import linear_divergence
from earwise.distil.token_logprobs import linear_logprobs
from earwise.evaluate.controls import donors
from earwise.evaluate.likelihood import How, Likelihood
from earwise.models.batch import collate
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import View
from earwise.work.progress import track
from earwise.work.store import Store


@dataclass(frozen=True)
class Measurer:
    """What is measured: the typed view, and by condition the view and the samples that are shown (the same items in the
    same order). `typed` is among the conditions of the base alone.
    """

    model: str
    source: str
    typed_view: View
    conditions: Mapping[How, tuple[View, Sequence[Sample]]]


def referenced(sample: Sample, answer: str, cut: bool) -> Sample:
    """`sample` with `answer` as its response, which has no end if the limit cut it."""
    turn = sample.turns[0]
    item = turn.item
    marked = {meta.CUT: True} if cut else {}
    item = item.model_copy(update={"answers": (answer,), "meta": {**item.meta, **marked}})
    return replace(sample, turns=(replace(turn, item=item),))


def silenced(sample: Sample) -> Sample:
    """`sample` with silence in place of its question."""
    return replace(sample, turns=(replace(sample.turns[0], silenced=True),))


def swapped(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Each sample with the clip of another question, as `controls.donors` draws them."""
    turns = [sample.turns[0] for sample in samples]
    drawn = donors([turn.item.answers[0] for turn in turns], [turn.item.cluster for turn in turns], seed)
    return [
        replace(sample, turns=(replace(turn, clip=turns[donor].clip, num_samples=turns[donor].num_samples),))
        for sample, turn, donor in zip(samples, turns, drawn, strict=True)
    ]


def measure(
    model: OmniModel, what: Measurer, samples: Sequence[Sample], batch_size: int, store: Store[Likelihood]
) -> None:
    """Measure every sample under every condition, except records already in `store`.

    Args:
        model: whose weights without LoRA are the base's.
        what: the conditions.
        samples: as typed, with the references as answers.
        batch_size: items per pass.
        store: receives the records.
    """
    order = sorted(range(len(samples)), key=lambda n: (samples[n].turns[0].num_samples, samples[n].key))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    for batch in track(batches, len(batches), f"{what.model} on {what.source}"):
        keys = [f"{what.source}|{samples[n].key}|{how}|{what.model}" for n in batch for how in what.conditions]
        if not all(key in store for key in keys):
            for record in _of_batch(model, what, [samples[n] for n in batch], batch):
                if record.key not in store:
                    store.append(record)


@torch.no_grad()
def _of_batch(model: OmniModel, what: Measurer, typed: Sequence[Sample], places: Sequence[int]) -> Iterator[Likelihood]:
    build, head = model.layouts.build, model.family.head_weight.float()
    with model.lora.switched_off() if model.lora is not None else nullcontext():
        layouts = {"typed": [build(sample, what.typed_view, answers=True) for sample in typed]}
        reference = model(collate(layouts, model.family, share_prefix=False).to(model.device))["typed"]
    for how, (view, samples) in what.conditions.items():
        layouts = {how: [build(samples[n], view, answers=True) for n in places]}
        states = model(collate(layouts, model.family, share_prefix=False).to(model.device))[how]
        if not torch.equal(states.targets, reference.targets):
            raise AssertionError(f"the response under {how!r} has other tokens than under the typed question")
        hidden = states.hidden.float()
        nats = -linear_logprobs(hidden, head, states.targets)[0]
        kl = linear_divergence(hidden, reference.hidden.float(), head, head, kind="forward_kl")
        assert states.turns is not None
        counts = torch.bincount(states.turns, minlength=len(typed))
        for sample, count, entropy, divergence in zip(
            typed, counts.tolist(), _means(nats, states.turns, counts), _means(kl, states.turns, counts), strict=True
        ):
            item = sample.turns[0].item
            yield Likelihood(
                item=item.id, source=what.source, model=what.model, how=how, cluster=item.cluster, tokens=count,
                cross_entropy=entropy, kl=divergence,
            )  # fmt: skip


def _means(values: Tensor, turns: Tensor, counts: Tensor) -> list[float]:
    """The mean of each turn's (N,) values."""
    sums = torch.zeros(len(counts), dtype=torch.float64, device=values.device).index_add_(0, turns, values.double())
    return [float(value) for value in sums / counts]
