"""Charts as HTML and SVG without fixed widths: positions are percentages, so that text keeps its size on a phone.

Colours come from CSS variables, so that charts follow dark mode and print.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from earwise.report.markup import element
from earwise.report.summary import Comparison, Interval, Summary
from earwise.report.words import interval, model_label, number, view_label

ROW_HEIGHT = 34
MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """An axis with round ends."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> str:
        """Position of a value from the left, in percent of the track, cut at the ends of the axis."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(max(share, 0.0), 1.0):.2f}%"

    def down(self, value: float) -> float:
        """Position of a value from the top, in percent of the panel."""
        return 100 * (self.high - value) / (self.high - self.low)


@dataclass(frozen=True)
class Dot:
    """One estimate: `role` (typed, spoken or plain) picks its colour and shape."""

    value: float
    ci95: Interval | None
    role: str


@dataclass(frozen=True)
class Row:
    """One line of a dot chart; `told` is what a screen reader says instead of the picture."""

    label: str
    dots: tuple[Dot, ...]
    note: str
    told: str


def nice_axis(values: Sequence[float], *, ticks: int = 5) -> Axis:
    """The smallest axis with round ends that holds all values; ends lie on ticks."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / ticks
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, tuple(round(i * step, 10) for i in range(first, last + 1)))


def log_axis(values: Sequence[float]) -> Axis:
    """A logarithmic axis for positive values: its ends and ticks are base-10 logarithms of round numbers."""
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1,) if high - low > 2 else (1, 2, 5) if high - low < 1 else (1, 3)
    marks = [k + math.log10(m) for k in range(math.floor(low) - 1, math.ceil(high) + 2) for m in steps]
    first, last = max(m for m in marks if m <= low + 1e-9), min(m for m in marks if m >= high - 1e-9)
    ticks = [m for m in marks if first <= m <= last]
    stride = math.ceil(len(ticks) / MOST_TICKS)
    return Axis(first, last, tuple(ticks[::stride]))


def dot_chart(rows: Sequence[Row], axis: Axis, *, line_at: float | None = None) -> Markup:
    """Rows of estimates with intervals on one axis; two dots of a row are joined (a dumbbell).

    `line_at` is a value to compare with, drawn through all rows.
    """
    body = [_chart_row(row, axis, line_at) for row in rows]
    ticks = [
        element("text", {"x": axis.at(tick), "y": 13, "text-anchor": "middle", "class": "tick"}, tick_text(tick))
        for tick in axis.ticks
    ]
    scale = element("svg", {"class": "track", "height": 18, "aria-hidden": "true"}, *ticks)
    foot = element("div", {"class": "chart-row chart-axis"}, element("div"), scale, element("div"))
    return element("div", {"class": "chart"}, *body, foot)


def _chart_row(row: Row, axis: Axis, line_at: float | None) -> Markup:
    middle = ROW_HEIGHT / 2
    parts = [_line(axis.at(t), axis.at(t), "grid", 0, ROW_HEIGHT) for t in axis.ticks]
    if line_at is not None:
        parts.append(_line(axis.at(line_at), axis.at(line_at), "zero", 0, ROW_HEIGHT))
    if len(row.dots) > 1:
        ends = [dot.value for dot in row.dots]
        parts.append(_line(axis.at(min(ends)), axis.at(max(ends)), "bond", middle, middle))
    for dot in row.dots:
        if dot.ci95:
            parts.append(_line(axis.at(dot.ci95[0]), axis.at(dot.ci95[1]), f"ci {dot.role}", middle, middle))
    for dot in row.dots:
        parts.append(element("circle", {"cx": axis.at(dot.value), "cy": middle, "r": 5, "class": f"dot {dot.role}"}))
    if len(row.dots) > 1:
        parts += _value_labels(row.dots, axis, middle)
    label = {"role": "img", "aria-label": row.told}
    track = element("svg", {"class": "track", "height": ROW_HEIGHT, **label}, *parts)
    name = element("div", {"class": "chart-label"}, row.label)
    return element("div", {"class": "chart-row"}, name, track, element("div", {"class": "chart-note"}, row.note))


