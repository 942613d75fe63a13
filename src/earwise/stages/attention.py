"""Stages `seedN/attention`, the decoder's attention under each view, and `attention`, the summary of all seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from earwise.attention.measure import Look
from earwise.attention.records import AttentionRow
from earwise.attention.runner import run_attention
from earwise.attention.summary import AttentionTable, summarise
from earwise.io.messages import counted
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.evaluate import Attention
from earwise.recipe.model import BASE
from earwise.records import Item, Score, View
from earwise.speech.clips import read_clips
from earwise.stages.data import BENCHMARKS, benchmark_items, data_folder
from earwise.stages.evaluation import SCORES
from earwise.stages.jobs.attention import RESULT, AttentionJob, PoolAttentionJob
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import telling_how_to_repair
from earwise.views import is_heard
from earwise.work.job import StageContext
from earwise.work.store import Store, read_store, write_atomic

ROWS = "rows.jsonl"


def work(context: StageContext, job: AttentionJob) -> None:
    """Measure every analysed model of one seed."""
    settings = job.attention
    look = Look(
        layers=None if settings.layers == "all" else settings.layers,
        response_rows=settings.response_rows,
        sink_share=settings.sink_share,
        reference=settings.views[0],
    )
    samples = _samples(context, job)
    with Store(context.folder / ROWS, AttentionRow) as store:
        for name, trained in job.models.items():
            base = trained is None
            model = (load_base(context, job.source) if base else load_start(context, job.source, trained)).eval()
            views = [view for view in settings.views if _reads(model, name, view)]
            for benchmark, some in samples.items():
                with telling_how_to_repair(context.run_folder / "stages" / "speech"):
                    run_attention(model, name, benchmark, some, views, look, store, settings.batch_size)
    rows = [read_store(context.folder / ROWS, AttentionRow)]
    benchmarks = [source.name for source in job.benchmarks]
    _write(context.folder / RESULT, settings, benchmarks, job.baseline, rows)


def _reads(model: OmniModel, name: str, view: View) -> bool:
    """Whether model `name` is measured under `view`. With a frozen decoder, a trained model treats a view without audio
    as the base does: it is measured once, on the base. A base that hears natively is measured under all views.
    """
    if name == BASE:
        return model.ears is not None or not is_heard(view)
    return model.lora is not None or model.decoder is not None or is_heard(view)


def pool(context: StageContext, job: PoolAttentionJob) -> None:
    """Summarise the rows of all seeds together."""
    seeds = [read_store(context.folder_of(one) / ROWS, AttentionRow) for one in job.seeds]
    _write(context.run_folder / RESULT, job.attention, job.benchmarks, job.baseline, seeds)


def _write(
    path: Path,
    settings: Attention,
    benchmarks: Sequence[str],
    baseline: str | None,
    seeds: Sequence[Sequence[AttentionRow]],
) -> None:
    view: View = settings.views[0]
    result = summarise(AttentionTable.of(seeds, (BASE, view)), baseline)
    asked = settings.model_dump(include={"response", "response_rows", "sink_share"})
    write_atomic(path, json.dumps({**asked, "benchmarks": benchmarks, **result}) + "\n")


def _samples(context: StageContext, job: AttentionJob) -> dict[str, list[Sample]]:
    """By benchmark the samples of every model, with the same response under every view."""
    folder = data_folder(context, job.data)
    answers = _answers(context, job) if job.answers is not None else None
    found = {}
    for number, source in enumerate(job.benchmarks):
        items = loaded = benchmark_items(source, folder)
        if answers is not None:
            items = answered(items, {item: text for (name, item), text in answers.items() if name == source.name})
        clips = context.folder_of(job.clips[number]) if job.clips else None
        if clips is not None:
            spoken = {clip.item for clip in read_clips(clips).clips}
            items = [item for item in items if item.id in spoken]
        if left_out := len(loaded) - len(items):
            fewer = f"{counted(left_out, 'item')} left out: no clip or no answer of the base"
            context.say(f"{context.stage.name}: {source.name}: {fewer}")
        chosen = spread(items, job.attention.items)
        found[source.name] = sample_items(chosen, folder / BENCHMARKS, clips, context.say, suffix=job.suffix)
    return found


def _answers(context: StageContext, job: AttentionJob) -> dict[tuple[str, str], str]:
    """The base's typed answers, by benchmark and item."""
    assert job.answers is not None
    scores = read_store(context.folder_of(job.answers) / SCORES, Score)
    return {(s.source, s.item): s.prediction for s in scores if s.view == job.attention.views[0]}


def answered(items: Sequence[Item], answers: Mapping[str, str]) -> list[Item]:
    """The items with an answer that is not empty, which becomes their response."""
    return [item.model_copy(update={"answers": (text,)}) for item in items if (text := answers.get(item.id))]


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` evenly spaced items, or all if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[n * len(items) // count] for n in range(count)]
