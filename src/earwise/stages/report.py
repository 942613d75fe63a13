"""Stage `report`: `summary.json` from all scores, and the page that a person reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from earwise.data.items import read_items
from earwise.data.media import resolve
from earwise.data.video import sound_file
from earwise.errors import InputError
from earwise.evaluate.ablation import ablation_gains, ablation_rows
from earwise.evaluate.faithful import Truth, compare_faithfulness, read_truth, summarise_faithfulness
from earwise.evaluate.filters import summarise_filters
from earwise.evaluate.guards import guard_changes
from earwise.evaluate.recovery import recovery
from earwise.evaluate.runner import check_pairing
from earwise.evaluate.sound import MAIN, summarise_sound
from earwise.evaluate.summary import ScoreTable, compare, per_voice, summarise_models
from earwise.recipe.checks import guard_pairs
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.records import Clip, Item, Score, Trace, View
from earwise.report import Answer, ShownItem, build_report
from earwise.report.console import show_result
from earwise.report.summary import PAGE, SUMMARY
from earwise.speech.clips import read_clips
from earwise.stages.choice import choices
from earwise.stages.conditions import summarise_conditions
from earwise.stages.data import benchmark_items
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.descriptions import NAME as DESCRIBED
from earwise.stages.declared.evaluation import asked_views, stage_name
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.speech import clip_folder, spoken_files
from earwise.stages.declared.traces import NAME as DRAWN
from earwise.stages.declared.verify import NAME as VERIFY
from earwise.stages.descriptions import LEFT_OUT
from earwise.stages.evaluation import NOT_ASKED, SCORES
from earwise.stages.gate import summarise_gate
from earwise.stages.traces import COUNTS, DECISIONS, TRACES
from earwise.stages.verify import TRUST
from earwise.traces.filtering import Decision
from earwise.views import DESCRIBED_VIEWS
from earwise.work.provenance import versions
from earwise.work.run import StageContext
from earwise.work.store import read_json, read_jsonl, read_store, write_atomic

TRUTH: Final = "truth.jsonl"
"""Beside an item file, or the benchmarks: all that is heard in each sound, by the cluster of its items."""


def work(context: StageContext, recipe: Recipe) -> None:
    """Write `summary.json` and the page, and print the result."""
    scores = {seed: _scores(context, recipe, seed) for seed in recipe.seeds}
    _check_scores(context, recipe, scores)
    table = ScoreTable.of(scores, BASE)
    summary = _summary(context, recipe, scores, table)
    write_atomic(context.run_folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    shown = _shown_items(context, recipe, scores[recipe.seeds[0]])
    build_report(context.run_folder, shown, context.run_folder / PAGE)
    show_result(summary, context.run_folder / PAGE, context.say)


def _scores(context: StageContext, recipe: Recipe, seed: int) -> list[Score]:
    """All scores of a seed: the base's typed ones first, then each model's."""
    named = [BASE, *(name for name in recipe.evaluated if name != BASE)]
    folders = [context.folder_of(stage_name(name, seed)) for name in named if asked_views(recipe, name)]
    return [score for folder in folders for score in read_store(folder / SCORES, Score)]


def _check_scores(context: StageContext, recipe: Recipe, scores: Mapping[int, Sequence[Score]]) -> None:
    """Raise `InputError` unless every item that could be asked has a score of each model under each of its views."""
    assert recipe.evaluate is not None
    for name, items in benchmark_items(recipe, data_folder(recipe, context.folder_of(DATA))).items():
        left_out = _left_out(context, recipe, name)
        clips = _clips(context, recipe, name)
        asked = [item for item in items if (item.id in clips or recipe.speech is None) and item.id not in left_out]
        for seed, many in scores.items():
            own = [score for score in many if score.source == name]
            for model, view in sorted({(score.model, score.view) for score in own}):
                folder = context.folder_of(stage_name(model, seed))
                shown = _but(asked, folder / NOT_ASKED, name)
                try:
                    check_pairing([score for score in own if score.model == model], shown, view)
                except InputError as error:
                    remedy = f"delete the folder {folder} and run again"
                    raise InputError(f"{name}: {error.what}", file=folder / SCORES, remedy=remedy) from None


def _but(items: Sequence[Item], not_asked: Path, benchmark: str) -> list[Item]:
    """Items without those of which a model could not be shown the picture."""
    names = read_json(not_asked).get(benchmark, ()) if not_asked.exists() else ()
    return [item for item in items if item.id not in names]


def _left_out(context: StageContext, recipe: Recipe, benchmark: str) -> Collection[str]:
    """Items of a benchmark that no description tells of."""
    assert recipe.evaluate is not None
    if recipe.descriptions is None or not DESCRIBED_VIEWS & {*recipe.evaluate.asked(benchmark)}:
        return ()
    left_out: dict[str, str] = read_json(context.folder_of(DESCRIBED) / "benchmarks" / benchmark / LEFT_OUT)
    return left_out


def _say_versions(context: StageContext) -> dict[str, dict[str, str]]:
    """What other versions than those of today each stage was made with, told in one line where there are any."""
    now = context.versions
    others = {
        stage: other
        for stage, made in context.made_with.items()
        if (other := {name: version for name, version in made.items() if now.get(name, version) != version})
    }
    kinds = {name: sorted({made[name] for made in others.values() if name in made}) for name in now}
    told = ", ".join(f"{name} {' and '.join(was)} (now {now[name]})" for name, was in kinds.items() if was)
    if others:
        context.say(f"report: {len(others)} stages were made with other versions: {told}")
    return others


def _summary(
    context: StageContext, recipe: Recipe, scores: dict[int, list[Score]], table: ScoreTable
) -> dict[str, object]:
    assert recipe.evaluate is not None
    text, speech, main = recipe.evaluate.text_view, recipe.evaluate.speech_view, recipe.evaluate.main_view
    own = {name: (views[0], views[-1]) for name, views in recipe.evaluate.views_of.items()}
    models, last = summarise_models(table, text, speech, own), {name: view for name, (_, view) in own.items()}
    pairs = _pairs(recipe)
    rows = recipe.report.rows if recipe.report else {}
    baseline = (recipe.report and recipe.report.ablation_baseline) or next(iter(rows), None)
    return {
        "recipe": recipe.name,
        "seed": recipe.seeds[0],
        "seeds": list(recipe.seeds),
        "text_view": text,
        "speech_view": speech,
        "main_view": main,
        "models": models,
        "comparisons": [c for name in table.benchmarks for c in compare(table, pairs, name, last.get(name, main))],
        "ablation": ablation_rows(models, rows, main, last),
        "ablation_baseline": baseline,
        "ablation_gains": ablation_gains(table, rows, baseline, main, last) if baseline else {},
        "guards": _guards(recipe, table, last),
        "sound": summarise_sound(table),
        **_faithfulness(context, recipe, table, main),
        "traces": _traces(context, recipe),
        "voices": _voices(context, recipe, table, speech),
        "gate": summarise_gate(context, recipe, scores, text, speech),
        "recovery": recovery(table, text, speech),
        "conditions": summarise_conditions(context, recipe, scores, text, speech),
        "choices": choices(context, recipe),
        "timings_s": context.timings_s,
        "versions": versions(),
        "other_versions": _say_versions(context),
    }


def _guards(recipe: Recipe, table: ScoreTable, last: Mapping[str, View]) -> dict[str, Any]:
    """What trainings did to the guards; nothing for a recipe without any."""
    if recipe.guards is None or recipe.evaluate is None:
        return {}
    return guard_changes(table, guard_pairs(recipe), recipe.guards.benchmarks, recipe.evaluate.main_view, last)


def _pairs(recipe: Recipe) -> list[tuple[str, str]]:
    """Which models are compared: every training with the first one on the same data, and that one with the start."""
    pairs = []
    first: dict[tuple[str, ...], str] = {}
    for name, train in recipe.train.items():
        baseline = first.setdefault(tuple(part.data for part in train.each), name)
        pairs.append((name, train.start if baseline == name else baseline))
    return [(a, b) for a, b in pairs if {a, b} <= set(recipe.evaluated)]


def _truth(folder: Path) -> Truth:
    """What is known of the sounds of the items in `folder`; nothing where it has no such file."""
    path = folder / TRUTH
    return read_truth(path) if path.is_file() else {}


def _faithfulness(context: StageContext, recipe: Recipe, table: ScoreTable, view: View) -> dict[str, Any]:
    truth = _truth(data_folder(recipe, context.folder_of(DATA)) / "benchmarks")
    return {
        "faithfulness": summarise_faithfulness(table, truth, view) if truth else {},
        "faithfulness_gains": compare_faithfulness(table, truth, view) if truth else {},
    }


def _traces(context: StageContext, recipe: Recipe) -> dict[str, Any] | None:
    """What the filters of traces did, and how the checker was measured; None for a recipe without traces."""
    if recipe.traces is None:
        return None
    data, drawn = data_folder(recipe, context.folder_of(DATA)), context.folder_of(DRAWN)
    items = {item.id: item for item in read_items(data / f"{recipe.traces.items}.jsonl")}
    decisions, trust = read_jsonl(drawn / DECISIONS, Decision), None
    counts = read_json(drawn / COUNTS)
    spent = {"teacher": counts["teacher"]}
    if recipe.verify is not None:
        checked = context.folder_of(VERIFY)
        decisions += read_jsonl(checked / DECISIONS, Decision)
        trust = read_json(checked / TRUST)
        spent["checker"] = read_json(checked / COUNTS)["checker"]
    summary = summarise_filters(read_jsonl(drawn / TRACES, Trace), decisions, items, _truth(data))
    return summary | {"trust": trust, "failed": len(counts["failed"]), "spent": spent}


def _voices(context: StageContext, recipe: Recipe, table: ScoreTable, view: View) -> dict[str, object] | None:
    if recipe.speech is None or recipe.evaluate is None:
        return None
    folder = context.folder_of(SPEECH)
    parts = [part for train in recipe.train.values() for part in train.each]
    used: set[str] = {"train" if part.data == "train_other" else part.data for part in parts}
    used |= {recipe.align.data} if recipe.align else set()
    used &= set(spoken_files(recipe))
    train = {clip.voice for name in used for clip in read_clips(clip_folder(folder, name)).clips}
    test = {
        c.voice for n in recipe.evaluate.benchmarks for c in read_clips(clip_folder(folder, f"benchmarks/{n}")).clips
    }
    return {"train": len(train), "test": sorted(test), "per_voice": per_voice(table, view)}


def _shown_items(context: StageContext, recipe: Recipe, scores: list[Score]) -> list[ShownItem]:
    """Items spread evenly over each benchmark, so that every kind and every outcome has its chance to be seen."""
    assert recipe.evaluate is not None
    wanted = recipe.report.items if recipe.report else 0
    folder = data_folder(recipe, context.folder_of(DATA)) / "benchmarks"
    benchmarks = benchmark_items(recipe, folder.parent)
    answers: dict[tuple[str, str], dict[str, dict[str, Answer]]] = {}
    models = [name for name in recipe.evaluated if name != BASE]
    if not models or recipe.evaluate.main_view in asked_views(recipe, BASE):
        models = [BASE, *models]
    for score in scores:
        for model in models if score.model == BASE else [score.model]:
            given = answers.setdefault((score.source, score.item), {}).setdefault(model, {})
            given[score.view] = Answer(score.prediction, score.value, score.invalid, score.heard)
    shown = []
    for n, (benchmark, items) in enumerate(benchmarks.items()):
        clips = _clips(context, recipe, benchmark)
        clip_dir = clip_folder(context.folder_of(SPEECH), f"benchmarks/{benchmark}") if clips else folder
        asked = [item for item in items if (benchmark, item.id) in answers]
        share = wanted // len(benchmarks) + (n < wanted % len(benchmarks))
        for item in asked[:: max(1, len(asked) // max(share, 1))][:share]:
            clip = clips.get(item.id)
            shown.append(
                ShownItem(
                    item=item,
                    image_path=resolve(folder, item.image) if item.image else None,
                    clip=clip,
                    clip_path=clip_dir / clip.path if clip else None,
                    answers=answers[benchmark, item.id],
                    sound_path=_sound(item, folder) if MAIN in recipe.evaluate.views else None,
                )
            )
    return shown


def _clips(context: StageContext, recipe: Recipe, benchmark: str) -> dict[str, Clip]:
    if recipe.speech is None:
        return {}
    return {c.item: c for c in read_clips(clip_folder(context.folder_of(SPEECH), f"benchmarks/{benchmark}")).clips}


def _sound(item: Item, folder: Path) -> Path | None:
    """What an item that is asked by sound is about."""
    if item.audio is not None:
        return resolve(folder, item.audio)
    return sound_file(resolve(folder, item.video)) if item.video is not None else None
