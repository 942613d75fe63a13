"""The origin of a run: revision, versions, machine, command and inputs, without heavy imports."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import earwise
from earwise.errors import InputError
from earwise.io.files import require_file, unreadable
from earwise.work.store import read_json, write_atomic

VERSIONS_OF = (
    "torch",
    "transformers",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pydantic",
    "espeakng-loader",
    "soundfile",
    "soxr",
    "av",
    "pillow",
    "jiwer",
)
"""Distributions whose version can change a result."""


def versions() -> dict[str, str]:
    """Version of Python, earwise and each installed distribution that can change a result."""
    found = {"python": platform.python_version(), "earwise": earwise.__version__}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Checkout:
    """The state of the package's sources in this project's own git checkout. Other files are not read."""

    revision: str
    diff: str
    """The diff of the package's tracked files; empty if nothing differs."""
    modified: bool
    """Whether anything differs, including untracked files of the package."""


def checkout() -> Checkout | None:
    """The state of the package's sources; None if it is installed elsewhere or git is absent. An installed package may
    lie inside another repository, which does not track it, or which is another project with a copy of it. Neither says
    anything about the package, and neither is read.
    """
    package = Path(earwise.__file__).parent
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or not _is_own(Path(top.removesuffix("\n"))):
        return None
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    revision = _git(package, "rev-parse", "HEAD")
    diff = _git(package, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".")
    untracked = _git(package, "ls-files", "--others", "--exclude-standard", "--", ".")
    if revision is None or diff is None or untracked is None:
        return None
    return Checkout(revision.strip(), diff, bool(diff or untracked))


def _is_own(top: Path) -> bool:
    """Whether a checkout belongs to this project."""
    try:
        described = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(described.get("project", {}).get("name") == "earwise")


def code_versions() -> dict[str, str]:
    """`versions`, and the revision of the package's sources if known, with `+` if they were modified."""
    state = checkout()
    return {**versions(), **({"revision": state.revision + "+" * state.modified} if state else {})}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def attempt(folder: Path, command: list[str], seeds: tuple[int, ...], recipe_file: Path | None) -> dict[str, object]:
    """The entry in `run.json` for one attempt at a run; a diff is written to a file of its own in `folder`."""
    state = checkout()
    entry: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "recipe_file": str(recipe_file) if recipe_file else None,
        "recipe_sha256": hash_file(recipe_file) if recipe_file else None,
        "seeds": list(seeds),
        "versions": versions(),
        "platform": {"system": platform.platform(), "machine": platform.machine()},
        "revision": state.revision if state else None,
        "modified": state.modified if state else None,
    }
    if state and state.diff:
        name = f"diff-{hashlib.sha256(state.diff.encode()).hexdigest()[:12]}.patch"
        write_atomic(folder / name, state.diff)
        entry["diff"] = name
    return entry


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file in `folder` that is not hidden; links to folders are followed, but not in circles."""
    above |= {folder.resolve()}
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            yield entry
        elif entry.is_dir() and entry.resolve() not in above:
            yield from _files(entry, above)


class InputHashes:
    """sha256 of input files and folders, stored with the run so that a large unchanged file is read once. A file counts
    as unchanged if its size and its modification time in nanoseconds are the same, as in git.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _known(path)
        self._changed = False

    def of(self, path: Path) -> str:
        """Hash of a file, or of the relative names and hashes of all files in a folder; raises `InputError`. Hidden
        files are ignored: images that the readers extract from files in the folder. Links to folders are followed.
        """
        try:
            if not path.exists():
                raise InputError("no such file or folder", file=path)
            if not path.is_dir():
                return self._of_file(path)
            shown = sorted(file.relative_to(path) for file in _files(path))
            listing = [f"{self._of_file(path / name)} {name.as_posix()}\n" for name in shown]
        except OSError as error:
            raise unreadable(Path(error.filename or path), error) from None
        return hashlib.sha256(os.fsencode("".join(listing))).hexdigest()

    def _of_file(self, path: Path) -> str:
        status, name = require_file(path), str(path.resolve())
        state = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        known = self._known.get(name, {})
        if state.items() <= known.items():
            return str(known["sha256"])
        digest = hash_file(path)
        self._known[name] = {**state, "sha256": digest}
        self._changed = True
        return digest

    def save(self) -> None:
        """Write the hashes if there are new ones."""
        if self._changed:
            write_atomic(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")
            self._changed = False


def _known(path: Path) -> dict[str, dict[str, int | str]]:
    """The content of a file of hashes; empty for a damaged file, so that everything is read again."""
    try:
        known = read_json(path)
    except InputError:
        return {}
    whole = isinstance(known, dict) and all(isinstance(one, dict) for one in known.values())
    return known if whole else {}
