"""The attention analysis of a run: the types of `attention.json`, and its section of the page.

Shares are shown in percent and distances in percentage points; `relative` is a ratio, 1 where attention is uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from pydantic import Field

from earwise.report.attention_charts import Band, layer_panel, line_style
from earwise.report.parts import Excerpt
from earwise.report.summary import Interval, parse_part
from earwise.report.words import model_label, number, view_label

FILE = "attention.json"
FLOWS = (
    ("query", "vision"),
    ("query", "query"),
    ("response", "vision"),
    ("response", "query"),
    ("response", "response"),
)
"""The flows shown; the rest of each sum goes to the system prompt, the template and markers."""


@dataclass(frozen=True)
class Variant:
    """A form of a share: its name in the file, and its title and unit on the page."""

    name: str
    title: str
    note: str
    scale: float
    digits: int


VARIANTS = (
    Variant("share", "Share of attention, %", "unadjusted: a longer query gets more by its length alone", 100, 1),
    Variant("matched", "Length-matched share, %", "the query counts as many tokens as the typed query", 100, 1),
    Variant("relative", "Relative to uniform attention", "1 if all visible tokens get equal attention", 1, 2),
    Variant("per_token", "Share per token, %", "divided by the number of visible tokens of the kind", 100, 2),
)


class Named(Excerpt):
    """The model, view, flow and variant of a number."""

    model: str
    view: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    variant: str

    @property
    def flow(self) -> tuple[str, str]:
        """From where to where."""
        return self.source, self.target


class LayerCurve(Named):
    """Means over items in each layer, with the ends of their intervals."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Distance(Named):
    """Mean over layers and items of the absolute difference from the typed view."""

    value: float
    ci95: Interval


class Closer(Named):
    """The baseline's distance minus the model's distance on the same items; above 0, the model is closer."""

    baseline: str
    value: float
    ci95: Interval


class SinkTokens(Excerpt):
    """A position that is often a sink."""

    position: int
    token: str
    items: float


class SinkRow(Excerpt):
    """Sinks of one kind in one layer: share of items with such a sink, and mean attention on them."""

    model: str
    view: str
    source: str = Field(alias="from")
    layer: int
    kind: str
    items: float
    share: float
    top: tuple[SinkTokens, ...]


class Tokens(Excerpt):
    """Mean number of tokens of a model's input under a view."""

    model: str
    view: str
    vision: float
    query: float
    response: float


class Reference(Excerpt):
    """The model and view of the reference."""

    model: str
    view: str


class Attention(Excerpt):
    """The part of `attention.json` that the page shows."""

    items: int
    clusters: int
    seeds: int
    layers: tuple[int, ...]
    response: str
    sink_share: float
    reference: Reference
    tokens: tuple[Tokens, ...]
    curves: tuple[LayerCurve, ...]
    distances: tuple[Distance, ...]
    comparisons: tuple[Closer, ...]
    sinks: tuple[SinkRow, ...]


def read_attention(folder: Path) -> Attention | None:
    """The run's attention analysis; None if the recipe has none. Raises `InputError` for another schema."""
    path = folder / FILE
    if not path.exists():
        return None
    return parse_part(Attention, path.read_bytes(), "an attention analysis", "delete it and run again", path)


