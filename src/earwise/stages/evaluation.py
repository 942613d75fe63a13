"""Stages `evaluate.MODEL`: every benchmark under every view, one store of scores per model."""

from __future__ import annotations

from earwise.evaluate.controls import with_controls
from earwise.evaluate.runner import Asker, is_heard, run_benchmark
from earwise.evaluation_settings import DESCRIBED_VIEWS
from earwise.model_settings import BASE, NativeEars
from earwise.models.ears import Ears
from earwise.models.views import Sample
from earwise.records import Item, Score, View
from earwise.run import Stage, StageContext
from earwise.settings import Recipe
from earwise.speech.clips import read_clips
from earwise.stages.base import base_stage_needed
from earwise.stages.data import NAME as DATA
from earwise.stages.data import benchmark_items, data_folder, transcribe_instruction
from earwise.stages.descriptions import BENCHMARKS, described, descriptions_needed
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import NAME as SPEECH
from earwise.stages.speech import clip_folder, telling_how_to_repair
from earwise.stages.training import local_inputs, model_stage
from earwise.store import Store

SCORES = "scores.jsonl"


def stages(recipe: Recipe, seed: int) -> list[Stage]:
    """One stage for the base, whose typed answers all models share, and one for each model that hears."""
    named = [BASE, *(name for name in recipe.evaluated if name != BASE)]
    return [_stage(recipe, name, seed) for name in named if asked_views(recipe, name)]


def stage_name(name: str, seed: int) -> str:
    """The stage that evaluates model `name`."""
    return f"seed{seed}/evaluate.{name}"


def asked_views(recipe: Recipe, name: str) -> tuple[View, ...]:
    """The views that model `name` answers itself.

    While the base is frozen its typed answers are those of every model with ears, so it alone is asked; LoRA and
    a decoder that is trained change them. A base that hears by itself is asked by speech, too.
    """
    assert recipe.evaluate is not None
    model = recipe.model
    views = list(recipe.evaluate.every_view)
    native = isinstance(model.ears, NativeEars) if model is not None else recipe.base is not None and recipe.base.hears
    if name == BASE and not native:
        views = [view for view in views if not is_heard(view)]
    elif name != BASE and not (model is not None and model.trains_decoder):
        views = [view for view in views if is_heard(view)]
    if recipe.evaluate.cascade != "all" and name not in recipe.evaluate.cascade:
        views = [view for view in views if view != "image_transcript"]
    return tuple(views)


def _stage(recipe: Recipe, name: str, seed: int) -> Stage:
    assert recipe.evaluate is not None
    own = model_stage(recipe, name, seed)
    return Stage(
        name=stage_name(name, seed),
        work=lambda context: _work(context, recipe, name),
        settings={
            **recipe.evaluate.for_stage(),
            "models": name,
            "cascade": None,
            "views": list(asked_views(recipe, name)),
            "model": recipe.model.for_stage() if recipe.model else None,
        },
        seed=seed,
        needs=(
            DATA,
            *([SPEECH] if recipe.speech else []),
            *descriptions_needed(recipe, recipe.evaluate.every_view),
            *base_stage_needed(recipe, seed),
            *([own] if own else []),
        ),
        inputs=local_inputs(recipe) if recipe.model else (),
    )


def _work(context: StageContext, recipe: Recipe, name: str) -> None:
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
    with Store(context.folder / SCORES, Score) as store:
        for benchmark, items in benchmark_items(recipe, folder).items():
            shown = tuple(view for view in views if view in settings.asked(benchmark))
            if not shown:
                continue
            samples, voices = _samples(context, recipe, benchmark, items, with_controls(shown))
            limit, rule = settings.max_new_tokens, settings.profile
            ask = Asker(shown, settings.batch_size, limit, rule, instruction, voices, context.seed)
            with telling_how_to_repair(context.run_folder / "stages" / SPEECH):
                run_benchmark(model, name, benchmark, samples, ask, store)


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
