"""Stages `seedN/attention`, where the decoder looks under each view, and `attention`, the numbers of all seeds."""

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
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.records import Item, Score, View
from earwise.speech.clips import read_clips
from earwise.stages.data import benchmark_items
from earwise.stages.declared.attention import RESULT, analysed_benchmarks, analysed_models, baseline, stage_name
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.evaluation import stage_name as evaluation_of
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.speech import clip_folder
from earwise.stages.declared.training import model_stage
from earwise.stages.evaluation import SCORES
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import telling_how_to_repair
from earwise.views import is_heard
from earwise.work.run import StageContext
from earwise.work.store import Store, read_store, write_atomic

ROWS = "rows.jsonl"


def work(context: StageContext, recipe: Recipe) -> None:
    """Measure every analysed model of one seed."""
    settings = recipe.attention
    assert settings is not None
    look = Look(
        layers=None if settings.layers == "all" else settings.layers,
        response_rows=settings.response_rows,
        sink_share=settings.sink_share,
        reference=settings.views[0],
    )
    samples = _samples(context, recipe)
    with Store(context.folder / ROWS, AttentionRow) as store:
        for name in analysed_models(recipe):
            own = model_stage(recipe, name, context.seed)
            model = (load_start(recipe, context, own) if own else load_base(recipe, context)).eval()
            views = [view for view in settings.views if _reads(model, name, view)]
            for benchmark, some in samples.items():
                with telling_how_to_repair(context.run_folder / "stages" / SPEECH):
                    run_attention(model, name, benchmark, some, views, look, store, settings.batch_size)
    _write(context.folder / RESULT, recipe, [read_store(context.folder / ROWS, AttentionRow)])


def _reads(model: OmniModel, name: str, view: View) -> bool:
    """Whether model `name` is measured under `view`. While the decoder is frozen, what a trained model does with a view
    that hears nothing is what the base does: it is measured once, on the base. A base that hears by itself is measured
    hearing.
    """
    if name == BASE:
        return model.ears is not None or not is_heard(view)
    return model.lora is not None or model.decoder is not None or is_heard(view)


def pool(context: StageContext, recipe: Recipe) -> None:
    """Summarise the rows of all seeds together."""
    seeds = [read_store(context.folder_of(stage_name(seed)) / ROWS, AttentionRow) for seed in recipe.seeds]
    _write(context.run_folder / RESULT, recipe, seeds)


def _write(path: Path, recipe: Recipe, seeds: Sequence[Sequence[AttentionRow]]) -> None:
    assert recipe.attention is not None
    view: View = recipe.attention.views[0]
    result = summarise(AttentionTable.of(seeds, (BASE, view)), baseline(recipe))
    asked = recipe.attention.model_dump(include={"response", "response_rows", "sink_share"})
    write_atomic(path, json.dumps({**asked, "benchmarks": analysed_benchmarks(recipe), **result}) + "\n")


def _samples(context: StageContext, recipe: Recipe) -> dict[str, list[Sample]]:
    """Per benchmark the samples that every model reads, with the response that stands under every view."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    loaded = benchmark_items(recipe, folder)
    answers = _answers(context, recipe) if recipe.attention.response == BASE else None
    found = {}
    for benchmark in analysed_benchmarks(recipe):
        items = loaded[benchmark]
        if answers is not None:
            items = answered(items, {item: text for (source, item), text in answers.items() if source == benchmark})
        clips = clip_folder(context.folder_of(SPEECH), f"benchmarks/{benchmark}") if recipe.speech else None
        if clips is not None:
            spoken = {clip.item for clip in read_clips(clips).clips}
            items = [item for item in items if item.id in spoken]
        if left_out := len(loaded[benchmark]) - len(items):
            fewer = f"{counted(left_out, 'item')} left out: no clip or no answer of the base"
            context.say(f"{context.stage.name}: {benchmark}: {fewer}")
        chosen = spread(items, recipe.attention.items)
        found[benchmark] = sample_items(
            chosen, folder / "benchmarks", clips, context.say, suffix=recipe.evaluate.suffix
        )
    return found


def _answers(context: StageContext, recipe: Recipe) -> dict[tuple[str, str], str]:
    """What the base answered when it was typed to, by benchmark and item."""
    assert recipe.attention is not None
    scores = read_store(context.folder_of(evaluation_of(BASE, context.seed)) / SCORES, Score)
    return {(s.source, s.item): s.prediction for s in scores if s.view == recipe.attention.views[0]}


def answered(items: Sequence[Item], answers: Mapping[str, str]) -> list[Item]:
    """The items that have an answer, by id, that is not empty; it stands as their response."""
    return [item.model_copy(update={"answers": (text,)}) for item in items if (text := answers.get(item.id))]


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items at even distances, or all where there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[n * len(items) // count] for n in range(count)]
