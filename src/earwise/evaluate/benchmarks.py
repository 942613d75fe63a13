"""Benchmarks by name: the public file that holds them, the scorer they use, and how item scores become one number.

| name | file in the folder | number, 0-100 |
|---|---|---|
| `mme` | `MME.tsv` | (perception + cognition) / 28 |
| `hallusionbench` | `HallusionBench.tsv` | mean of aAcc, fAcc and qAcc |
| `realworldqa` | `RealWorldQA.tsv` | accuracy |
| `textvqa` | `TextVQA_VAL.tsv` | VQA accuracy |
| `chartqa_human`, `chartqa_augmented` | `ChartQA_TEST.tsv`, split `test_human`, `test_augmented` | relaxed accuracy |
| `docvqa`, `infovqa` | `DocVQA_VAL.tsv`, `InfoVQA_VAL.tsv` | ANLS |
| `mmalign_relation`, `mmalign_attribute` | `visual_genome_relation.json`, `visual_genome_attribution.json` | accuracy |
| `mmau` | `mmau-test-mini.json` | accuracy; `by_kind` for sound, music and speech |
| `mmau_sound`, `mmau_music`, `mmau_speech` | the same file, items of one task | accuracy |
| `mmar` | `MMAR-meta.jsonl` | accuracy |
| `avqa` | `val_qa.json` | accuracy |
| `music_avqa` | `avqa-test.json` of folder `json_update` | accuracy; `by_kind` for the nine cells |
| `meld` | `test_sent_emo.csv` | unweighted accuracy; `emotion.emotion_totals` has more |
| `iemocap` | folder `IEMOCAP_full_release` | the same |
| any other NAME | `NAME.jsonl`, one `Item` per line | exact match, or accuracy of the option letter |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.aro import PUBLISHED, Draw, read_aro
from earwise.data.audit import PUBLIC
from earwise.data.choices import LETTERS
from earwise.data.iemocap import TEST as IEMOCAP_TEST
from earwise.data.iemocap import read_iemocap
from earwise.data.items import read_items
from earwise.data.tsv import KNOWN_DEFECTS, read_tsv
from earwise.errors import InputError
from earwise.evaluate.gap import metric_interval
from earwise.evaluate.scoring import SCORERS, SPLITS, find_scorer, read
from earwise.evaluate.totals import metric, partners_by_item
from earwise.evaluate.yes_no import parse_strict
from earwise.io.files import found_file
from earwise.records import Item, Score, View

YES_NO: Final = frozenset({"mme", "hallusionbench"})
"""Benchmarks whose share of yes is reported."""


def load_benchmark(
    name: str, folder: str | Path, draw: Draw = PUBLISHED, sessions: Sequence[int] = IEMOCAP_TEST
) -> list[Item]:
    """Items of benchmark `name` from its public file in `folder`, media paths relative to `folder`, `source` = `name`.

    Images that are inside the file, or are parts of a picture, are written to a folder beside it once. `draw` says how
    MMAlign is made, `sessions` which of IEMOCAP are tested. Raises `InputError` naming the file that is looked for, or
    the record that is broken.
    """
    public = PUBLIC.get(name)
    path = Path(folder) / (public.name if public else f"{name}.jsonl")
    if not (public.there(path) if public else found_file(path)):
        known = "" if public else f", or use one of: {', '.join(PUBLIC)}"
        raise InputError(f"no file for benchmark {name!r}", file=path, remedy=f"put {path.name} there{known}")
    if public is None:
        items = read_items(path)
    elif name == "iemocap":
        items = read_iemocap(path, sessions=sessions)
    elif public.sounds is not None:
        items = public.sounds(path)
    elif public.aro is not None:
        items = read_aro(path, public.aro, count=draw.count, seed=draw.seed, crop=draw.crop, symmetric=draw.symmetric)
    else:
        items = read_tsv(path, public.layout, split=public.split, known_defects=KNOWN_DEFECTS.get(public.layout))
    return [item if item.source == name else item.model_copy(update={"source": name}) for item in items]


def scorer_name(name: str) -> str:
    """The name under which `scoring.score` knows benchmark `name`: itself, or `exact` for an item file of one's own."""
    return name if name in SCORERS or name in SPLITS else "exact"


def gold_answers(name: str, item: Item) -> tuple[str, ...]:
    """Accepted answers in the form that the scorer of benchmark `name` takes them without doubt.

    Options of MMAU and MMAR may be letters themselves (chords), so their gold option is given by its text, and so are
    emotions; AVQA's by its place from 0.
    """
    if SPLITS.get(name, name) not in ("mmau", "mmar", "avqa", "meld", "iemocap") or not item.choices:
        return item.answers
    place = LETTERS.index(item.answers[0])
    return (str(place) if name == "avqa" else item.choices[place],)


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
    rule, scores, missing = find_scorer(scorer_name(name), profile), [], []
    for item in items:
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


def aggregate(name: str, scores: Sequence[Score]) -> float:
    """The benchmark's number, 0-100, over scores of one model under one view; `totals.metric` has the formulas."""
    return float(metric(name, scores)(np.ones((1, len(scores))))[0])


def aggregate_interval(name: str, scores: Sequence[Score], seed: int = 0) -> tuple[float, float, float]:
    """`aggregate` with its 95 % interval over clusters, as (value, low, high)."""
    return metric_interval(metric(name, scores), [score.cluster for score in scores], seed, bounds=(0.0, 100.0))


def aggregate_gap(
    name: str, first: Sequence[Score], second: Sequence[Score], seed: int = 0
) -> tuple[float, float, float]:
    """Difference of `aggregate` between two views of the same items, with its paired 95 % interval over clusters.

    For numbers that are means this is `gap.paired_gap` times 100; otherwise the difference of the totals. Raises
    `InputError` naming an item that only one side has.
    """
    partners = partners_by_item(second, name)
    if alone := sorted({score.item for score in first} ^ partners.keys()):
        raise InputError("scored under one view only", record=f"item {alone[0]}", remedy="score the same items twice")
    one, two = metric(name, first), metric(name, [partners[score.item] for score in first])
    groups = [score.cluster for score in first]
    return metric_interval(lambda weights: one(weights) - two(weights), groups, seed, bounds=(-100.0, 100.0))


def by_kind(name: str, scores: Sequence[Score]) -> dict[str, float]:
    """`aggregate` within each question kind, category or relation, in alphabetical order."""
    kinds = sorted({score.kind for score in scores})
    return {kind: aggregate(name, [score for score in scores if score.kind == kind]) for kind in kinds}


def invalid_rate(scores: Sequence[Score]) -> float:
    """Percentage of answers that could not be parsed (and count as wrong)."""
    return 100 * sum(score.invalid for score in scores) / len(scores)


def yes_rate(name: str, scores: Sequence[Score]) -> float | None:
    """Percentage of answers that say yes, of all answers; None if the benchmark does not ask yes/no questions."""
    if name not in YES_NO:
        return None
    answers = (read(name, score.prediction, score.profile) for score in scores)
    return 100 * sum(answer is not None and parse_strict(answer) == "yes" for answer in answers) / len(scores)
