"""Where a run came from: what `run.json` and `recipe.json` say about revision, dates, machine and settings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwise.errors import InputError
from earwise.report.summary import Summary


@dataclass(frozen=True)
class Provenance:
    """What the page says about the origin of a run; empty strings where the run folder does not tell."""

    date: str
    revision: str
    platform: str
    attempts: int
    command: str
    recipe_json: str
    run_json: str


def read_provenance(folder: Path, summary: Summary) -> Provenance:
    """Read `run.json` and `recipe.json` of a run folder; both may be missing, neither may be broken."""
    run, recipe = _read_json(folder / "run.json"), _read_json(folder / "recipe.json")
    run = run if isinstance(run, Mapping) else {}
    attempts = [attempt for attempt in run.get("attempts", []) if isinstance(attempt, Mapping)]
    last = attempts[-1] if attempts else {}
    places = (last, run, run.get("git", {}), last.get("git", {}))
    started = _first(places, "started", "started_at", "date", "time")
    return Provenance(
        date=started[:16].replace("T", " "),
        revision=_first(places, "revision", "git_revision", "commit"),
        platform=_first(places, "platform"),
        attempts=len(attempts),
        command=_command(_first(places, "command", "argv"), summary),
        recipe_json=_pretty(recipe),
        run_json=_pretty(run),
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=path, remedy="run the recipe again") from None


def _first(places: tuple[Any, ...], *keys: str) -> str:
    """The first value found under any of the keys, as text; a list of words becomes a command line."""
    for place in places:
        for key in keys if isinstance(place, Mapping) else ():
            value = place.get(key)
            if isinstance(value, list) and value:
                return shlex.join(str(word) for word in value)
            if isinstance(value, str) and value:
                return value
    return ""


def _command(recorded: str, summary: Summary) -> str:
    """The command that makes the run again: the recorded one, else the recipe of that name."""
    return recorded or shlex.join(["earwise", "run", f"recipes/{summary.recipe}.toml"])


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
