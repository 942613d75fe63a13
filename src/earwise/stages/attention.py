"""Stages `seedN/attention`, where the decoder looks under each view, and `attention`, the numbers of all seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from earwise.attention.measure import Look
from earwise.attention.records import AttentionRow
from earwise.attention.runner import run_attention
from earwise.attention.summary import AttentionTable, summarise
from earwise.evaluate.runner import is_heard
from earwise.model_settings import BASE
from earwise.models.omni import OmniModel
from earwise.models.views import Sample
from earwise.records import Item, Score, View
from earwise.run import Stage, StageContext
from earwise.settings import Recipe
from earwise.speech.clips import read_clips
from earwise.stages.base import base_stage_needed
from earwise.stages.data import NAME as DATA
from earwise.stages.data import benchmark_items, data_folder, iemocap_settings, mmalign_settings
from earwise.stages.evaluation import SCORES
from earwise.stages.evaluation import stage_name as evaluation_of
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import NAME as SPEECH
from earwise.stages.speech import clip_folder, telling_how_to_repair
from earwise.stages.training import local_inputs, model_stage
from earwise.store import Store, read_store, write_atomic

NAME = "attention"
ROWS, RESULT = "rows.jsonl", "attention.json"


def stage(recipe: Recipe, seed: int) -> Stage:
    """Rows of every analysed model of one seed, and their summary."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    own = [model_stage(recipe, name, seed) for name in _models(recipe)]
    return Stage(
        name=_stage_name(seed),
        work=lambda context: _work(context, recipe),
        settings={
            **recipe.attention.for_stage(),
            "models": list(_models(recipe)),
            "benchmarks": list(_benchmarks(recipe)),
            "limit": recipe.evaluate.limit,
            "mmalign": mmalign_settings(recipe),
            **iemocap_settings(recipe),
            "suffix": recipe.evaluate.suffix,
            "model": recipe.model.for_stage() if recipe.model else None,
        },
        seed=seed,
        needs=(
            DATA,
            *([SPEECH] if recipe.speech else []),
            *base_stage_needed(recipe, seed),
            *(name for name in own if name),
            *([evaluation_of(BASE, seed)] if recipe.attention.response == "base" else []),
        ),
        inputs=local_inputs(recipe) if recipe.model else (),
    )


def pooled_stage(recipe: Recipe) -> Stage:
    """The summary of all seeds together, beside the run's `summary.json`."""
    assert recipe.attention is not None
    return Stage(
        name=NAME,
        work=lambda context: _pool(context, recipe),
        settings={"baseline": _baseline(recipe), "views": list(recipe.attention.views)},
        needs=tuple(_stage_name(seed) for seed in recipe.seeds),
        outputs=(RESULT,),
    )


def _stage_name(seed: int) -> str:
    return f"seed{seed}/{NAME}"


def _models(recipe: Recipe) -> tuple[str, ...]:
    """The base first, then the models that are compared with it."""
    assert recipe.attention is not None
    named = recipe.models if recipe.attention.models == "all" else recipe.attention.models
    return (BASE, *(name for name in named if name != BASE))


def _benchmarks(recipe: Recipe) -> tuple[str, ...]:
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    return recipe.evaluate.benchmarks if recipe.attention.benchmarks == "all" else recipe.attention.benchmarks


def _baseline(recipe: Recipe) -> str | None:
    """The model that the others are compared with: the one that is named, else the first training."""
    assert recipe.attention is not None
    trained = [name for name in recipe.train if name in _models(recipe)]
    return recipe.attention.baseline or next(iter(trained), None)


def _work(context: StageContext, recipe: Recipe) -> None:
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
        for name in _models(recipe):
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


def _pool(context: StageContext, recipe: Recipe) -> None:
    seeds = [read_store(context.folder_of(_stage_name(seed)) / ROWS, AttentionRow) for seed in recipe.seeds]
    _write(context.run_folder / RESULT, recipe, seeds)


def _write(path: Path, recipe: Recipe, seeds: Sequence[Sequence[AttentionRow]]) -> None:
    assert recipe.attention is not None
    view: View = recipe.attention.views[0]
    result = summarise(AttentionTable.of(seeds, (BASE, view)), _baseline(recipe))
    asked = recipe.attention.model_dump(include={"response", "response_rows", "sink_share"})
    write_atomic(path, json.dumps({**asked, "benchmarks": _benchmarks(recipe), **result}) + "\n")


def _samples(context: StageContext, recipe: Recipe) -> dict[str, list[Sample]]:
    """Per benchmark the samples that every model reads, with the response that stands under every view."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    loaded = benchmark_items(recipe, folder)
    answers = _answers(context, recipe) if recipe.attention.response == BASE else None
    found = {}
    for benchmark in _benchmarks(recipe):
        items = loaded[benchmark]
        if answers is not None:
            items = answered(items, {item: text for (source, item), text in answers.items() if source == benchmark})
        clips = clip_folder(context.folder_of(SPEECH), f"benchmarks/{benchmark}") if recipe.speech else None
        if clips is not None:
            spoken = {clip.item for clip in read_clips(clips).clips}
            items = [item for item in items if item.id in spoken]
        if left_out := len(loaded[benchmark]) - len(items):
            context.say(
                f"{context.stage.name}: {benchmark}: {left_out} items left out: no clip or no answer of the base"
            )
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
