"""Results of the same models and questions under another speech condition: other voices, or noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earwise.evaluate.recovery import recovery
from earwise.evaluate.summary import Json, ScoreTable, difference, per_voice, summarise_models
from earwise.recipe.model import BASE
from earwise.records import Score, View
from earwise.views import SPOKEN_VIEWS


def condition_results(
    scores: Mapping[int, Sequence[Score]], answered: Mapping[int, Sequence[Score]], text: View, speech: View
) -> Json:
    """`{"models", "recovery", "per_voice"}` of one condition.

    `models` has the form of the summary's main results, and for each benchmark `changes`, by view: the score under the
    condition minus that on the test clips, in points, paired by item. No condition changes typed scores, so they are
    those of the same items.

    Args:
        scores: by seed, of the evaluation itself.
        answered: by seed, the scores under the condition, of spoken views.
        text: the typed view of the gap.
        speech: its spoken view.
    """
    asked = {seed: {(score.source, score.item) for score in many} for seed, many in answered.items()}
    same = {seed: [s for s in many if (s.source, s.item) in asked[seed]] for seed, many in scores.items()}
    typed = {seed: [score for score in many if score.view not in SPOKEN_VIEWS] for seed, many in same.items()}
    before = ScoreTable.of(same, BASE)
    after = ScoreTable.of({seed: [*typed[seed], *many] for seed, many in answered.items()}, BASE)
    answering = dict.fromkeys(score.model for many in answered.values() for score in many)
    results = {name: of for name, of in summarise_models(after, text, speech).items() if name in answering}
    for model, benchmarks in results.items():
        for benchmark, result in benchmarks.items():
            result["changes"] = _changes(before, after, model, benchmark)
    kept = {name: of for name, of in recovery(after, text, speech).items() if name in answering}
    return {"models": results, "recovery": kept, "per_voice": per_voice(after, speech)}


def _changes(before: ScoreTable, after: ScoreTable, model: str, benchmark: str) -> dict[str, Json]:
    """By spoken view, after minus before."""
    changes: dict[str, Json] = {}
    for view in after.views(model, benchmark):
        first, second = after.get(model, benchmark, view), before.get(model, benchmark, view)
        if view in SPOKEN_VIEWS and first and second:
            changes[view] = difference(benchmark, first, second)
    return changes
