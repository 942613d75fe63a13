"""The columns of a user's own benchmark file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.recipe.evaluate import Own

_SHARED: Final = {
    "question": "question",
    "hint": "hint",
    "image": "image",
    "audio": "audio",
    "video": "video",
    "cluster": "cluster",
    "suffix": "suffix",
    "split": "split",
}
DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "tsv": {
        **_SHARED,
        "id": "index",
        "answer": "answer",
        "choices": "",
        "image_path": "image_path",
        "kind": "category",
    },
    "jsonl": {**_SHARED, "id": "id", "answer": "answers", "choices": "choices", "image_path": "", "kind": "kind"},
}
"""The default column of each field, by format: those of VLMEvalKit, and an item's fields."""

NEEDED: Final = ("id", "question", "answer")


@dataclass(frozen=True)
class OwnSource:
    """A benchmark's name and its table in the recipe."""

    name: str
    own: Own

    @property
    def path(self) -> Path:
        """The benchmark's file."""
        return Path(self.own.file)

    @property
    def columns(self) -> dict[str, str]:
        """The column of each field; empty for a field that is not read."""
        chosen = {what: getattr(self.own.columns, what) for what in DEFAULTS["tsv"]}
        known = DEFAULTS[self.own.read_as or "tsv"]
        return {what: known[what] if column is None else column for what, column in chosen.items()}

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that the file must have: those of every question, and those that the recipe names."""
        named = [what for what in self.columns if getattr(self.own.columns, what)]
        if self.own.split is not None:
            named.append("split")
        return tuple(dict.fromkeys(self.columns[what] for what in (*NEEDED, *named)))

    @property
    def remedy(self) -> str:
        """The remedy for an unusable row."""
        return f"mend the row or take it out, or name other columns in [evaluate.own.{self.name}.columns]"

    def check_columns(self, there: Iterable[str]) -> None:
        """Raise `InputError` if a file with the columns `there` lacks a required column."""
        there = list(there)
        for what in NEEDED:
            if not self.columns[what]:
                key = f"evaluate.own.{self.name}.columns.{what}"
                raise InputError("is empty, and nothing can be asked without it", record=key)
        if missing := [column for column in self.required if column not in there]:
            remedy = f"it has: {', '.join(there)}; say in [evaluate.own.{self.name}.columns] which holds what"
            raise InputError(f"missing columns: {', '.join(missing)}", file=self.path, remedy=remedy)
