"""Items of a benchmark from its file, and answers to them scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from earwise.data.items import read_items
from earwise.errors import InputError
from earwise.evaluate.benchmarks.registry import find, find_rules, names
from earwise.evaluate.benchmarks.rules import EXACT, OWN
from earwise.evaluate.benchmarks.scorers import find_scorer
from earwise.io.files import found_file
from earwise.records import Item, Score, View

SCORED_BY = "scored_by"
"""Key of `Item.meta`: the rules (`rules.OWN`) that score an item of a benchmark of one's own."""


def load_benchmark(name: str, folder: str | Path, options: object = None) -> list[Item]:
    """Items of benchmark `name` from its public file in `folder`, media paths relative to `folder`, `source` = `name`.

    Images that are inside the file, or are parts of a picture, are written to the cache once. `options` are of the kind
    that the benchmark has: `aro.Draw` says how MMAlign is made, a list of sessions which of IEMOCAP are tested; None
    leaves what the benchmark says. Raises `InputError` naming the file that is looked for, or the record that is
    broken.
    """
    benchmark = find(name)
    path = Path(folder) / (benchmark.file.name if benchmark else f"{name}.jsonl")
    if not (benchmark.file.there(path) if benchmark else found_file(path)):
        known = "" if benchmark else f", or use one of: {', '.join(names())}"
        raise InputError(f"no file for benchmark {name!r}", file=path, remedy=f"put {path.name} there{known}")
    items = benchmark.read(path, benchmark.options if options is None else options) if benchmark else read_items(path)
    return [item if item.source == name else item.model_copy(update={"source": name}) for item in items]


def scorer_name(name: str, item: Item | None = None) -> str:
    """The name under which `scoring.score` knows benchmark `name`: itself, or for one's own what its items say: `exact`
    for an item file.
    """
    if find_rules(name) is not None:
        return name
    scored_by = item.meta.get(SCORED_BY) if item is not None else None
    return scored_by if isinstance(scored_by, str) and scored_by in OWN else EXACT.name


def gold_answers(name: str, item: Item) -> tuple[str, ...]:
    """Accepted answers in the form that the scorer of benchmark `name` takes them without doubt.

    Options of MMAU and MMAR may be letters themselves (chords), so their gold option is given by its text, and so are
    emotions; AVQA's by its place from 0.
    """
    benchmark = find(name)
    return benchmark.gold(item) if benchmark is not None else item.answers


@dataclass(frozen=True)
class Scored:
    """Somebody's answers, scored. `missing` names the items without an answer: each counts as wrong."""

    scores: Sequence[Score]
    missing: Sequence[str]


def score_predictions(
    name: str,
    items: Sequence[Item],
    predictions: Mapping[str, str | None],
    *,
    model: str,
    view: View,
    profile: str = "strict",
) -> Scored:
    """Score answers that were made elsewhere, by item id. Every item stays in the denominator.

    The released scorers of MMAU and MMAR skip rows without an answer without a word. Raises `InputError` for an answer
    to an item that is not asked.
    """
    if unknown := sorted(predictions.keys() - {item.id for item in items}):
        raise InputError(f"{len(unknown)} answers to items that are not asked, e.g. {unknown[0]}", record=name)
    scores, missing = [], []
    for item in items:
        rule = find_scorer(scorer_name(name, item), profile)
        prediction = predictions.get(item.id)
        if prediction is None:
            missing.append(item.id)
        value = None if prediction is None else rule(gold_answers(name, item), prediction, item.choices)
        scores.append(
            Score(
                item=item.id,
                source=name,
                model=model,
                view=view,
                cluster=item.cluster,
                kind=item.kind,
                prediction=prediction or "",
                value=value or 0.0,
                invalid=value is None,
                profile=profile,
            )
        )
    return Scored(scores, missing)
