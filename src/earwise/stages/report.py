"""Stage `report`: `summary.json` from all scores, and the page."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.evaluate.ablation import ablation_gains, ablation_rows
from earwise.evaluate.benchmarks.own import own_yes_no
from earwise.evaluate.conditions import condition_results
from earwise.evaluate.doubts import doubts
from earwise.evaluate.faithful import Truth, compare_faithfulness, read_truth, summarise_faithfulness
from earwise.evaluate.filters import summarise_filters
from earwise.evaluate.guards import guard_changes
from earwise.evaluate.recovery import recovery
from earwise.evaluate.runner import check_pairing
from earwise.evaluate.sound import summarise_sound
from earwise.evaluate.summary import ScoreTable, compare, per_voice, summarise_models
from earwise.recipe.model import BASE
from earwise.records import Clip, Item, Score, Trace, View
from earwise.report import Answer, ShownItem, build_report
from earwise.report.console import show_result
from earwise.report.summary import PAGE, SUMMARY, as_summary
from earwise.speech.clips import read_clips
from earwise.stages import likelihood
from earwise.stages.choice import choices
from earwise.stages.data import BENCHMARKS, benchmark_items, data_folder, items_of, sound_of
from earwise.stages.descriptions import LEFT_OUT
from earwise.stages.evaluation import NOT_ASKED, SCORES
from earwise.stages.gate import summarise_gate
from earwise.stages.jobs.evaluation import EvaluateJob
from earwise.stages.jobs.report import AskedBenchmark, ReportJob
from earwise.stages.traces import COUNTS, DECISIONS, TRACES
from earwise.stages.verify import TRUST
from earwise.traces.filtering import Decision
from earwise.views import SPOKEN_VIEWS
from earwise.work.job import StageContext
from earwise.work.provenance import versions
from earwise.work.store import read_json, read_jsonl, read_store, write_atomic

TRUTH: Final = "truth.jsonl"
"""File beside item files or benchmarks: all that is heard in each sound, by the cluster of its items."""


def work(context: StageContext, job: ReportJob) -> None:
    """Write `summary.json` and the page, and print the result."""
    scores = {seed: _scores(context, job, seed) for seed in job.seeds}
    _check_scores(context, job, scores)
    table = ScoreTable.of(scores, BASE)
    summary = _summary(context, job, scores, table)
    as_summary(summary)  # raises if the page could not read it
    write_atomic(context.run_folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    shown = _shown_items(context, job, scores[job.seeds[0]])
    build_report(context.run_folder, shown, context.run_folder / PAGE)
    show_result(summary, context.run_folder / PAGE, context.say)


def _scores(context: StageContext, job: ReportJob, seed: int) -> list[Score]:
    """All scores of a seed: the base's typed ones first, then each model's."""
    folders = [context.folder_of(one) for one in job.evaluations[seed]]
    return [score for folder in folders for score in read_store(folder / SCORES, Score)]


def _check_scores(context: StageContext, job: ReportJob, scores: Mapping[int, Sequence[Score]]) -> None:
    """Raise `InputError` unless every askable item has a score of each model under each of its views."""
    for benchmark in job.benchmarks:
        name, left_out, clips = benchmark.source.name, _left_out(context, benchmark), _clips(context, benchmark)
        items = benchmark_items(benchmark.source, data_folder(context, job.data))
        asked = [item for item in items if (item.id in clips or not job.speaks) and item.id not in left_out]
        for seed, many in scores.items():
            own = [score for score in many if score.source == name]
            evaluations = {one.model: one for one in job.evaluations[seed]}
            for model, view in sorted({(score.model, score.view) for score in own}):
                shown = _but(asked, _not_asked(context, evaluations[model], name))
                try:
                    check_pairing([score for score in own if score.model == model], shown, view)
                except InputError as error:
                    folder = context.folder_of(evaluations[model])
                    remedy = f"delete the folder {folder} and run again"
                    raise InputError(f"{name}: {error.what}", file=folder / SCORES, remedy=remedy) from None


def _not_asked(context: StageContext, evaluation: EvaluateJob, benchmark: str) -> Collection[str]:
    """Items whose pictures could not be shown to the model."""
    of = [one for one in evaluation.predictions if one.benchmark.name == benchmark]
    paths = [context.folder_of(one) / NOT_ASKED for one in of]
    return {item for path in paths if path.exists() for item in read_json(path)}


def _but(items: Sequence[Item], left_out: Collection[str]) -> list[Item]:
    return [item for item in items if item.id not in left_out]


def _left_out(context: StageContext, benchmark: AskedBenchmark) -> Collection[str]:
    """Items of a benchmark without a description."""
    if benchmark.descriptions is None:
        return ()
    left_out: dict[str, str] = read_json(context.folder_of(benchmark.descriptions) / LEFT_OUT)
    return left_out


def _say_versions(context: StageContext) -> dict[str, dict[str, str]]:
    """By stage, versions that differ from today's; printed in one line if there are any."""
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
    context: StageContext, job: ReportJob, scores: dict[int, list[Score]], table: ScoreTable
) -> dict[str, object]:
    text, speech, main = job.text_view, job.speech_view, job.main_view
    own = {one.source.name: (one.views[0], one.views[-1]) for one in job.benchmarks if one.views is not None}
    items = {one.source.name: benchmark_items(one.source, data_folder(context, job.data)) for one in job.benchmarks}
    yes_no = own_yes_no(items)
    models, last = summarise_models(table, text, speech, own, yes_no), {name: view for name, (_, view) in own.items()}
    rows = job.report.rows if job.report else {}
    baseline = (job.report and job.report.ablation_baseline) or next(iter(rows), None)
    return {
        "recipe": job.title,
        "seed": job.seeds[0],
        "seeds": list(job.seeds),
        "text_view": text,
        "speech_view": speech,
        "main_view": main,
        "models": models,
        "comparisons": [c for name in table.benchmarks for c in compare(table, job.pairs, name, last.get(name, main))],
        "ablation": ablation_rows(models, rows, main, last),
        "ablation_baseline": baseline,
        "ablation_gains": ablation_gains(table, rows, baseline, main, last) if baseline else {},
        "guards": guard_changes(table, job.guard_pairs, job.guards, main, last) if job.guards else {},
        "doubts": doubts(table, items, {one.source.name: one.asked for one in job.benchmarks}, yes_no),
        "sound": summarise_sound(table),
        **_faithfulness(context, job, table, main),
        "traces": _traces(context, job),
        "voices": _voices(context, job, table, speech),
        "gate": summarise_gate(context, job, scores),
        "recovery": recovery(table, text, speech),
        "likelihood": likelihood.summarise(context, list(job.likelihoods.values())),
        "conditions": _conditions(context, job, scores),
        "choices": choices(context, job),
        "timings_s": context.timings_s,
        "versions": versions(),
        "other_versions": _say_versions(context),
    }


