"""Files and folders on this disk that a recipe names: when their content changes, what was made from them is stale."""

from __future__ import annotations

from pathlib import Path

from earwise.models.shipped import model_folder
from earwise.recipe.data import CorporaData
from earwise.recipe.teach import Generator, LocalModel
from earwise.recipe.terms import SELF, SNAPSHOT, TaughtTerm, TeacherServer
from earwise.recipe.train import Train
from earwise.work.job import Input


def folder(key: str, name: str) -> Input | None:
    """The folder of a model that the recipe names at `key`; None for a hub id."""
    path = Path(model_folder(name))
    return Input(key, name, path) if name and path.is_dir() else None


def corpora_files(source: CorporaData) -> tuple[Input, ...]:
    """Everything outside the run that decides which items corpora give."""
    # Readers of media take a moment to import, and no other source of items needs them here.
    from earwise.data.parts import part_files

    listed = [file for pool in source.pools.values() for part in pool.parts for file in part_files(part)]
    files = [*dict.fromkeys(map(str, listed)), *([source.benchmarks] if source.benchmarks else [])]
    return tuple(Input(f"data: {file}", file, Path(file)) for file in files)


def generator_folders(key: str, settings: Generator) -> tuple[Input, ...]:
    """Folders that the weights of a generator are in."""
    if not isinstance(settings, LocalModel):
        return ()
    named = (folder(f"{key}.model", settings.model), folder(f"{key}.ears", settings.ears or ""))
    return tuple(one for one in named if one is not None)


def teacher_folders(name: str, own: Train) -> tuple[Input, ...]:
    """Folders that hold teachers of a training, shipped ones among them."""
    taught = [term.teacher for term in own.every_term if isinstance(term, TaughtTerm)]
    names = {(one.tokenizer or one.model) if isinstance(one, TeacherServer) else one for one in taught}
    found = [folder(f"train.{name}: {teacher}", teacher) for teacher in sorted(names - {SELF, SNAPSHOT})]
    return tuple(one for one in found if one is not None)
