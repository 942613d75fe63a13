"""Figures 2 and 8 of arXiv 2503.00059 with the numbers of one study: the share of yes, and the score over alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from earwise.evaluate.published import PrintedRow, rows
from earwise.report.charts import Axis, Dot, Row, dot_chart, nice_axis, panel, tick_text
from earwise.report.grids import Cell, Grid, GridGroup, GridRow, benchmark_label, share_cell
from earwise.report.markup import element
from earwise.report.paper_tables import paper_columns
from earwise.report.study import Study
from earwise.report.summary import Interval, Summary
from earwise.report.words import interval, number, percent, view_label

PERCENT = Axis(0, 100, (0, 25, 50, 75, 100))
EDGE, SPAN = 8.0, 84.0
"""Position of alpha 0 in a panel, and distance from there to alpha 1, in percent of its width."""
ASIDE = 1.2
"""Shift of each line in percent of the width, so that intervals do not cover each other."""


@dataclass(frozen=True)
class YesFigure:
    """One benchmark of figure 2: typed and spoken share of yes beside the true share, and a table of all views."""

    benchmark: str
    truth: str
    chart: Markup
    grid: Grid


@dataclass(frozen=True)
class Point:
    """A score at one alpha."""

    alpha: float
    value: float
    ci95: Interval | None


@dataclass(frozen=True)
class Line:
    """Scores over alpha; `rank` is the colour and the position in the legend."""

    label: str
    rank: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class AlphaFigure:
    """Figure 8: a panel per benchmark and one legend; `printed` holds the paper's curves if asked for."""

    legend: tuple[tuple[str, str], ...]
    panels: tuple[Markup, ...]
    printed_legend: tuple[tuple[str, str], ...]
    printed: Markup | None


def yes_figures(summary: Summary, study: Study) -> tuple[YesFigure, ...]:
    """Figure 2: per yes/no benchmark, the share of “yes” among answers and among gold answers."""
    return tuple(figure for name in summary.benchmarks if (figure := _yes_figure(summary, study, name)) is not None)


def _yes_figure(summary: Summary, study: Study, benchmark: str) -> YesFigure | None:
    results = summary.on(benchmark)
    truth = next((result.yes_truth for result in results.values() if result.yes_truth), None)
    if truth is None:
        return None
    lines = []
    for model in study.named:
        result = results.get(model)
        dots = []
        for view, role in zip(summary.pair, ("typed", "spoken"), strict=True):
            score = result.views.get(view) if result else None
            if score and score.yes_rate is not None:
                ends = score.yes_ci95
                dots.append(Dot(100 * score.yes_rate, (100 * ends[0], 100 * ends[1]) if ends else None, role))
        if len(dots) == 2:
            label = study.label(model)
            off = number(dots[1].value - 100 * truth.share, signed=True)
            told = f"{label}: typed {number(dots[0].value)} % yes, spoken {number(dots[1].value)} %; gold "
            lines.append(Row(label, tuple(dots), off, told + percent(truth.share)))
    if not lines:
        return None
    chart = dot_chart(lines, PERCENT, line_at=100 * truth.share)
    said = f"{percent(truth.share)} of the gold answers are yes (n {truth.n:,})"
    return YesFigure(benchmark_label(benchmark), said, chart, _yes_grid(summary, study, benchmark))


def _yes_grid(summary: Summary, study: Study, benchmark: str) -> Grid:
    views = summary.views(benchmark)
    lines = []
    for model, result in summary.on(benchmark).items():
        cells: list[Cell | None] = []
        for score in (result.views.get(view) for view in views):
            cell = share_cell(score.yes_rate, score.yes_ci95) if score else None
            invalid = f"invalid {percent(score.invalid_rate)}" if score else ""
            cells.append(Cell(cell.text, (*cell.small, invalid)) if cell else None)
        lines.append(GridRow(study.label(model), (*cells, Cell(f"{result.n:,}"))))
    heads = (*((view_label(view), "") for view in views), ("n", "items"))
    caption = f"Share of “yes” answers in percent, {benchmark_label(benchmark)}"
    return Grid(caption, "Model", heads, (GridGroup("", tuple(lines)),))


def alpha_figure(summary: Summary, study: Study) -> AlphaFigure | None:
    """Figure 8; None unless some regime has three alphas, because two points are no curve."""
    regimes = [regime for regime in study.regimes if len(regime.alphas) > 2]
    if not regimes:
        return None
    panels = []
    for name in paper_columns(summary):
        lines = []
        for rank, regime in enumerate(regimes):
            points = []
            for training in regime.alphas:
                result = summary.models[training.name].get(name)
                score = result.views.get(summary.pair.speech) if result else None
                if score and training.alpha is not None:
                    points.append(Point(training.alpha, score.score, score.ci95))
            lines.append(Line(regime.label, rank, tuple(points)))
        panels.append(alpha_panel(benchmark_label(name), [line for line in lines if line.points]))
    curves = _printed_curves() if study.published else []
    return AlphaFigure(
        legend=tuple((f"line-{rank}", regime.label) for rank, regime in enumerate(regimes)),
        panels=tuple(panels),
        printed_legend=tuple((f"line-{curve.rank}", curve.label) for curve in curves),
        printed=alpha_panel("Printed: mean of 8", curves) if curves else None,
    )


def _printed_curves() -> list[Line]:
    by_model: dict[str, list[PrintedRow]] = {}
    for row in rows(5):
        by_model.setdefault(row.model, []).append(row)
    return [
        Line(model, rank, tuple(Point(r.alpha, r.average, None) for r in some if r.alpha is not None and r.average))
        for rank, (model, some) in enumerate(by_model.items(), start=2)
    ]


def alpha_panel(title: str, lines: Sequence[Line]) -> Markup:
    """Scores over alpha with intervals; the axis spans the data and need not start at 0."""
    points = [point for line in lines for point in line.points]
    axis = nice_axis([v for p in points for v in (p.value, *(p.ci95 or ()))], ticks=4)
    parts = [_line(("0%", "100%"), (y, y), "grid") for y in (_height(axis, tick) for tick in axis.ticks)]
    for line in lines:
        parts += _curve(line, axis)
    told = "; ".join(f"{line.label}: {', '.join(_told(p) for p in line.points)}" for line in lines)
    plot = element("svg", {"role": "img", "aria-label": f"{title}, score over alpha. {told}"}, *parts)
    ticks = [(axis.down(tick), tick_text(tick)) for tick in axis.ticks]
    alphas = sorted({point.alpha for point in points})
    ends = [element("span", {"style": f"left:{_across(alpha)}"}, f"{alpha:g}") for alpha in alphas]
    return panel(title, ticks, plot, ends, "alphas")


def _curve(line: Line, axis: Axis) -> list[Markup]:
    aside = (line.rank % 2 - 0.5) * 2 * ASIDE
    across = [_across(point.alpha, aside) for point in line.points]
    level = [_height(axis, point.value) for point in line.points]
    parts = []
    for n in range(1, len(across)):
        parts.append(_line((across[n - 1], across[n]), (level[n - 1], level[n]), f"curve line-{line.rank}"))
    for x, y, point in zip(across, level, line.points, strict=True):
        if point.ci95:
            low, high = (_height(axis, end) for end in point.ci95)
            parts.append(_line((x, x), (low, high), f"whisker line-{line.rank}"))
        parts.append(element("circle", {"cx": x, "cy": y, "r": 4, "class": f"spot line-{line.rank}"}))
    return parts


def _line(x: tuple[str, str], y: tuple[str, str], kind: str) -> Markup:
    return element("line", {"x1": x[0], "x2": x[1], "y1": y[0], "y2": y[1], "class": kind})


def _across(alpha: float, aside: float = 0.0) -> str:
    return f"{EDGE + SPAN * alpha + aside:.2f}%"


def _height(axis: Axis, value: float) -> str:
    return f"{axis.down(value):.2f}%"


def _told(point: Point) -> str:
    ends = f" ({interval(point.ci95)})" if point.ci95 else ""
    return f"{number(point.value)}{ends} at {point.alpha:g}"
