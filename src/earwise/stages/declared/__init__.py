"""What each stage of a recipe depends on, one file per kind of stage: its name, settings, inputs and needs.

A stage's work is only named here (`Deferred`), so whatever is asked of a plan alone imports neither torch nor
transformers: fingerprints, what is done already, what is to do.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from earwise.recipe.recipe import Recipe
from earwise.stages.declared import (
    answers,
    attention,
    base,
    choice,
    conditions,
    data,
    descriptions,
    encoder,
    evaluation,
    gate,
    report,
    speech,
    traces,
    training,
    verify,
)
from earwise.stages.declared.models import folder_check
from earwise.work.run import Stage


def plan(recipe: Recipe, recipe_file: Path) -> list[Stage]:
    """The stages of a recipe in the order in which they run."""
    stages = [data.stage(recipe)]
    if recipe.speech is not None:
        stages.append(speech.stage(recipe))
        stages.extend(conditions.clip_stage(recipe, name) for name in recipe.conditions)
    if recipe.gate is not None:
        stages.extend(gate.stages(recipe))
    if recipe.descriptions is not None:
        stages.append(descriptions.stage(recipe))
    if recipe.traces is not None:
        stages.append(traces.stage(recipe))
    if recipe.verify is not None:
        stages.append(verify.stage(recipe))
    for seed in recipe.seeds:
        if recipe.base is not None:
            stages.append(base.stage(recipe, seed))
        if recipe.encoder is not None:
            stages.append(encoder.stage(recipe, seed))
        if recipe.answers is not None and (recipe.base is not None or seed == recipe.seeds[0]):
            stages.append(answers.stage(recipe, seed))
        if recipe.align is not None:
            stages.append(training.align_stage(recipe, seed))
        ready = [name for name in _by_start(recipe) if seed == recipe.seeds[0] or not recipe.train[name].once]
        stages.extend(training.train_stage(recipe, name, seed) for name in ready)
        stages.extend(choice.stage(recipe, name, seed) for name in recipe.choose)
        if recipe.evaluate is not None:
            stages.extend(evaluation.stages(recipe, seed))
            stages.extend(conditions.stages(recipe, seed))
        if recipe.attention is not None:
            stages.append(attention.stage(recipe, seed))
    if recipe.attention is not None:
        stages.append(attention.pooled_stage(recipe))
    if recipe.evaluate is not None:
        stages.append(report.stage(recipe, [s.name for s in stages]))
    return [stage if stage.check else replace(stage, check=folder_check(recipe)) for stage in stages]


def _by_start(recipe: Recipe) -> list[str]:
    """Names of the trainings, each after the one that it starts from."""
    ordered: list[str] = []
    waiting = list(recipe.train)
    while waiting:
        ready = [name for name in waiting if recipe.train[name].start not in waiting]
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered
