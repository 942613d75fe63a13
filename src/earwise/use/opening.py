"""Finds and loads the model that a person names: a training of a run, a folder of ears, an export or a base."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from earwise.data.asr import INSTRUCTION
from earwise.errors import InputError
from earwise.io.files import text_lines
from earwise.models.folders import check_ears_folder, check_model_folder
from earwise.models.safetensors_files import read_object
from earwise.models.shipped import SHIPPED, model_folder
from earwise.recipe.model import ALIGNED, BASE, Model
from earwise.records import Item

if TYPE_CHECKING:
    from earwise.models.omni import OmniModel

RECIPE: Final = "recipe.json"
STAGES: Final = "stages"
EARS_FILE: Final = "ears.json"
"""`earwise.models.saving.EARS`, without torch."""
EXPORTED: Final = "earwise_hearing"
"""`model_type` of a folder that `export` wrote with code."""
_NAMED: Final = re.compile(r"(?P<run>.+):(?P<training>[\w.-]+?)(@(?P<seed>\d+))?")
_HUB_ID: Final = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FORMS: Final = "name RUN:TRAINING[@SEED], a folder of ears, an exported folder, or a base model"


@dataclass(frozen=True)
class Found:
    """What has to be loaded for a model."""

    name: str
    """As it is shown to people and to clients."""
    base: str
    """A shipped name, a folder or a hub id."""
    ears: Path | None = None
    revision: str | None = None
    family: str = "auto"
    dtype: str = "float32"
    trust_remote_code: bool = False
    instruction: str = INSTRUCTION
    """The typed request for a transcript that the ears were aligned with."""
    exported: bool = False
    """Whether `base` is a folder that `export` wrote, with everything in it."""
    run: Path | None = None
    """The folder of its run."""
    training: str | None = None
    """Its name in the run."""
    seed: int = 0


def find_model(name: str) -> Found:
    """What MODEL names, without loading it: no torch is imported.

    `name` is `RUN:TRAINING[@SEED]` (a run folder and a training of its recipe, `aligned` or `base`), a folder that
    `save_ears` or `export` wrote, or a base: a shipped name, a model folder or a hub id. Raises `InputError`.
    """
    folder = Path(name)
    if folder.is_dir():
        return _found_folder(name, folder)
    if (named := _NAMED.fullmatch(name)) is not None:
        return _found_training(Path(named["run"]), named["training"], named["seed"])
    if Path(model_folder(name)).is_dir() or (_HUB_ID.fullmatch(name) and not folder.exists()):
        return Found(name, name)
    raise InputError("no such model", file=name, remedy=_FORMS)


def open_model(found: Found) -> OmniModel:
    """Load a model for answering, as `evaluate` loads it; nothing of it is trained."""
    import torch

    from earwise.models.device import best_device
    from earwise.models.omni import OmniModel
    from earwise.use.export.reopen import reopen

    dtype = getattr(torch, found.dtype)
    if found.exported:
        return reopen(Path(found.base), dtype).to(best_device()).eval().requires_grad_(False)
    model = OmniModel.from_pretrained(
        found.base,
        found.ears,
        family=found.family,
        revision=found.revision,
        dtype=dtype,
        trust_remote_code=found.trust_remote_code,
    )
    return model.to(best_device()).eval().requires_grad_(False)


def _found_folder(name: str, folder: Path) -> Found:
    if (folder / RECIPE).is_file() and (folder / STAGES).is_dir():
        names = ", ".join(_trainings(folder, read_object(folder / RECIPE))) or "none is finished"
        raise InputError("a run has several models", file=folder, remedy=f"name one as {name}:TRAINING; {names}")
    if (folder / EARS_FILE).is_file():
        check_ears_folder(folder)
        origin = read_object(folder / EARS_FILE)
        return Found(name, _base_of(origin["base"], folder), folder, origin.get("revision"))
    if (folder / "config.json").is_file():
        told = read_object(folder / "config.json")
        if told.get("model_type") == EXPORTED:
            return Found(name, name, instruction=str(told.get("instruction") or INSTRUCTION), exported=True)
        check_model_folder(folder)
        return Found(name, name)
    raise InputError("neither a run nor a model", file=folder, remedy=_FORMS)


def _found_training(run: Path, training: str, seed: str | None) -> Found:
    """A model of a run. Without a seed, the recipe's first one."""
    if not (run / RECIPE).is_file():
        raise InputError(f"no run folder: it has no {RECIPE}", file=run, remedy=_FORMS)
    recipe = read_object(run / RECIPE)
    seeds = [int(one) for one in recipe.get("seeds", [0])]
    number = int(seed) if seed is not None else seeds[0]
    if number not in seeds:
        raise InputError(f"the run has no seed {number}", file=run, remedy=f"seeds: {', '.join(map(str, seeds))}")
    settings = _settings(recipe, run)
    name = f"{run}:{training}" + ("" if seed is None else f"@{seed}")
    ears = None if training == BASE else _ears_of(run, recipe, training, number)
    return Found(
        name,
        str(run / STAGES / f"seed{number}" / BASE / "model") if settings.base == BASE else settings.base,
        ears,
        revision=settings.revision,
        family=settings.family,
        dtype=settings.dtype,
        trust_remote_code=settings.trust_remote_code,
        instruction=_instruction(run, recipe),
        run=run,
        training=training,
        seed=number,
    )


