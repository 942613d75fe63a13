"""What the stages `align` and `train.NAME` depend on."""

from __future__ import annotations

from pathlib import Path

from earwise.errors import InputError
from earwise.models.shipped import model_folder
from earwise.recipe.checks import keyed_parts, part_views, train_views
from earwise.recipe.model import ALIGNED, BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import Train
from earwise.stages.declared.answers import writer_stage
from earwise.stages.declared.base import base_stage_needed
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.descriptions import descriptions_needed
from earwise.stages.declared.gate import gate_needed
from earwise.stages.declared.models import model_check
from earwise.stages.declared.objectives import objective_stages, teacher_folders
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.views import view_spec
from earwise.work.run import Stage

ALIGN_NAME = "align"


def align_stage(recipe: Recipe, seed: int) -> Stage:
    """Fresh ears learn to write down speech."""
    assert recipe.align is not None
    assert recipe.model is not None
    return Stage(
        name=f"seed{seed}/{ALIGN_NAME}",
        work=Deferred("training.align", (recipe,)),
        check=model_check(recipe),
        settings={**recipe.align.for_stage(), "model": recipe.model.for_stage()},
        seed=seed,
        needs=(DATA, SPEECH, *gate_needed(recipe), *base_stage_needed(recipe, seed)),
        inputs=local_inputs(recipe),
        processes="all",
        precision=(recipe.align.precision,),
    )


def train_stage(recipe: Recipe, name: str, seed: int) -> Stage:
    """One training of `[train]`; the same stage for every seed where it is trained once."""
    assert recipe.model is not None
    own = recipe.train[name]
    seed = 0 if own.once else seed
    start = model_stage(recipe, own.start, seed)
    _check_views(name, own)
    return Stage(
        name=stage_name(recipe, name, seed),
        work=Deferred("training.train", (recipe, name)),
        check=model_check(recipe),
        settings={
            **own.for_stage(),
            "training": recipe.optimisation(name).for_stage(),
            "model": recipe.model.for_stage(),
        },
        seed=seed,
        needs=(*_material(recipe, own, seed), *base_stage_needed(recipe, seed), *([start] if start else [])),
        inputs=local_inputs(recipe) + teacher_folders(own),
        processes="all",
        precision=(recipe.optimisation(name).precision,),
    )


def _check_views(name: str, own: Train) -> None:
    """Raise `InputError` for a view that cannot be shown: before the first stage, not when this one's turn comes."""
    for key, part in keyed_parts(f"train.{name}", own):
        for view in part_views(part):
            try:
                context = view_spec(view).context
            except InputError as error:
                raise InputError(error.what, record=key, remedy=error.remedy) from None
            if context in ("silence", "other_sound"):
                raise InputError(f"{view!r} is a control", record=key, remedy="train on the sound itself")


def _material(recipe: Recipe, own: Train, seed: int) -> tuple[str, ...]:
    """Stages that make the items and clips that a training learns from."""
    writers = [writer_stage(part.data, recipe, seed) for part in own.each]
    spoken = (SPEECH, *gate_needed(recipe)) if recipe.speech is not None else ()
    read = dict.fromkeys([*filter(None, writers), *objective_stages(own)])
    return (DATA, *spoken, *descriptions_needed(recipe, train_views(own)), *read)


def model_stage(recipe: Recipe, name: str, seed: int) -> str | None:
    """The stage that leaves the ears of model `name`; None for the base, which has none."""
    if name == BASE:
        return None
    return f"seed{seed}/{ALIGN_NAME}" if name == ALIGNED else stage_name(recipe, name, seed)


def stage_name(recipe: Recipe, name: str, seed: int) -> str:
    """Folder of a training, or of a choice, which has its own name among the trainings."""
    once = name in recipe.train and recipe.train[name].once
    return f"train.{name}" if once else f"seed{seed}/train.{name}"


def local_inputs(recipe: Recipe) -> tuple[Path, ...]:
    """Model folders on this disk that the recipe names: when they change, what was trained from them is stale."""
    assert recipe.model is not None
    named = [Path(model_folder(recipe.model.base)), Path(model_folder(getattr(recipe.model.ears, "path", "")))]
    return tuple(path for path in named if path.name and path.is_dir())
