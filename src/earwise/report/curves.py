"""Training curves: read from a run folder, drawn as small panels."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from earwise.errors import InputError
from earwise.report.charts import log_axis, nice_axis, panel, stretched, stroke, tick_text
from earwise.report.markup import element

LOSS, TERMS = "loss", "terms/"
"""The loss's key in a line of metrics, and the prefix of its terms' keys."""
SMOOTH_BUCKETS = 60
LOG_RATIO = 20.0
"""A positive curve with a larger ratio of maximum to minimum has a logarithmic axis."""


@dataclass(frozen=True)
class Curve:
    """One quantity over training steps; `points` are finite and in the order of steps."""

    name: str
    points: tuple[tuple[int, float], ...]

    @property
    def logarithmic(self) -> bool:
        """Whether a linear axis would hide the end of the training run."""
        values = [value for _, value in self.points]
        return min(values) > 0 and max(values) / min(values) > LOG_RATIO


@dataclass(frozen=True)
class Training:
    """The curves of one training stage: the loss, then one per term; `left_out` counts values that were not finite."""

    name: str
    curves: tuple[Curve, ...]
    steps: int
    left_out: int


def read_trainings(folder: Path, order: tuple[str, ...]) -> list[Training]:
    """Every `metrics.jsonl` with a loss under `stages/`; stages named in `order` come first and in that order."""
    stages = folder / "stages"
    found = {path.parent.relative_to(stages).as_posix(): path for path in stages.rglob("metrics.jsonl")}
    rank = {name: i for i, name in enumerate(order)}
    names = sorted(found, key=lambda name: (rank.get(name, len(rank)), name))
    return [training for name in names if (training := read_training(name, found[name])).curves]


def read_training(name: str, path: Path) -> Training:
    """The curves of one `metrics.jsonl`.

    A step that was written twice counts once, with its last values. A last line without a newline belongs to a training
    run in progress and is not read yet. Raises `InputError` with file and line number for any other broken line.
    """
    values: dict[str, dict[int, float]] = {}
    for line_number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        step, named = _read_line(line, path, line_number)
        for quantity, value in named.items():
            values.setdefault(quantity, {})[step] = value
    finite = {quantity: {s: v for s, v in by_step.items() if math.isfinite(v)} for quantity, by_step in values.items()}
    left_out = sum(len(values[quantity]) - len(finite[quantity]) for quantity in values)
    if len(finite) == 2:  # A single term of weight 1 equals the loss, so one panel suffices.
        finite = {quantity: v for quantity, v in finite.items() if quantity == LOSS or v != finite[LOSS]}
    curves = tuple(Curve(quantity, tuple(sorted(by_step.items()))) for quantity, by_step in finite.items() if by_step)
    return Training(name, curves, max((curve.points[-1][0] for curve in curves), default=0), left_out)


def _read_line(line: str, path: Path, line_number: int) -> tuple[int, dict[str, float]]:
    """Step, loss and terms of one line; nothing from a line without a loss, such as an evaluation's."""
    try:
        record = json.loads(line)
        step = int(record["step"])
        if LOSS not in record:
            return step, {}
        terms = {key.removeprefix(TERMS): value for key, value in record.items() if key.startswith(TERMS)}
        return step, {key: float(value) for key, value in {LOSS: record[LOSS], **terms}.items()}
    except (ValueError, KeyError, TypeError) as error:
        what = f"not a metrics line: {type(error).__name__} {error}"
        raise InputError(what, file=path, record=f"line {line_number}", remedy="run the training stage again") from None


def smooth(points: Sequence[tuple[int, float]], buckets: int = SMOOTH_BUCKETS) -> list[tuple[float, float]]:
    """Mean step and mean value of consecutive groups of equal size; short curves stay as they are."""
    if len(points) <= buckets:
        return [(float(step), value) for step, value in points]
    edges = [round(i * len(points) / buckets) for i in range(buckets + 1)]
    groups = [points[start:end] for start, end in itertools.pairwise(edges)]
    return [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups]


def curve_panel(curve: Curve) -> Markup:
    """One small panel: the raw curve, pale, and its mean over groups of steps."""
    log = curve.logarithmic
    scaled = [(step, math.log10(value) if log else value) for step, value in curve.points]
    values = [value for _, value in curve.points]
    axis = log_axis(values) if log else nice_axis(values, ticks=3)
    first, last = scaled[0][0], max(scaled[-1][0], scaled[0][0] + 1)

    def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
        pairs = (f"{100 * (step - first) / (last - first):.2f},{axis.down(value):.2f}" for step, value in points)
        return stroke("polyline", {"points": " ".join(pairs), "class": kind})

    heights = {tick: axis.down(tick) for tick in axis.ticks}
    grid = [stroke("line", {"x1": 0, "x2": 100, "y1": y, "y2": y, "class": "grid"}) for y in heights.values()]
    start, end = (tick_text(curve.points[i][1]) for i in (0, -1))
    told = f"{curve.name}: {start} at step {first}, {end} at step {last}"
    plot = stretched(told, [*grid, path(scaled, "raw"), path(smooth(scaled), "mean")])
    ticks = [(y, tick_text(10**tick if log else tick)) for tick, y in heights.items()]
    steps = [element("span", {}, str(first)), element("span", {}, f"step {last}")]
    return panel(curve.name + (" (log scale)" if log else ""), ticks, plot, steps)
