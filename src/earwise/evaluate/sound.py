"""How much of a score depends on the sound: the same questions with the sound, without it, with silence, with another.

Many questions about sounds can be answered without them (arXiv 2509.17901 reports four of five in AVQA from one muted
frame), so no score under `sound_text` is reported without its controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from earwise.errors import InputError
from earwise.evaluate.estimates import Cells, estimate, number
from earwise.evaluate.summary import Json, ScoreTable
from earwise.records import View

MAIN: Final[View] = "sound_text"
CONTROLS: Final[tuple[View, ...]] = ("text_only", "sound_off", "sound_swapped")


@dataclass(frozen=True)
class SoundGap:
    """The points that a benchmark loses without its sound: `sound_text` minus a control, paired."""

    control: View
    score: float
    """Under the control."""
    gap: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    """The gap of each seed."""

    @property
    def hears(self) -> bool:
        """Whether the sound helps: the 95 % interval of the gap is above 0."""
        return self.low > 0


def sound_gaps(name: str, cells: Mapping[View, Cells]) -> list[SoundGap]:
    """The gaps of benchmark `name` to every control, with 95 % intervals over clusters; `cells` of one model, by view.
    Seeds are averaged item by item. Raises `InputError` if `sound_text` or a control was not scored, or was scored on
    other items.
    """
    if missing := [view for view in (MAIN, *CONTROLS) if not cells.get(view)]:
        raise InputError(f"no scores under {', '.join(missing)}", record=name, remedy="evaluate with the controls")
    gaps, main = [], cells[MAIN]
    for control in CONTROLS:
        other = cells[control]
        if [score.item for score in main[0]] != [score.item for score in other[0]]:
            raise InputError(f"{control} was scored on other items than {MAIN}", record=name, remedy="evaluate again")
        one = estimate(name, main, other)
        scores = [number(name, cell) for cell in other]
        by_seed = tuple(number(name, cell) - score for cell, score in zip(main, scores, strict=True))
        gaps.append(SoundGap(control, sum(scores) / len(scores), one.value, one.low, one.high, by_seed))
    return gaps


def summarise_sound(table: ScoreTable) -> dict[str, dict[str, Json]]:
    """`{MODEL: {BENCHMARK: {CONTROL: {"score", "gap", "ci95", "by_seed", "hears"}}}}` of benchmarks with sound."""
    summary: dict[str, dict[str, Json]] = {}
    for model in table.models:
        for benchmark in table.benchmarks:
            cells = {view: table.get(model, benchmark, view) for view in (MAIN, *CONTROLS)}
            if cells[MAIN]:
                summary.setdefault(model, {})[benchmark] = {
                    one.control: {
                        "score": one.score,
                        "gap": one.gap,
                        "ci95": [one.low, one.high],
                        "by_seed": list(one.by_seed),
                        "hears": one.hears,
                    }
                    for one in sound_gaps(benchmark, cells)
                }
    return summary
