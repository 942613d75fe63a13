"""Small panels of lines over layers with their intervals as bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from earwise.report.charts import nice_axis, tick_text
from earwise.report.markup import element
from earwise.report.words import number

COLOURS = 6
"""Colours in `attention.css`; further lines begin again, dashed."""


@dataclass(frozen=True)
class Band:
    """One line: a mean per layer and the ends of its interval. `rank` decides its colour, and is the legend's order."""

    label: str
    rank: int
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def style(self) -> str:
        """Classes of its colour and its dashes."""
        return line_style(self.rank)


def line_style(rank: int) -> str:
    """Classes of the line that stands at `rank` in the legend."""
    return f"line-{rank % COLOURS}" + (" dashed" if rank >= COLOURS else "")


def layer_panel(title: str, layers: Sequence[int], bands: Sequence[Band], digits: int) -> Markup:
    """One panel whose axis begins at 0; what a screen reader says are the means of the first and the last layer."""
    axis = nice_axis([0.0, *(value for band in bands for value in band.high)], ticks=4)
    span = max(len(layers) - 1, 1)

    def points(values: Sequence[float], order: range) -> list[str]:
        return [f"{100 * n / span:.2f},{100 * (axis.high - values[n]) / (axis.high - axis.low):.2f}" for n in order]

    forward, back = range(len(layers)), range(len(layers) - 1, -1, -1)
    heights = {tick: 100 * (axis.high - tick) / (axis.high - axis.low) for tick in axis.ticks}
    parts = [_stroke("line", {"x1": 0, "x2": 100, "y1": y, "y2": y, "class": "grid"}) for y in heights.values()]
    for band in bands:
        around = " ".join(points(band.low, forward) + points(band.high, back))
        parts.append(element("polygon", {"points": around, "class": f"band {band.style}"}))
    for band in bands:
        line = " ".join(points(band.mean, forward))
        parts.append(_stroke("polyline", {"points": line, "class": f"layers {band.style}"}))
    told = "; ".join(f"{b.label}: {number(b.mean[0], digits)} to {number(b.mean[-1], digits)}" for b in bands)
    box = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "role": "img", "aria-label": f"{title}. {told}"}
    ticks = [element("span", {"style": f"top:{y:.1f}%"}, tick_text(tick)) for tick, y in heights.items()]
    ends = [element("span", {}, f"layer {layers[0]}"), element("span", {}, str(layers[-1]))]
    return element(
        "figure",
        {"class": "panel"},
        element("figcaption", {}, title),
        element("div", {"class": "ticks"}, *ticks),
        element("svg", box, *parts),
        element("div", {"class": "steps"}, *ends),
    )


def _stroke(name: str, attributes: dict[str, object]) -> Markup:
    """A line whose width does not follow the panel's."""
    return element(name, {**attributes, "vector-effect": "non-scaling-stroke"})
