"""The two markers of a stage's folder: `started.json`, and `done.json`, written last, which vouches for the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_args

from earwise.errors import InputError
from earwise.recipe.train import Precision
from earwise.work.manifest import Damage, Manifest, listed, sync
from earwise.work.store import read_json, write_atomic

STARTED: Final = "started.json"
DONE: Final = "done.json"
FORMAT: Final = 2
"""Of both markers. A run with markers of another format starts over."""


@dataclass(frozen=True)
class Marker:
    """What a stage depended on, and what came of it."""

    stage: str
    fingerprint: str
    depends: dict[str, Any]
    precision: tuple[Precision, ...] = ()
    """What the stage began to compute in, for each of its trainings; one word where it is the same for all."""
    seconds: float = 0.0
    """Of work that lies in the folder."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the code that worked last."""
    earlier: tuple[dict[str, str], ...] = ()
    """Other versions that worked on it before, in order."""
    made_from: dict[str, str] = field(default_factory=dict)
    """Content of each stage that it needed, as it was then."""
    content: str = ""
    """sha256 of what later stages may read; empty where nothing is known of it."""
    files: Manifest = field(default_factory=lambda: Manifest(Path()))
    outputs: Manifest = field(default_factory=lambda: Manifest(Path()))
    """Files outside the stage's folder."""
    began: float | None = None
    """When an attempt began that has not ended."""

    def vouch(self, run_folder: Path, folder: Path, outputs: Sequence[str], *, seconds: float) -> Marker:
        """The marker of the finished stage: everything it vouches for is on the disk when this returns."""
        files = Manifest.of(folder, without=(STARTED, DONE))
        for above in (*folder.relative_to(run_folder).parents, Path()):
            sync(run_folder / above)
        made = Manifest.of_files(run_folder, outputs)
        return replace(self, seconds=seconds, content=self._content(files), files=files, outputs=made)

    def _content(self, files: Manifest) -> str:
        """Of what later stages may read: files of the stage, and inputs that it passes on where they are."""
        read = [files.content, *self.depends["inputs"].values()]
        return hashlib.sha256(json.dumps(read).encode()).hexdigest()

    def damage(self, *, read_all: bool) -> list[Damage]:
        """Files that are not what they were; outputs only where all files are whole."""
        return self.files.damage(read_all=read_all) or self.outputs.damage(read_all=read_all)

    def refresh(self, folder: Path) -> Marker:
        """This marker of a whole stage; written again where the files were copied and have other times."""
        files, outputs = self.files.refreshed(), self.outputs.refreshed()
        if files is None and outputs is None:
            return self
        fresh = replace(self, files=files or self.files, outputs=outputs or self.outputs)
        fresh.write(folder, DONE)
        return fresh

    def continued(self, folder: Path, versions: dict[str, str]) -> Marker:
        """The marker of one more attempt. An attempt that was killed counts until its last write."""
        seconds = self.seconds
        if self.began is not None:
            last = max(path.lstat().st_mtime for path in folder.rglob("*"))
            seconds += max(0.0, last - self.began)
        others = (*self.earlier, self.versions) if self.versions and self.versions != versions else self.earlier
        return Marker(
            self.stage, self.fingerprint, self.depends, self.precision, seconds, versions, others, self.made_from
        )

    def write(self, folder: Path, name: str, *, began: float | None = None) -> None:
        """Write it as `name` into `folder`, in one step and through to the disk."""
        told: dict[str, Any] = {"format": FORMAT, "stage": self.stage, "fingerprint": self.fingerprint}
        told |= {"depends": self.depends, "made_from": self.made_from}
        if self.precision:
            told["precision"] = self.precision[0] if len({*self.precision}) == 1 else self.precision
        told |= {} if began is None else {"began": began}
        told |= {"seconds": self.seconds, "versions": self.versions}
        told |= {"earlier_versions": self.earlier} if self.earlier else {}
        text = json.dumps(told, indent=2)
        if name == DONE:
            told |= {"content": self.content}
            text = f'{json.dumps(told, indent=2)[:-2]},\n  "outputs": {self.outputs.to_json()},'
            text += f'\n  "held": {self.files.to_json()}\n}}'
        write_atomic(folder / name, text + "\n")


@dataclass(frozen=True)
class Found:
    """What was found of a stage: the marker of its end, if that is of what it depends on now, and damaged files."""

    done: Marker | None
    damage: tuple[Damage, ...] = ()

    @property
    def whole(self) -> Marker | None:
        """The marker of a stage that is done and has all its files."""
        return None if self.damage else self.done


def read_marker(run_folder: Path, folder: Path, name: str, say: Callable[[str], None]) -> Marker | None:
    """The marker `name` of a stage's `folder`; None where there is none, and for a damaged one, which `say` is told."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        told = read_json(path)
        if told.get("format") != FORMAT:
            say(f"{path}: was written by an earlier earwise, which kept other records, so the stage starts over")
            return None
        depends = {key: told["depends"][key] for key in ("settings", "seed", "inputs", "needs", "version")}
        return Marker(
            stage=str(told["stage"]),
            fingerprint=str(told["fingerprint"]),
            depends={**told["depends"], **depends},
            precision=_precision(told.get("precision", [])),
            seconds=float(told["seconds"]),
            versions=dict(told.get("versions", {})),
            earlier=tuple(map(dict, told.get("earlier_versions", ()))),
            made_from=dict(told["made_from"]),
            content=str(told.get("content", "")),
            files=Manifest.from_json(folder, told["held"]) if name == DONE else Manifest(folder),
            outputs=Manifest.from_json(run_folder, told["outputs"]) if name == DONE else Manifest(run_folder),
            began=float(told["began"]) if "began" in told else None,
        )
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        say(f"{path}: is damaged and is not believed")
        return None


def _precision(told: Any) -> tuple[Precision, ...]:
    """As a marker tells it; raises `ValueError` for a word that is no precision."""
    known = {str(one): one for one in get_args(Precision)}
    words = [told] if isinstance(told, str) else told
    if unknown := {*words} - {*known}:
        raise ValueError(f"no precision: {unknown}")
    return tuple(known[word] for word in words)


def clear_but(folder: Path, kept: Collection[str]) -> None:
    """Remove every file and link of a stage's folder but the marker that says that it was begun, and `kept`.

    `done.json` goes last: a kill in between leaves a finished stage that has lost files, and this is done again.
    """
    files, links, _ = listed(folder)
    for name in {*files, *links} - {*kept, STARTED, DONE}:
        (folder / name).unlink(missing_ok=True)
    (folder / DONE).unlink(missing_ok=True)
