"""What stage `encoder` depends on."""

from __future__ import annotations

from pathlib import Path

from earwise.models.shipped import model_folder
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import Encoder
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.gate import gate_needed
from earwise.stages.declared.models import model_check
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.work.run import Stage

ENCODER = "encoder"


def stage(recipe: Recipe, seed: int) -> Stage:
    """The stage of `[encoder]`."""
    assert recipe.encoder is not None
    return Stage(
        name=f"seed{seed}/{ENCODER}",
        work=Deferred("encoder.work", (recipe,)),
        check=model_check(recipe),
        settings=recipe.encoder.for_stage(),
        seed=seed,
        needs=(DATA, SPEECH, *gate_needed(recipe)),
        processes="one",
        precision=(recipe.encoder.precision,),
        inputs=local_start(recipe.encoder),
    )


def local_start(settings: Encoder) -> tuple[Path, ...]:
    """The folder of the encoder to start from, if it lies on this disk."""
    folder = Path(model_folder(settings.start)) if settings.start is not None else None
    return (folder,) if folder is not None and folder.is_dir() else ()
