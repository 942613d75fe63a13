"""The two markers in a stage's folder: `started.json`, and `done.json`, which is written last and lists the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_args

from earwise.errors import InputError
from earwise.recipe.table import Precision
from earwise.work.manifest import Damage, Manifest, listed, sync
from earwise.work.store import read_json, write_atomic

STARTED: Final = "started.json"
DONE: Final = "done.json"
FORMAT: Final = 2
"""Format of both markers. A stage with another format starts over."""


@dataclass(frozen=True)
class Marker:
    """What a stage depends on, and its result."""

    stage: str
    fingerprint: str
    depends: dict[str, Any]
    precision: tuple[Precision, ...] = ()
    """The precision of each training run when the stage began; a single entry if all are the same."""
    seconds: float = 0.0
    """Seconds of the work in the folder."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the code that worked last."""
    earlier: tuple[dict[str, str], ...] = ()
    """Earlier versions that worked on it, in order."""
    made_from: dict[str, str] = field(default_factory=dict)
    """Content of each needed stage at that time."""
    content: str = ""
    """sha256 of what later stages may read; empty if unknown."""
    files: Manifest = field(default_factory=lambda: Manifest(Path()))
    outputs: Manifest = field(default_factory=lambda: Manifest(Path()))
    """The outputs outside the stage's folder."""
    began: float | None = None
    """When an unfinished attempt began."""

    def vouch(self, run_folder: Path, folder: Path, outputs: Sequence[str], *, seconds: float) -> Marker:
        """The marker of the finished stage; all its files are on the disk when this returns."""
        files = Manifest.of(folder, without=(STARTED, DONE))
        for above in (*folder.relative_to(run_folder).parents, Path()):
            sync(run_folder / above)
        made = Manifest.of_files(run_folder, outputs)
        return replace(self, seconds=seconds, content=self._content(files), files=files, outputs=made)

    def _content(self, files: Manifest) -> str:
        """Hash of what later stages may read: the stage's files, and inputs that it passes on."""
        read = [files.content, *self.depends["inputs"].values()]
        return hashlib.sha256(json.dumps(read).encode()).hexdigest()

    def damage(self, *, read_all: bool) -> list[Damage]:
        """Changed files; outputs are only checked if all files are intact."""
        return self.files.damage(read_all=read_all) or self.outputs.damage(read_all=read_all)

    def refresh(self, folder: Path) -> Marker:
        """This marker of an intact stage, written again if the files were copied and have other times."""
        files, outputs = self.files.refreshed(), self.outputs.refreshed()
        if files is None and outputs is None:
            return self
        fresh = replace(self, files=files or self.files, outputs=outputs or self.outputs)
        fresh.write(folder, DONE)
        return fresh

    def continued(self, folder: Path, versions: dict[str, str]) -> Marker:
        """The marker of another attempt. A killed attempt counts until its last write."""
        seconds = self.seconds
        if self.began is not None:
            last = max(path.lstat().st_mtime for path in folder.rglob("*"))
            seconds += max(0.0, last - self.began)
        others = (*self.earlier, self.versions) if self.versions and self.versions != versions else self.earlier
        return Marker(
            self.stage, self.fingerprint, self.depends, self.precision, seconds, versions, others, self.made_from
        )

    def write(self, folder: Path, name: str, *, began: float | None = None) -> None:
        """Write it as `name` into `folder`, atomically and durably."""
        fields: dict[str, Any] = {"format": FORMAT, "stage": self.stage, "fingerprint": self.fingerprint}
        fields |= {"depends": self.depends, "made_from": self.made_from}
        if self.precision:
            fields["precision"] = self.precision[0] if len({*self.precision}) == 1 else self.precision
        fields |= {} if began is None else {"began": began}
        fields |= {"seconds": self.seconds, "versions": self.versions}
        fields |= {"earlier_versions": self.earlier} if self.earlier else {}
        text = json.dumps(fields, indent=2)
        if name == DONE:
            fields |= {"content": self.content}
            text = f'{json.dumps(fields, indent=2)[:-2]},\n  "outputs": {self.outputs.to_json()},'
            text += f'\n  "held": {self.files.to_json()}\n}}'
        write_atomic(folder / name, text + "\n")


@dataclass(frozen=True)
class Found:
    """The state of a stage: its final marker, if the stage's fingerprint is still the same, and damaged files."""

    done: Marker | None
    damage: tuple[Damage, ...] = ()

    @property
    def whole(self) -> Marker | None:
        """The marker of a finished and intact stage."""
        return None if self.damage else self.done


def read_marker(run_folder: Path, folder: Path, name: str, say: Callable[[str], None]) -> Marker | None:
    """The marker `name` in a stage's `folder`; None if there is none, or if it is damaged, which is reported."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        fields = read_json(path)
        if fields.get("format") != FORMAT:
            say(f"{path}: was written by an earlier earwise with another format, so the stage starts over")
            return None
        depends = {key: fields["depends"][key] for key in ("settings", "seed", "inputs", "needs", "version")}
        return Marker(
            stage=str(fields["stage"]),
            fingerprint=str(fields["fingerprint"]),
            depends={**fields["depends"], **depends},
            precision=_precision(fields.get("precision", [])),
            seconds=float(fields["seconds"]),
            versions=dict(fields.get("versions", {})),
            earlier=tuple(map(dict, fields.get("earlier_versions", ()))),
            made_from=dict(fields["made_from"]),
            content=str(fields.get("content", "")),
            files=Manifest.from_json(folder, fields["held"]) if name == DONE else Manifest(folder),
            outputs=Manifest.from_json(run_folder, fields["outputs"]) if name == DONE else Manifest(run_folder),
            began=float(fields["began"]) if "began" in fields else None,
        )
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        say(f"{path}: is damaged and is ignored")
        return None


def _precision(found: Any) -> tuple[Precision, ...]:
    """The precisions in a marker; raises `ValueError` for an unknown one."""
    known = {str(one): one for one in get_args(Precision)}
    words = [found] if isinstance(found, str) else found
    if unknown := {*words} - {*known}:
        raise ValueError(f"no precision: {unknown}")
    return tuple(known[word] for word in words)


def clear_but(folder: Path, kept: Collection[str]) -> None:
    """Remove all files and links of a stage's folder except `started.json` and `kept`. `done.json` goes last: a kill in
    between leaves a finished stage with lost files, and this is repeated.
    """
    files, links, _ = listed(folder)
    for name in {*files, *links} - {*kept, STARTED, DONE}:
        (folder / name).unlink(missing_ok=True)
    (folder / DONE).unlink(missing_ok=True)
