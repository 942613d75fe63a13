"""Stages of `[conditions]`: the test questions spoken otherwise, and the models that answer them.

`speech.CONDITION` makes the clips, `seedN/conditions/CONDITION/evaluate.MODEL` has them answered. No training needs
either stage, so nothing of a condition can be learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earwise.evaluate.conditions import condition_results
from earwise.evaluate.runner import Asker, run_benchmark
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Condition, Engine
from earwise.records import Item, Score, View
from earwise.speech.clips import make_clips, read_clips
from earwise.speech.engine import SpeechEngine, open_engine
from earwise.speech.perturbed import opener
from earwise.speech.voices import split_voices
from earwise.stages.data import benchmark_items, transcribe_instruction
from earwise.stages.declared.conditions import (
    answering_models,
    clip_stage_name,
    spoken_benchmarks,
    spoken_views,
    stage_name,
)
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.speech import speaks_suffix
from earwise.stages.declared.training import model_stage
from earwise.stages.descriptions import BENCHMARKS
from earwise.stages.evaluation import SCORES, askable
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.scale import cores, pool_of
from earwise.stages.speech import check_unheard, other_casts, say_made, telling_how_to_repair
from earwise.work.run import StageContext
from earwise.work.store import Store, read_store


def _items(context: StageContext, recipe: Recipe, name: str) -> dict[str, list[Item]]:
    found = benchmark_items(recipe, data_folder(recipe, context.folder_of(DATA)))
    return {benchmark: found[benchmark] for benchmark in spoken_benchmarks(recipe, name)}


def speak(context: StageContext, recipe: Recipe, name: str) -> None:
    """Clips of every benchmark, by voices that share no speaker with those of training."""
    speech, condition = recipe.speech, recipe.conditions[name]
    assert speech is not None
    engine = condition.engine or speech.engine
    voices = condition_voices(recipe, condition, engine)
    check_unheard(recipe, voices)
    context.say(f"speech: {name}: voices {', '.join(voices)}")
    for benchmark, items in _items(context, recipe, name).items():
        made = make_clips(
            items,
            context.folder / BENCHMARKS / benchmark,
            opener(engine, condition.perturb),
            voices=voices,
            rates=condition.rates_wpm or speech.rates_wpm,
            pitches=condition.pitches or speech.pitches,
            seed=speech.seed,
            workers=speech.workers or cores(recipe.scale),
            pool=pool_of(recipe.scale, runs_model=engine.type == "huggingface"),
            speak_suffix=speaks_suffix(recipe),
            audio=data_folder(recipe, context.folder_of(DATA)) / BENCHMARKS,
            perturbation=condition.perturb,
        )
        say_made(context, f"{name}: {benchmark}", made)


def condition_voices(recipe: Recipe, condition: Condition, engine: Engine) -> list[str]:
    """The condition's voices: those of the test, or its own, which are none of the training's."""
    speech = recipe.speech
    assert speech is not None
    opened: SpeechEngine = open_engine(engine)
    if engine != speech.engine:
        assert condition.voices is not None
        heard = [
            voice
            for other, cast in zip(speech.others, other_casts(speech), strict=True)
            if other.engine == engine
            for voice in cast.voices
        ]
        return split_voices(opened.voices(), heard, condition.voices, speech.seed)[1]
    train, test = split_voices(opened.voices(), speech.train_voices, speech.test_voices, speech.seed)
    return test if condition.voices is None else split_voices(opened.voices(), train, condition.voices, speech.seed)[1]


def answer(context: StageContext, recipe: Recipe, name: str, model_name: str) -> None:
    """Have one model answer what it hears under condition `name`."""
    settings = recipe.evaluate
    assert settings is not None
    own = model_stage(recipe, model_name, context.seed)
    model = load_start(recipe, context, own) if own else load_base(recipe, context)
    model.eval()
    folder, spoken = data_folder(recipe, context.folder_of(DATA)), context.folder_of(clip_stage_name(name))
    views = spoken_views(recipe, model_name)
    instruction = transcribe_instruction(folder) if "image_transcript" in views else ""
    with Store(context.folder / SCORES, Score) as store, telling_how_to_repair(spoken):
        for benchmark, items in _items(context, recipe, name).items():
            clips = spoken / BENCHMARKS / benchmark
            voices = {clip.item: clip.voice for clip in read_clips(clips).clips}
            samples = sample_items(items, folder / BENCHMARKS, clips, context.say, suffix=settings.suffix, views=views)
            samples, _ = askable(context, settings.asked(benchmark), samples, model.family)
            shown = tuple(view for view in views if view in settings.asked(benchmark))
            limit, rule = settings.max_new_tokens, settings.profile
            ask = Asker(shown, settings.batch_size, limit, rule, instruction, voices, context.seed)
            run_benchmark(model, model_name, benchmark, samples, ask, store)


def summarise_conditions(
    context: StageContext, recipe: Recipe, scores: Mapping[int, Sequence[Score]], text: View, speech: View
) -> dict[str, Any]:
    """What `summary.json` says of each condition: its voices, and each model's results on its clips.

    Args:
        context: of the report, which needs all stages.
        recipe: the whole recipe.
        scores: by seed, those of the evaluation itself.
        text: the typed view of the gap.
        speech: its spoken view.
    """
    found = {}
    for name in recipe.conditions:
        answered = {
            seed: [
                score
                for model in answering_models(recipe, name)
                for score in read_store(context.folder_of(stage_name(name, model, seed)) / SCORES, Score)
            ]
            for seed in recipe.seeds
        }
        clips = context.folder_of(clip_stage_name(name)) / BENCHMARKS
        made = [clip for benchmark in spoken_benchmarks(recipe, name) for clip in read_clips(clips / benchmark).clips]
        found[name] = {
            "engine": made[0].engine,
            "voices": sorted({clip.voice for clip in made}),
            **condition_results(scores, answered, text, speech),
        }
    return found
