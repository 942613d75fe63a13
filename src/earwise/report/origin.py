"""Provenance of a run: revision, machine and settings from `run.json` and `recipe.json`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from earwise.errors import InputError
from earwise.report.summary import Summary


@dataclass(frozen=True)
class Origin:
    """Provenance as shown on the page; unknown values are empty."""

    title: str
    date: str
    """When the last attempt was started, UTC."""
    revision: str
    diff: str
    """File in the run folder with the difference to the revision."""
    platform: str
    attempts: int
    command: str
    """Command that repeats the run."""
    recipe_json: str
    run_json: str


def read_origin(folder: Path, summary: Summary) -> Origin:
    """Read `run.json` and `recipe.json` of a run folder; both may be missing, neither may be broken."""
    run, recipe = _read_object(folder / "run.json"), _read_object(folder / "recipe.json")
    attempts = run.get("attempts") or []
    last = attempts[-1] if attempts else {}
    return Origin(
        title=_at(recipe, "report", "title") or summary.recipe,
        date=_date(last),
        revision=_at(last, "revision"),
        diff=_at(last, "diff"),
        platform=_at(last, "platform", "system"),
        attempts=len(attempts),
        command=_command(last, summary),
        recipe_json=_pretty(recipe),
        run_json=_pretty(run),
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=path, remedy="run the recipe again") from None
    if not isinstance(value, dict):
        raise InputError("not a JSON object", file=path, remedy="run the recipe again")
    return value


def _at(value: Any, *keys: str) -> str:
    """The text at a path of keys, or an empty string."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _date(attempt: Any) -> str:
    """`2025-03-01 12:30 UTC`, or an empty string without a valid start."""
    started = _at(attempt, "started")
    try:
        return datetime.fromisoformat(started).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if started else ""
    except ValueError:
        return ""


def _command(attempt: Any, summary: Summary) -> str:
    """The recorded command, else the recipe's file, else a file of the recipe's name."""
    words = attempt.get("command") if isinstance(attempt, Mapping) else None
    if isinstance(words, list) and words:
        return shlex.join(map(str, words))
    file = _at(attempt, "recipe_file") or f"recipes/{summary.recipe}.toml"
    return shlex.join(["earwise", "run", file])


def _pretty(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
