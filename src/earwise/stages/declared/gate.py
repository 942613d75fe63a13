"""What the stages `gate.transcripts` and `gate` depend on."""

from __future__ import annotations

from pathlib import Path

from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Gate
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.work.run import Stage

TRANSCRIPTS, NAME = "gate.transcripts", "gate"


def stages(recipe: Recipe) -> list[Stage]:
    """The stages of `[gate]`: the first one where the recipe has a speech recogniser."""
    gate = recipe.gate
    assert gate is not None
    listening = Stage(
        name=TRANSCRIPTS,
        work=Deferred("gate.transcribe", (recipe,)),
        settings={"asr": gate.asr.for_stage() if gate.asr else None, "train": gate.train != "off"},
        needs=(DATA, SPEECH),
        inputs=_local_model(gate),
    )
    judging = Stage(
        name=NAME,
        work=Deferred("gate.judge", (recipe,)),
        settings={**gate.for_stage(), "asr": gate.asr is not None},
        needs=(DATA, SPEECH, *([TRANSCRIPTS] if gate.asr else [])),
    )
    return [listening, judging] if gate.asr else [judging]


def _local_model(gate: Gate) -> tuple[Path, ...]:
    """A recogniser in a folder may change under its name."""
    return (Path(gate.asr.model),) if gate.asr and Path(gate.asr.model).is_dir() else ()


def gate_needed(recipe: Recipe) -> tuple[str, ...]:
    """The stage that says which clips a training leaves out; none where it leaves out none."""
    return (NAME,) if recipe.gate is not None and recipe.gate.train == "leave_out" else ()