@dataclass(frozen=True)
class FlowTable:
    """Distances of one flow: per reader and variant, the distance and its difference to the baseline."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    """Each row: reader, then per column the distance, its interval and the comparison, in words."""


@dataclass(frozen=True)
class SinkLine:
    """Sinks of one reader, source and kind over all layers, with the layer where they get the most attention."""

    reader: str
    source: str
    kind: str
    layers: str
    share: str
    example: str


@dataclass(frozen=True)
class Section:
    """What the template shows."""

    found: Attention
    baseline: str | None
    answers: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]
    """Style and label of each line."""
    figures: tuple[tuple[Variant, tuple[Markup, ...]], ...]
    tables: tuple[FlowTable, ...]
    sinks: tuple[SinkLine, ...]


def attention_section(folder: Path) -> Section | None:
    """The section of the page, or None where the run has no attention analysis."""
    found = read_attention(folder)
    if found is None:
        return None
    readers = list(dict.fromkeys((t.model, t.view) for t in found.tokens))
    figures = [(variant, tuple(_panels(found, readers, variant))) for variant in VARIANTS]
    return Section(
        found=found,
        baseline=next((c.baseline for c in found.comparisons), None),
        answers=tuple(_answers(found)),
        legend=tuple((line_style(rank), reader_label(*reader)) for rank, reader in enumerate(readers)),
        figures=tuple((variant, panels) for variant, panels in figures if panels),
        tables=tuple(_table(found, flow) for flow in FLOWS),
        sinks=tuple(_sink_lines(found)),
    )


def reader_label(model: str, view: str) -> str:
    """`SFT, spoken`."""
    return f"{model_label(model)}, {view_label(view).lower()}"


def flow_label(flow: tuple[str, str]) -> str:
    """`query → vision`."""
    return f"{flow[0]} \N{RIGHTWARDS ARROW} {flow[1]}"


def _panels(found: Attention, readers: Sequence[tuple[str, str]], variant: Variant) -> list[Markup]:
    """One panel per flow, with a line per reader."""
    panels = []
    for flow in FLOWS:
        bands = []
        for curve in found.curves:
            if (curve.flow, curve.variant) != (flow, variant.name):
                continue
            mean, low, high = (
                tuple(variant.scale * v for v in values) for values in (curve.mean, curve.low, curve.high)
            )
            rank = readers.index((curve.model, curve.view))
            bands.append(Band(reader_label(curve.model, curve.view), rank, mean, low, high))
        if bands:
            panels.append(layer_panel(flow_label(flow), found.layers, bands, variant.digits))
    return panels


def _answers(found: Attention) -> list[str]:
    """One sentence per model and view on whether its attention from query to vision is closer to the typed view."""
    cells = {(c.model, c.view, c.variant): c for c in found.comparisons if c.flow == FLOWS[0]}
    several = len({view for _, view, _ in cells}) > 1
    return [
        f"{reader_label(model, view) if several else model_label(model)}: {_verdict(c)}; "
        f"length-matched: {_verdict(cells[model, view, 'matched'])}."
        for (model, view, variant), c in cells.items()
        if variant == "share"
    ]


def _verdict(c: Closer) -> str:
    """`closer than SFT by 4.69 points (4.26 to 5.12)`."""
    if c.ci95[0] <= 0 <= c.ci95[1]:
        ends = " to ".join(number(100 * end, 2, signed=True) for end in c.ci95)
        return f"no difference from {model_label(c.baseline)} shown ({ends} points)"
    low, high = (number(100 * end, 2) for end in sorted(map(abs, c.ci95)))
    word = "closer" if c.value > 0 else "farther"
    return f"{word} than {model_label(c.baseline)} by {number(100 * abs(c.value), 2)} points ({low} to {high})"


def _table(found: Attention, flow: tuple[str, str]) -> FlowTable:
    distances = {(d.model, d.view, d.variant): d for d in found.distances if d.flow == flow}
    closer = {(c.model, c.view, c.variant): c for c in found.comparisons if c.flow == flow}
    variants = [v for v in VARIANTS if any(name == v.name for _, _, name in distances)]
    readers = dict.fromkeys((d.model, d.view) for d in found.distances)
    rows = []
    for reader in readers:
        keys = [(*reader, variant.name) for variant in variants]
        cells = (_cell(distances.get(key), closer.get(key), v) for key, v in zip(keys, variants, strict=True))
        rows.append((reader_label(*reader), tuple(cells)))
    return FlowTable(flow_label(flow), tuple(v.title for v in variants), tuple(rows))


def _cell(distance: Distance | None, closer: Closer | None, variant: Variant) -> tuple[str, str, str]:
    """Distance, interval and comparison with the baseline, in words; empty without a distance."""

    def told(value: float, *, signed: bool) -> str:
        return number(variant.scale * value, variant.digits, signed=signed)

    if distance is None:
        return number(None), "", ""
    low, high = (told(end, signed=False) for end in distance.ci95)
    than = ""
    if closer is not None:
        ends = " to ".join(told(end, signed=True) for end in closer.ci95)
        than = f"{told(closer.value, signed=True)} ({ends})"
    return told(distance.value, signed=False), f"{low} to {high}", than


def _sink_lines(found: Attention) -> list[SinkLine]:
    """The strongest layer and the number of layers with sinks, for each reader, source and kind."""
    groups: dict[tuple[str, str, str, str], list[SinkRow]] = {}
    for row in found.sinks:
        groups.setdefault((row.model, row.view, row.source, row.kind), []).append(row)
    lines = []
    for (model, view, source, kind), rows in groups.items():
        peak = max(rows, key=lambda row: row.share)
        tokens = (f"{top.token or 'clip'} at {top.position}" for top in peak.top)
        lines.append(
            SinkLine(
                reader=reader_label(model, view),
                source=source,
                kind=kind,
                layers=f"{len(rows)} of {len(found.layers)}",
                share=f"{number(100 * peak.share)} % in layer {peak.layer}, {number(100 * peak.items)} % of the items",
                example=", ".join(tokens),
            )
        )
    return lines
