"""Items of a benchmark from its file, and scores of answers to them."""

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
from earwise.records import Item, Prediction, Score, View

SCORED_BY = "scored_by"
"""Key of `Item.meta`: the rules (`rules.OWN`) that score an item of the user's own benchmark."""


def load_benchmark(name: str, folder: str | Path, options: object = None) -> list[Item]:
    """Items of benchmark `name` from its public file in `folder`, media paths relative to `folder`, `source` = `name`.
    Images that are embedded in the file, or cut from a picture, are written to the cache once. `options` belong to the
    benchmark: an `aro.Draw` for MMAlign, a list of test sessions for IEMOCAP; None means its default. Raises
    `InputError` naming the missing file or the broken record.
    """
    benchmark = find(name)
    path = Path(folder) / (benchmark.file.name if benchmark else f"{name}.jsonl")
    if not (benchmark.file.there(path) if benchmark else found_file(path)):
        known = "" if benchmark else f", or use one of: {', '.join(names())}"
        raise InputError(f"no file for benchmark {name!r}", file=path, remedy=f"put {path.name} there{known}")
    items = benchmark.read(path, benchmark.options if options is None else options) if benchmark else read_items(path)
    return [item if item.source == name else item.model_copy(update={"source": name}) for item in items]


def scorer_name(name: str, item: Item | None = None) -> str:
    """The name of the rules for benchmark `name`: itself, or for the user's own benchmark the rules in the item's
    `meta`, else `exact`.
    """
    if find_rules(name) is not None:
        return name
    scored_by = item.meta.get(SCORED_BY) if item is not None else None
    return scored_by if isinstance(scored_by, str) and scored_by in OWN else EXACT.name


def gold_answers(name: str, item: Item) -> tuple[str, ...]:
    """Accepted answers in an unambiguous form for the scorer of benchmark `name`. Options of MMAU and MMAR may be
    letters themselves (chords), so their gold option is given by its text, and so are emotions; AVQA's is given by its
    place from 0.
    """
    benchmark = find(name)
    return benchmark.gold(item) if benchmark is not None else item.answers


def scored(found: Prediction, item: Item, profile: str) -> Score:
    """The score of a prediction about `item`."""
    rule = find_scorer(scorer_name(found.source, item), profile)
    value = rule(gold_answers(found.source, item), found.text, item.choices)
    return Score(
        item=item.id,
        source=found.source,
        model=found.model,
        view=found.view,
        cluster=item.cluster,
        kind=item.kind,
        prediction=found.text,
        value=value or 0.0,
        invalid=value is None,
        profile=profile,
        voice=found.voice,
        heard=found.heard,
    )


@dataclass(frozen=True)
class Scored:
    """Scored answers. `missing` names the items without an answer, which count as wrong."""

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
    """Score answers from elsewhere, by item id. Every item counts, with or without an answer. (The released scorers of
    MMAU and MMAR silently skip rows without an answer.) Raises `InputError` for an answer to an unknown item.
    """
    if unknown := sorted(predictions.keys() - {item.id for item in items}):
        raise InputError(f"{len(unknown)} answers to items that are not asked, e.g. {unknown[0]}", record=name)
    scores, missing = [], []
    for item in items:
        text = predictions.get(item.id)
        one = scored(Prediction(item=item.id, source=name, model=model, view=view, text=text or ""), item, profile)
        if text is None:
            missing.append(item.id)
            one = one.model_copy(update={"value": 0.0, "invalid": True})
        scores.append(one)
    return Scored(scores, missing)
