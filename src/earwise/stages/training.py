"""Stages `align` and `train.NAME`: ears are fitted to a frozen base, first by writing down speech, then by an
objective.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earwise.data.items import read_items
from earwise.distil.fit import fit
from earwise.distil.objective import SELF, SNAPSHOT, Objective
from earwise.distil.schedule import Schedule, draw, group_by_length, mix
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.model_settings import ALIGNED, BASE
from earwise.models.omni import OmniModel
from earwise.models.shipped import model_folder
from earwise.models.views import Sample, view_spec
from earwise.run import Stage, StageContext
from earwise.settings import Recipe
from earwise.stages.base import base_stage_needed
from earwise.stages.data import NAME as DATA
from earwise.stages.data import data_folder
from earwise.stages.models import load_model, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import NAME as SPEECH
from earwise.stages.speech import clip_folder, telling_how_to_repair
from earwise.training_settings import Optimisation, SftTerm, Train, Training

ALIGN_NAME = "align"


def align_stage(recipe: Recipe, seed: int) -> Stage:
    """Fresh ears learn to write down speech."""
    assert recipe.align is not None
    assert recipe.model is not None
    return Stage(
        name=f"seed{seed}/{ALIGN_NAME}",
        work=lambda context: _align(context, recipe),
        settings={**recipe.align.for_stage(), "model": recipe.model.for_stage()},
        seed=seed,
        needs=(DATA, SPEECH, *base_stage_needed(recipe, seed)),
        inputs=local_inputs(recipe),
    )


def train_stage(recipe: Recipe, name: str, seed: int) -> Stage:
    """One training of `[train]`."""
    assert recipe.model is not None
    own = recipe.train[name]
    start = model_stage(own.start, seed)
    _check_views(name, own)
    return Stage(
        name=f"seed{seed}/train.{name}",
        work=lambda context: _train(context, recipe, name),
        settings={
            **own.for_stage(),
            "training": recipe.optimisation(name).for_stage(),
            "model": recipe.model.for_stage(),
        },
        seed=seed,
        needs=(DATA, SPEECH, *base_stage_needed(recipe, seed), *([start] if start else [])),
        inputs=local_inputs(recipe) + _teacher_folders(own),
    )


def _check_views(name: str, own: Train) -> None:
    """Raise `InputError` for a view that cannot be shown: before the first stage, not when this one's turn comes."""
    for view in (own.view, *(term.view for term in own.terms if not isinstance(term, SftTerm))):
        try:
            context = view_spec(view).context
        except InputError as error:
            raise InputError(error.what, record=f"train.{name}", remedy=error.remedy) from None
        if context not in ("image", "none"):
            remedy = "such views are evaluated only; train on views of images"
            raise InputError(f"no training shows {view!r} yet", record=f"train.{name}", remedy=remedy)


def model_stage(name: str, seed: int) -> str | None:
    """The stage that leaves the ears of model `name`; None for the base, which has none."""
    if name == BASE:
        return None
    return f"seed{seed}/{ALIGN_NAME}" if name == ALIGNED else f"seed{seed}/train.{name}"


def local_inputs(recipe: Recipe) -> tuple[Path, ...]:
    """Model folders on this disk that the recipe names: when they change, what was trained from them is stale."""
    assert recipe.model is not None
    named = [Path(model_folder(recipe.model.base)), Path(model_folder(getattr(recipe.model.ears, "path", "")))]
    return tuple(path for path in named if path.name and path.is_dir())


def _teacher_folders(own: Train) -> tuple[Path, ...]:
    named = {Path(t.teacher) for t in own.terms if not isinstance(t, SftTerm) and t.teacher not in (SELF, SNAPSHOT)}
    return tuple(sorted(path for path in named if path.is_dir()))


def _align(context: StageContext, recipe: Recipe) -> None:
    settings = recipe.align
    assert settings is not None
    model = load_model(recipe, context)
    samples = _samples(context, recipe, settings.data)
    objective = Objective(settings.view, [make_term(SftTerm(type="sft", weight=1.0))], model)
    order = draw(len(samples), settings.steps * settings.batch_size * settings.accumulate, context.seed)
    _fit(context, model, objective, samples, order, settings)


def _train(context: StageContext, recipe: Recipe, name: str) -> None:
    own, settings = recipe.train[name], recipe.optimisation(name)
    model = load_start(recipe, context, model_stage(own.start, context.seed))
    samples = _samples(context, recipe, own.data)
    order = draw(len(samples), settings.steps * settings.batch_size * settings.accumulate, context.seed)
    if own.copy_share:
        copies = _samples(context, recipe, "transcribe")
        order = mix(order, len(samples) + draw(len(copies), len(order), context.seed + 1), own.copy_share, context.seed)
        samples += copies
    objective = Objective(
        own.view,
        [make_term(term) for term in own.terms],
        model,
        teachers=_teachers(own),
        share_prefix=settings.shared_prefix == "auto",
    )
    _fit(context, model, objective, samples, order, settings)


def _teachers(own: Train) -> dict[str, OmniModel]:
    """Other models that terms name, loaded once each."""
    named = {t.teacher for t in own.terms if not isinstance(t, SftTerm) and t.weight > 0} - {SELF, SNAPSHOT}
    return {name: OmniModel.from_pretrained(name) for name in sorted(named)}


def _samples(context: StageContext, recipe: Recipe, name: str) -> list[Sample]:
    folder = data_folder(recipe, context.folder_of(DATA))
    clips = clip_folder(context.folder_of(SPEECH), name)
    return sample_items(read_items(folder / f"{name}.jsonl"), folder, clips, context.say)


def _fit(
    context: StageContext,
    model: OmniModel,
    objective: Objective,
    samples: list[Sample],
    order: np.ndarray,
    settings: Optimisation | Training,
) -> None:
    """Order the draws, train, and leave the ears as the stage's result."""
    lengths = np.array([sample.turns[0].num_samples for sample in samples])
    batch = settings.batch_size * settings.accumulate
    if settings.group_by_length:
        order = group_by_length(order, lengths, batch, context.seed)
    assert model.ears is not None
    model.ears.requires_grad_(True)
    with telling_how_to_repair(context.folder_of(SPEECH)):
        fit(
            model,
            objective,
            Schedule(samples, order.tolist()),
            settings,
            context.folder / "checkpoints",
            seed=context.seed,
            metrics=context.metrics,
            what=context.stage.name,
            save=lambda: model.save_ears(context.folder / "ears"),
        )
