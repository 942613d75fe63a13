"""Attention of one model on samples under one view, with each sample's given response (teacher forcing)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from earwise.attention.records import KINDS, SOURCES, AttentionRow, Flow, Kind, Sink, Source
from earwise.attention.shares import make_flow, seen_by
from earwise.attention.taps import Probe, Taps, tapped
from earwise.errors import InputError
from earwise.models.batch import Pass, collate
from earwise.models.layout import AUDIO_ID, Layout
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.models.tapping import attention_layers
from earwise.records import View

ResponseRows = Literal["tokens", "predicting"]
"""Source positions of the response: its tokens, or the positions that predict them (one earlier)."""


@dataclass(frozen=True)
class Look:
    """Settings of a measurement.

    Attributes:
        layers: numbers of decoder layers from 0; all when None.
        response_rows: source positions of the response.
        sink_share: a key that takes more than this share of a source's attention is listed as a sink.
        reference: view with the number of query tokens for the variant `matched`.
    """

    layers: tuple[int, ...] | None = None
    response_rows: ResponseRows = "tokens"
    sink_share: float = 0.1
    reference: View = "image_text"


def measure(
    model: OmniModel, name: str, benchmark: str, samples: Sequence[Sample], view: View, look: Look
) -> list[AttentionRow]:
    """One row per single-turn sample, in order; `name` and `benchmark` identify the model and the benchmark in the
    rows.

    Raises `InputError` for a layer that the decoder does not have, and for a query without tokens.
    """
    layouts = [model.layouts.build(sample, view, answers=True) for sample in samples]
    batch = collate({view: layouts}, model.family, share_prefix=False).to(model.device)
    taps = _run(model, batch.views[view], layouts, look)
    layers = look.layers or tuple(range(len(attention_layers(model.family.backbone))))
    measured = []
    for n, (sample, layout) in enumerate(zip(samples, layouts, strict=True)):
        typed = model.layouts.build(sample, look.reference, answers=True)
        weight = len(_rows(typed, "query", look)) / len(_rows(layout, "query", look))
        flows: dict[Source, Flow] = {}
        sinks: list[Sink] = []
        for probe, source in enumerate(SOURCES, start=len(SOURCES) * n):
            rows = taps.shares(probe).double().cpu().numpy()
            flows[source] = make_flow(rows, seen_by(token_kinds(layout), _rows(layout, source, look)), weight)
            sinks += _sinks(model, layout, source, layers, taps.received(probe).cpu().numpy(), look.sink_share)
        item = sample.turns[0].item
        row = AttentionRow(
            item=item.id,
            source=benchmark,
            model=name,
            view=view,
            cluster=item.cluster,
            layers=layers,
            query=flows["query"],
            response=flows["response"],
            sinks=tuple(sinks),
        )
        measured.append(row)
    return measured


@torch.no_grad()
def _run(model: OmniModel, view: Pass, layouts: Sequence[Layout], look: Look) -> Taps:
    """One pass over the whole sequences, with two probes per sample in the order of `SOURCES`."""
    probes = []
    for n, layout in enumerate(layouts):
        kinds = torch.full((view.ids.shape[1],), KINDS.index("rest"))
        kinds[: len(layout)] = torch.tensor(token_kinds(layout))
        probes += [Probe(n, torch.tensor(_rows(layout, source, look)), kinds) for source in SOURCES]
    embeds = model.embed(view, model.ears)
    with tapped(model.family.backbone, probes, len(KINDS), look.layers) as taps:
        model.decode(embeds, view.mask, view.positions, None)
    return taps


def token_kinds(layout: Layout) -> list[int]:
    """Number of each token's kind in `KINDS`. Only an image's placeholders are vision. Its markers belong to the rest,
    because in some families the template writes them and in others the adapter.
    """
    kinds = [KINDS.index("rest")] * len(layout)
    named: list[tuple[Kind, Sequence[int]]] = [
        (s.role, range(s.start, s.stop)) for s in layout.spans if s.role in SOURCES
    ]
    named += [("vision", medium.places) for medium in layout.media if medium.kind == "image"]
    for kind, places in named:
        for place in places:
            kinds[place] = KINDS.index(kind)
    return kinds


def _rows(layout: Layout, source: Source, look: Look) -> list[int]:
    """Positions of the attending tokens."""
    back = source == "response" and look.response_rows == "predicting"
    rows = [i - back for span in layout.spans if span.role == source for i in range(span.start, span.stop)]
    if not rows:
        raise InputError(f"the {source} has no tokens", remedy="leave the item out")
    return rows


def _sinks(
    model: OmniModel, layout: Layout, source: Source, layers: Sequence[int], received: np.ndarray, share: float
) -> list[Sink]:
    """Keys of (K, C) received attention above the share, the strongest of each layer first."""
    kinds = token_kinds(layout)
    found = []
    for layer, row in zip(layers, received, strict=True):
        for position in sorted(np.flatnonzero(row > share).tolist(), key=lambda p: -row[p]):
            token = layout.ids[position]
            found.append(
                Sink(
                    source=source,
                    layer=layer,
                    position=position,
                    kind=KINDS[kinds[position]],
                    token="" if token == AUDIO_ID else str(model.family.tokenizer.convert_ids_to_tokens(token)),
                    share=round(float(row[position]), 6),
                )
            )
    return found
