"""Stage `base`: a small vision-language model of a real architecture, trained from nothing on typed questions."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from earwise.data.items import read_items
from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule, draw, mix
from earwise.distil.terms import make_term
from earwise.micro.build import write_tiny
from earwise.models.omni import OmniModel
from earwise.run import Stage, StageContext
from earwise.settings import BASE, Recipe, SftTerm
from earwise.stages.data import NAME as DATA
from earwise.stages.data import data_folder
from earwise.stages.samples import conversations, sample_items

SHIPPED = Path(str(files("earwise.micro"))) / "models"
"""Folder of the models that come with the package."""


def stage(recipe: Recipe, seed: int) -> Stage:
    """The stage of `[base]`."""
    assert recipe.base is not None
    return Stage(
        name=f"seed{seed}/{BASE}",
        work=lambda context: _work(context, recipe),
        settings=recipe.base.for_stage(),
        seed=seed,
        needs=(DATA,),
    )


def base_stage_needed(recipe: Recipe, seed: int) -> tuple[str, ...]:
    """The base stage, if the recipe trains its base."""
    return (f"seed{seed}/{BASE}",) if recipe.base is not None else ()


def base_folder(name: str) -> Path:
    """The folder of a shipped model, or `name` as it is: a folder or a hub id."""
    shipped = SHIPPED / name
    return shipped if shipped.is_dir() else Path(name)


def _work(context: StageContext, recipe: Recipe) -> None:
    settings = recipe.base
    assert settings is not None
    start = write_tiny(
        context.folder / "start",
        settings.family,
        context.seed,
        hidden_size=settings.width,
        intermediate_size=2 * settings.width,
        num_layers=settings.layers,
        num_heads=settings.heads,
        num_key_value_heads=max(1, settings.heads // 2),
        vision_hidden_size=settings.vision_width,
        vision_intermediate_size=2 * settings.vision_width,
        vision_layers=settings.vision_layers,
        vision_heads=settings.vision_heads,
    )
    model = OmniModel.from_pretrained(str(start))
    model.base.requires_grad_(True)
    folder = data_folder(recipe, context.folder_of(DATA))
    samples = conversations(read_items(folder / "train.jsonl"), folder)
    copies = sample_items(read_items(folder / "transcribe.jsonl"), folder, None, context.say)
    count = settings.steps * settings.batch_size * settings.accumulate
    order = draw(len(samples), count, context.seed)
    order = mix(order, len(samples) + draw(len(copies), count, context.seed + 1), settings.copy_share, context.seed)
    objective = Objective("image_text", [make_term(SftTerm(type="sft", weight=1.0))], model)
    schedule = Schedule(samples + copies, order.tolist())
    fit(
        model,
        objective,
        schedule,
        settings,
        context.folder / "checkpoints",
        seed=context.seed,
        metrics=context.metrics,
        what=context.stage.name,
    )
    result = context.folder / "model"
    model.base.save_pretrained(result)
    model.family.tokenizer.save_pretrained(result)
    model.family.image_processor.save_pretrained(result)
