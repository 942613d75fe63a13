"""Stages `evaluate.MODEL`: every benchmark under every view, one store of scores per model."""

from __future__ import annotations

import json
from collections.abc import Sequence

from earwise.evaluate.controls import with_controls
from earwise.evaluate.runner import Asker, run_benchmark
from earwise.models.ears import Ears
from earwise.models.families import Family
from earwise.models.sample import Sample
from earwise.recipe.recipe import Recipe
from earwise.records import Item, Score, View
from earwise.speech.clips import read_clips
from earwise.stages.data import benchmark_items, transcribe_instruction
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.evaluation import asked_views
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.speech import clip_folder
from earwise.stages.declared.training import model_stage
from earwise.stages.descriptions import BENCHMARKS, described
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items, that_can_be_shown
from earwise.stages.speech import telling_how_to_repair
from earwise.views import DESCRIBED_VIEWS, view_spec
from earwise.work.run import StageContext
from earwise.work.store import Store, write_atomic

SCORES = "scores.jsonl"
NOT_ASKED = "not_asked.json"
"""Items by benchmark whose pictures the model does not take; absent where there are none."""


def work(context: StageContext, recipe: Recipe, name: str) -> None:
    """Have one model answer every benchmark under every view that is its own."""
    settings = recipe.evaluate
    assert settings is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    own = model_stage(recipe, name, context.seed)
    model = load_start(recipe, context, own) if own else load_base(recipe, context)
    model.eval()
    if isinstance(model.ears, Ears):
        frozen = recipe.training.frozen_layers if recipe.training is not None else 0
        model.ears.freeze_encoder(frozen or "all")  # Models that were trained behind the same layers share them.
    views = asked_views(recipe, name)
    instruction = transcribe_instruction(folder) if "image_transcript" in views else ""
    not_asked: dict[str, list[str]] = {}
    with Store(context.folder / SCORES, Score) as store:
        for benchmark, items in benchmark_items(recipe, folder).items():
            shown = tuple(view for view in views if view in settings.asked(benchmark))
            if not shown:
                continue
            samples, voices = _samples(context, recipe, benchmark, items, with_controls(shown))
            samples, unshown = askable(context, settings.asked(benchmark), samples, model.family)
            not_asked |= {benchmark: unshown} if unshown else {}
            limit, rule = settings.max_new_tokens, settings.profile
            ask = Asker(shown, settings.batch_size, limit, rule, instruction, voices, context.seed)
            with telling_how_to_repair(context.run_folder / "stages" / SPEECH):
                run_benchmark(model, name, benchmark, samples, ask, store)
    if not_asked:
        write_atomic(context.folder / NOT_ASKED, json.dumps(not_asked, indent=1, ensure_ascii=False) + "\n")


def askable(
    context: StageContext, views: Sequence[View], samples: list[Sample], family: Family
) -> tuple[list[Sample], list[str]]:
    """Samples that the model can be asked about under all of a benchmark's views, and the items of the others."""
    if all(view_spec(view).context != "image" for view in views):
        return samples, []
    fit = that_can_be_shown(samples, family, context.say)
    return fit, sorted({sample.key for sample in samples} - {sample.key for sample in fit})


def _samples(
    context: StageContext, recipe: Recipe, benchmark: str, items: list[Item], views: tuple[View, ...]
) -> tuple[list[Sample], dict[str, str]]:
    """Samples of a benchmark, only of items that every view can be asked about, and the voice of each."""
    folder, name = data_folder(recipe, context.folder_of(DATA)) / BENCHMARKS, f"{BENCHMARKS}/{benchmark}"
    assert recipe.evaluate is not None
    clips, voices = None, {}
    if recipe.speech is not None:
        clips = clip_folder(context.folder_of(SPEECH), name)
        voices = {clip.item: clip.voice for clip in read_clips(clips).clips}
    samples = sample_items(items, folder, clips, context.say, suffix=recipe.evaluate.suffix, views=views)
    asked = recipe.evaluate.asked(benchmark)  # not `views`: models that share answers are asked the same items
    if DESCRIBED_VIEWS & {*asked}:
        samples = described(context, recipe, name, samples)
    return samples, voices