def _settings(recipe: dict[str, Any], run: Path) -> Model:
    if recipe.get("model") is None:
        raise InputError("the run trains no ears", file=run, remedy="name its base, a folder below its stages")
    try:
        return Model.model_validate_json(json.dumps(recipe["model"]))
    except ValidationError:
        what = "the model in this recipe is of another version of earwise"
        raise InputError(what, file=run / RECIPE, remedy="run its recipe again") from None


def _ears_of(run: Path, recipe: dict[str, Any], training: str, seed: int) -> Path:
    known = _trainings(run, recipe, seed)
    if training not in known:
        asked = training in {ALIGNED, *recipe.get("train", {}), *recipe.get("choose", {})}
        what = f"its training {training!r} is not finished" if asked else f"the run has no training {training!r}"
        remedy = "run the recipe to its end" if asked else f"finished: {', '.join(known) or 'none'}"
        raise InputError(what, file=run, remedy=remedy)
    check_ears_folder(known[training])
    return known[training]


def _trainings(run: Path, recipe: dict[str, Any], seed: int | None = None) -> dict[str, Path]:
    """Folders of ears of the finished trainings by name, `aligned` first."""
    number = recipe.get("seeds", [0])[0] if seed is None else seed
    own = run / STAGES / f"seed{number}"
    places = {ALIGNED: own / "align"}
    for name in (*recipe.get("train", {}), *recipe.get("choose", {})):
        once = run / STAGES / f"train.{name}"
        places[name] = once if once.is_dir() else own / f"train.{name}"
    return {name: at / "ears" for name, at in places.items() if (at / "done.json").is_file()}


def _instruction(run: Path, recipe: dict[str, Any]) -> str:
    """The request for a transcript that the run's own data hold; else that of all corpora of earwise."""
    given = recipe["data"].get("path") if isinstance(recipe.get("data"), dict) else None
    file = (Path(given) if given else run / STAGES / "data") / "transcribe.jsonl"
    if not file.is_file():
        return INSTRUCTION
    first = next(text_lines(file), None)
    return INSTRUCTION if first is None else Item.from_json(first[1]).instruction or INSTRUCTION


def _base_of(base: str, folder: Path) -> str:
    """The base that ears name; a relative path counts from here, or else from the folder of the ears."""
    if (SHIPPED / base).is_dir() or Path(base).is_dir() or not (folder / base).is_dir():
        return base
    return str(folder / base)
