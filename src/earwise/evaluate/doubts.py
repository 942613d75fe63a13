"""Results that look like a mistake in a benchmark's file, columns or scoring, and not like a model: typed scores of
about nothing, or of guessing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from earwise.data.choices import LETTERS
from earwise.evaluate.benchmarks.outcome import asks_yes_no
from earwise.evaluate.gap import Z
from earwise.evaluate.summary import ScoreTable
from earwise.records import Item, Score, View
from earwise.views import view_spec

ABOUT_NOTHING: Final = 1.0
"""A share of right answers up to this, in percent, is about 0."""
ABOVE_CHANCE: Final = 5.0
"""A share that is more points than this above that of guessing is no guessing, however few items there are."""
SHOWN: Final = 5
"""Answers that are shown beside their gold ones."""


def doubts(
    table: ScoreTable,
    items: Mapping[str, Sequence[Item]],
    asked: Mapping[str, Sequence[View]],
    own_yes_no: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """`{"model", "benchmark", "view", "right", "chance", "n", "examples"}` of each model that answers a benchmark's
    typed questions with about no success, or with no more than guessing has.

    Args:
        table: all scores.
        items: of each benchmark.
        asked: the views of each benchmark, in order.
        own_yes_no: benchmarks of one's own that ask for yes or no.
    """
    found = []
    for benchmark, some in items.items():
        view = typed_view(asked[benchmark])
        chance = chance_of(some, yes_no=benchmark in own_yes_no or asks_yes_no(benchmark))
        for model in table.models if view is not None else ():
            cells = table.get(model, benchmark, view) if view is not None else []
            # Answers that were lent by the base are the base's.
            if not cells or cells[0][0].model != model:
                continue
            right = 100 * sum(score.value for cell in cells for score in cell) / sum(map(len, cells))
            if is_doubtful(right, chance, len(cells[0])):
                named = {"model": model, "benchmark": benchmark, "view": view, "right": right, "chance": chance}
                found.append({**named, "n": len(cells[0]), "examples": examples(cells[0], some)})
    return found


def typed_view(views: Sequence[View]) -> View | None:
    """The first view that shows what a question is about and asks it as it is written; the bare question where no view
    shows more. Controls are none.
    """
    typed = [view for view in views if view_spec(view).query == "text"]
    shown = [view for view in typed if view_spec(view).context not in ("silence", "other_sound", "none")]
    return next(iter([*shown, *(view for view in typed if view_spec(view).context == "none")]), None)


def chance_of(items: Sequence[Item], *, yes_no: bool) -> float | None:
    """The percentage that guessing gets right: of k options one, of yes and no half; None for open questions."""
    if yes_no:
        return 50.0
    if not items or not all(item.choices for item in items):
        return None
    return 100 * sum(1 / len(item.choices) for item in items) / len(items)


def is_doubtful(right: float, chance: float | None, n: int) -> bool:
    """Whether so many percent of n answers are about none, or no more than guessing is likely to get right."""
    if right <= ABOUT_NOTHING or chance is None:
        return right <= ABOUT_NOTHING
    spread = Z * math.sqrt(chance * (100 - chance) / n)
    return right - chance <= min(spread, ABOVE_CHANCE)


def examples(scores: Sequence[Score], items: Sequence[Item]) -> list[dict[str, str]]:
    """The first wrong answers in the order of the items, each with its question and gold answers."""
    wrong = {score.item: score for score in scores if score.value < 1}
    return [
        {"item": item.id, "question": item.question, "answer": wrong[item.id].prediction, "gold": gold_in_words(item)}
        for item in [item for item in items if item.id in wrong][:SHOWN]
    ]


def gold_in_words(item: Item) -> str:
    """`B. blue`, or the accepted answers."""
    if item.choices and item.answers[0] in LETTERS[: len(item.choices)]:
        return f"{item.answers[0]}. {item.choices[LETTERS.index(item.answers[0])]}"
    return " / ".join(dict.fromkeys(answer.strip() for answer in item.answers if answer.strip()))