def _value_labels(dots: tuple[Dot, ...], axis: Axis, middle: float) -> list[Markup]:
    """The lower value to the left of its interval, the higher one to the right: they cannot collide."""
    low, high = sorted(dots, key=lambda dot: dot.value)[0], sorted(dots, key=lambda dot: dot.value)[-1]
    left = min(low.value, low.ci95[0] if low.ci95 else low.value)
    right = max(high.value, high.ci95[1] if high.ci95 else high.value)
    shared = {"y": middle + 4.5, "class": "value"}
    return [
        element("text", {"x": axis.at(left), "dx": -9, "text-anchor": "end", **shared}, number(low.value)),
        element("text", {"x": axis.at(right), "dx": 9, **shared}, number(high.value)),
    ]


def _line(x1: str, x2: str, kind: str, y1: float, y2: float) -> Markup:
    return element("line", {"x1": x1, "x2": x2, "y1": y1, "y2": y2, "class": kind})


def panel(
    title: str, ticks: Sequence[tuple[float, str]], plot: Markup, foot: Sequence[Markup], kind: str = ""
) -> Markup:
    """A small figure: a title, what stands at the left at which height (percent from the top), the plot, the x axis."""
    left = [element("span", {"style": f"top:{height:.1f}%"}, text) for height, text in ticks]
    return element(
        "figure",
        {"class": f"panel {kind}".strip()},
        element("figcaption", {}, title),
        element("div", {"class": "ticks"}, *left),
        plot,
        element("div", {"class": "steps"}, *foot),
    )


def stroke(name: str, attributes: Mapping[str, object]) -> Markup:
    """A line in a stretched plot: its width does not follow the panel's."""
    return element(name, {**attributes, "vector-effect": "non-scaling-stroke"})


def stretched(told: str, parts: Sequence[Markup]) -> Markup:
    """A plot of 100 by 100 units that fills its panel; `told` is what a screen reader says instead."""
    box = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "role": "img", "aria-label": told}
    return element("svg", box, *parts)


def tick_text(value: float) -> str:
    """A tick without needless zeros."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def gap_chart(summary: Summary, benchmark: str) -> Markup | None:
    """Both views of the gap, typed and spoken, for every model that has both, on the full scale of 0 to 100."""
    rows = []
    first, second = (view_label(view).lower() for view in summary.pair)
    for model, result in summary.on(benchmark).items():
        if not set(summary.pair) <= result.views.keys():
            continue
        typed, spoken = (result.views[view] for view in summary.pair)
        gap = result.gap.value if result.gap else typed.score - spoken.score
        words = (
            f"{model_label(model)}: {first} {number(typed.score)}, {second} {number(spoken.score)}, gap {number(gap)}"
        )
        dots = (Dot(typed.score, typed.ci95, "typed"), Dot(spoken.score, spoken.ci95, "spoken"))
        rows.append(Row(model_label(model), dots, f"gap {number(gap)}", words))
    return dot_chart(rows, Axis(0, 100, (0, 20, 40, 60, 80, 100))) if rows else None


def comparison_chart(comparisons: Sequence[Comparison]) -> Markup | None:
    """Paired differences with intervals around a line at 0."""
    if not comparisons:
        return None
    rows, several_views = [], len({c.view for c in comparisons}) > 1
    for c in comparisons:
        label = f"{model_label(c.a)} \N{MINUS SIGN} {model_label(c.b)}"
        label += f" ({view_label(c.view).lower()})" if several_views else ""
        words = f"{label}: {number(c.value, signed=True)} points, 95 % interval {interval(c.ci95)}"
        rows.append(Row(label, (Dot(c.value, c.ci95, "plain"),), number(c.value, signed=True), words))
    return dot_chart(rows, nice_axis([0.0, *(end for c in comparisons for end in c.ci95)]), line_at=0)


def ablation_charts(summary: Summary) -> list[tuple[str, Markup]]:
    """One dot chart per benchmark of the ablation, in the order in which the rows name them."""
    charts = []
    for benchmark in dict.fromkeys(name for cells in summary.ablation.values() for name in cells):
        rows, ends = [], []
        for name, cells in summary.ablation.items():
            if benchmark not in cells:
                continue
            cell = cells[benchmark]
            ends += [cell.score, *(cell.ci95 or ())]
            words = f"{name}: {number(cell.score)}" + (f", 95 % interval {interval(cell.ci95)}" if cell.ci95 else "")
            rows.append(Row(name, (Dot(cell.score, cell.ci95, "plain"),), number(cell.score), words))
        charts.append((benchmark, dot_chart(rows, nice_axis(ends))))
    return charts