def _truth(folder: Path) -> Truth:
    """What is known about the sounds of the items in `folder`; empty without such a file."""
    path = folder / TRUTH
    return read_truth(path) if path.is_file() else {}


def _faithfulness(context: StageContext, job: ReportJob, table: ScoreTable, view: View) -> dict[str, Any]:
    truth = _truth(data_folder(context, job.data) / BENCHMARKS)
    return {
        "faithfulness": summarise_faithfulness(table, truth, view) if truth else {},
        "faithfulness_gains": compare_faithfulness(table, truth, view) if truth else {},
    }


def _traces(context: StageContext, job: ReportJob) -> dict[str, Any] | None:
    """Results of the filters of traces and of the checker's own test; None for a recipe without traces."""
    if job.traces is None:
        return None
    drawn = context.folder_of(job.traces)
    items = {item.id: item for item in items_of(context, job.data, job.traces.traces.items)}
    decisions, trust = read_jsonl(drawn / DECISIONS, Decision), None
    counts = read_json(drawn / COUNTS)
    spent = {"teacher": counts["teacher"]}
    if job.verify is not None:
        checked = context.folder_of(job.verify)
        decisions += read_jsonl(checked / DECISIONS, Decision)
        trust = read_json(checked / TRUST)
        spent["checker"] = read_json(checked / COUNTS)["checker"]
    truth = _truth(data_folder(context, job.data))
    summary = summarise_filters(read_jsonl(drawn / TRACES, Trace), decisions, items, truth)
    return summary | {"trust": trust, "failed": len(counts["failed"]), "spent": spent}


