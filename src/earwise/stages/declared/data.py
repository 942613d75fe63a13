"""What stage `data` depends on, and which item files a recipe reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from earwise.recipe.data import CorporaData, FolderData
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import WRITTEN_BY
from earwise.stages.declared.corpora import check_pools, input_files
from earwise.stages.declared.deferred import Deferred
from earwise.work.run import Stage

NAME = "data"


def stage(recipe: Recipe) -> Stage:
    """The stage of `[data]`."""
    source = recipe.data
    inputs: tuple[Path, ...] = ()
    if isinstance(source, FolderData):
        inputs = (Path(source.path),)
    elif isinstance(source, CorporaData):
        check_pools(recipe, source, used_item_files(recipe))
        inputs = input_files(source)
    return Stage(name=NAME, work=Deferred("data.work", (recipe,)), settings=source.for_stage(), inputs=inputs)


def data_folder(recipe: Recipe, stage_folder: Path) -> Path:
    """Where the item files of the recipe are: the folder that it names, or the stage's own."""
    return Path(recipe.data.path) if isinstance(recipe.data, FolderData) else stage_folder


def used_item_files(recipe: Recipe) -> list[str]:
    """Names of the item files that trainings of the recipe read, without their ending."""
    parts = [part for train in recipe.train.values() for part in train.each]
    used: list[str] = [part.data for part in parts if part.data not in WRITTEN_BY]
    used += ["replay"] if any(train.replay_share for train in recipe.train.values()) else []
    used += [recipe.traces.items] if recipe.traces else []
    used += recipe.descriptions.items if recipe.descriptions else []
    used += [recipe.answers.items] if recipe.answers else []
    used += [recipe.training.select.items] if recipe.training and recipe.training.select else []
    used += [recipe.align.data] if recipe.align else []
    used += ["transcribe"] if any(train.copy_share for train in recipe.train.values()) else []
    for phase in recipe.base.phases if recipe.base else ():
        used += [*phase.files] or ["train", "transcribe"]
    used += ["transcribe"] if recipe.encoder else []
    return sorted(set(used))


def mmalign_settings(recipe: Recipe) -> dict[str, JsonValue] | None:
    """How MMAlign is drawn, for the fingerprints of the stages that read it."""
    drawn = recipe.evaluate.mmalign if recipe.evaluate is not None else None
    return drawn.for_stage() if drawn is not None else None


def iemocap_settings(recipe: Recipe) -> dict[str, JsonValue]:
    """Which sessions of IEMOCAP are tested, and how own files are read, for the same fingerprints; nothing where the
    recipe does not say.
    """
    if recipe.evaluate is None:
        return {}
    found: dict[str, JsonValue] = {}
    if recipe.evaluate.iemocap is not None:
        found["iemocap"] = recipe.evaluate.iemocap.for_stage()
    if recipe.evaluate.own:  # without rules of scoring, which change neither items nor clips
        found["own"] = {name: {**own.for_stage(), "scoring": None} for name, own in recipe.evaluate.own.items()}
    return found


def own_files(recipe: Recipe) -> tuple[Path, ...]:
    """Benchmark files of one's own: inputs of the stages that read the benchmarks, and of no training."""
    return tuple(Path(own.file) for own in recipe.evaluate.own.values()) if recipe.evaluate is not None else ()
