"""Small panels of lines over layers with their intervals as bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from earwise.report.charts import nice_axis, panel, stretched, stroke, tick_text
from earwise.report.markup import element
from earwise.report.words import number

COLOURS = 5
"""Colours in `attention.css` beside the first line's; further lines repeat them with the next of `STROKES`."""
STROKES = ("", " dotted", " long")


@dataclass(frozen=True)
class Band:
    """One line: a mean per layer and the ends of its interval. `rank` is its colour and its position in the legend."""

    label: str
    rank: int
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def line_style(rank: int) -> str:
    """Classes of the line at `rank` in the legend; the first line, dashed, is the reference."""
    if rank == 0:
        return "line-0"
    again, colour = divmod(rank - 1, COLOURS)
    return f"line-{colour + 1}{STROKES[again % len(STROKES)]}"


def layer_panel(title: str, layers: Sequence[int], bands: Sequence[Band], digits: int) -> Markup:
    """One panel with an axis from 0; a screen reader reads the means of the first and the last layer."""
    axis = nice_axis([0.0, *(value for band in bands for value in band.high)], ticks=4)
    span = max(len(layers) - 1, 1)

    def points(values: Sequence[float], order: range) -> list[str]:
        return [f"{100 * n / span:.2f},{axis.down(values[n]):.2f}" for n in order]

    forward, back = range(len(layers)), range(len(layers) - 1, -1, -1)
    heights = {tick: axis.down(tick) for tick in axis.ticks}
    parts = [stroke("line", {"x1": 0, "x2": 100, "y1": y, "y2": y, "class": "grid"}) for y in heights.values()]
    for band in bands:
        around = " ".join(points(band.low, forward) + points(band.high, back))
        parts.append(element("polygon", {"points": around, "class": f"band {line_style(band.rank)}"}))
    for band in bands:
        line = " ".join(points(band.mean, forward))
        parts.append(stroke("polyline", {"points": line, "class": f"layers {line_style(band.rank)}"}))
    told = "; ".join(f"{b.label}: {number(b.mean[0], digits)} to {number(b.mean[-1], digits)}" for b in bands)
    ticks = [(y, tick_text(tick)) for tick, y in heights.items()]
    ends = [element("span", {}, f"layer {layers[0]}"), element("span", {}, str(layers[-1]))]
    return panel(title, ticks, stretched(f"{title}. {told}", parts), ends)