def _voices(context: StageContext, job: ReportJob, table: ScoreTable, view: View) -> dict[str, object] | None:
    if not job.speaks:
        return None
    train = {clip.voice for one in job.training_clips for clip in read_clips(context.folder_of(one)).clips}
    test = {clip.voice for benchmark in job.benchmarks for clip in _clips(context, benchmark).values()}
    return {"train": len(train), "test": sorted(test), "per_voice": per_voice(table, view)}


def _conditions(context: StageContext, job: ReportJob, scores: Mapping[int, Sequence[Score]]) -> dict[str, Any]:
    """Each condition's engine and voices, and each model's results on its clips; `scores` are the evaluation's own."""
    found = {}
    for name, condition in job.conditions.items():
        answered = {
            seed: [score for one in evaluations for score in read_store(context.folder_of(one) / SCORES, Score)]
            for seed, evaluations in condition.evaluations.items()
        }
        made = [clip for clips in condition.clips for clip in read_clips(context.folder_of(clips)).clips]
        found[name] = {
            "engine": made[0].engine,
            "voices": sorted({clip.voice for clip in made}),
            "likelihood": likelihood.summarise(context, list(condition.likelihoods.values())),
            **condition_results(scores, answered, job.text_view, job.speech_view),
        }
    return found


def _shown_items(context: StageContext, job: ReportJob, scores: list[Score]) -> list[ShownItem]:
    """Items at even distances in each benchmark, so that all kinds and outcomes can appear."""
    wanted = job.report.items if job.report else 0
    answers: dict[tuple[str, str], dict[str, dict[str, Answer]]] = {}
    for score in scores:
        lent = score.model == BASE and score.view not in SPOKEN_VIEWS
        for model in job.models if lent else [score.model]:
            given = answers.setdefault((score.source, score.item), {}).setdefault(model, {})
            given[score.view] = Answer(score.prediction, score.value, score.invalid, score.heard)
    shown: list[ShownItem] = []
    for n, benchmark in enumerate(job.benchmarks):
        share = wanted // len(job.benchmarks) + (n < wanted % len(job.benchmarks))
        shown += _shown_of(context, job, benchmark, share, answers)
    return shown


def _shown_of(
    context: StageContext,
    job: ReportJob,
    benchmark: AskedBenchmark,
    share: int,
    answers: Mapping[tuple[str, str], dict[str, dict[str, Answer]]],
) -> Iterator[ShownItem]:
    """`share` items of a benchmark."""
    folder, name = data_folder(context, job.data), benchmark.source.name
    media, clips = folder / BENCHMARKS, _clips(context, benchmark)
    asked = [item for item in benchmark_items(benchmark.source, folder) if (name, item.id) in answers]
    for item in asked[:: max(1, len(asked) // max(share, 1))][:share]:
        clip = clips.get(item.id)
        spoken = context.folder_of(benchmark.clips) / clip.path if clip and benchmark.clips is not None else None
        yield ShownItem(
            item=item,
            image_path=resolve(media, item.image) if item.image else None,
            clip=clip,
            clip_path=spoken,
            answers=answers[name, item.id],
            sound_path=sound_of(item, media) if job.hears_sounds else None,
        )


def _clips(context: StageContext, benchmark: AskedBenchmark) -> dict[str, Clip]:
    if benchmark.clips is None:
        return {}
    return {clip.item: clip for clip in read_clips(context.folder_of(benchmark.clips)).clips}
