"""Finds results that look like a mistake in a benchmark's file, columns or scoring: scores near zero or chance."""

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
"""Percentage of right answers that counts as about 0."""
ABOVE_CHANCE: Final = 5.0
"""Points above chance that are no chance result, however few items there are."""
SHOWN: Final = 5
"""Number of example answers."""


def doubts(
    table: ScoreTable,
    items: Mapping[str, Sequence[Item]],
    asked: Mapping[str, Sequence[View]],
    own_yes_no: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """`{"model", "benchmark", "view", "right", "chance", "n", "examples"}` of each model that answers a benchmark's
    typed questions about never, or no better than chance.

    Args:
        table: all scores.
        items: of each benchmark.
        asked: the views of each benchmark, in order.
        own_yes_no: the user's own benchmarks that ask for yes or no.
    """
    found = []
    for benchmark, some in items.items():
        view = typed_view(asked[benchmark])
        chance = chance_of(some, yes_no=benchmark in own_yes_no or asks_yes_no(benchmark))
        for model in table.models if view is not None else ():
            cells = table.get(model, benchmark, view) if view is not None else []
            # Answers that are shared with the base are reported for the base only.
            if not cells or cells[0][0].model != model:
                continue
            right = 100 * sum(score.value for cell in cells for score in cell) / sum(map(len, cells))
            if is_doubtful(right, chance, len(cells[0])):
                named = {"model": model, "benchmark": benchmark, "view": view, "right": right, "chance": chance}
                found.append({**named, "n": len(cells[0]), "examples": examples(cells[0], some)})
    return found


def typed_view(views: Sequence[View]) -> View | None:
    """The first typed view that shows what the question is about; without such a view, the bare question. Not a
    control.
    """
    typed = [view for view in views if view_spec(view).query == "text"]
    shown = [view for view in typed if view_spec(view).context not in ("silence", "other_sound", "none")]
    return next(iter([*shown, *(view for view in typed if view_spec(view).context == "none")]), None)


def chance_of(items: Sequence[Item], *, yes_no: bool) -> float | None:
    """The percentage that guessing gets right: 1/k for k options, half for yes/no; None for open questions."""
    if yes_no:
        return 50.0
    if not items or not all(item.choices for item in items):
        return None
    return 100 * sum(1 / len(item.choices) for item in items) / len(items)


def is_doubtful(right: float, chance: float | None, n: int) -> bool:
    """Whether `right` percent of n answers is about none, or within the range of guessing."""
    if right <= ABOUT_NOTHING or chance is None:
        return right <= ABOUT_NOTHING
    spread = Z * math.sqrt(chance * (100 - chance) / n)
    return right - chance <= min(spread, ABOVE_CHANCE)


def examples(scores: Sequence[Score], items: Sequence[Item]) -> list[dict[str, str]]:
    """The first wrong answers, in item order, with question and gold answers."""
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
