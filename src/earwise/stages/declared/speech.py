"""What stage `speech` depends on, and which items are spoken."""

from __future__ import annotations

from pathlib import Path

from earwise.recipe.recipe import Recipe
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import iemocap_settings, mmalign_settings, own_files, used_item_files
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.models import model_check
from earwise.work.run import Stage

NAME = "speech"


def stage(recipe: Recipe) -> Stage:
    """The stage of `[speech]`."""
    assert recipe.speech is not None
    return Stage(
        name=NAME,
        work=Deferred("speech.work", (recipe,)),
        check=model_check(recipe),
        settings={
            **recipe.speech.for_stage(),
            "items": list(used_item_files(recipe)),
            "benchmarks": list(recipe.evaluate.benchmarks) if recipe.evaluate else [],
            "limit": recipe.evaluate.limit if recipe.evaluate else None,
            "mmalign": mmalign_settings(recipe),
            **iemocap_settings(recipe),
            "speak_suffix": speaks_suffix(recipe),
        },
        needs=(DATA,),
        inputs=own_files(recipe),
    )


def speaks_suffix(recipe: Recipe) -> bool:
    """Whether the answer-format request of a benchmark item is spoken with its query."""
    return recipe.evaluate is not None and recipe.evaluate.suffix == "spoken"


def spoken_files(recipe: Recipe) -> list[str]:
    """Item files to speak: two annotations of the same questions are spoken once."""
    return list(dict.fromkeys("train" if name == "train_other" else name for name in used_item_files(recipe)))


def clip_folder(speech_folder: Path, name: str) -> Path:
    """Folder of the clips of item file or `benchmarks/NAME`."""
    return speech_folder / ("train" if name == "train_other" else name)
