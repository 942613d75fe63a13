"""`earwise` commands of the torture suite, with a time limit, and the check of a refused command."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from earwise_process import Command, Result

__all__ = ["LIMIT_S", "PROJECT", "Command", "Result", "refusal", "run"]

LIMIT_S = 180.0
"""Time limit of a command on a slow machine; a refusal takes a second or two."""


def run(folder: Path, *arguments: object, limit_s: float = LIMIT_S) -> Result:
    """The result of `earwise ARGUMENTS` in `folder`. Raises `TimeoutError` if it does not end."""
    return Command(folder, *arguments).result(limit_s)


def refusal(folder: Path, names: str, *arguments: object) -> str:
    """The problem with the refusal of a bad input; empty if exit code, line and name are right."""
    try:
        result = run(folder, *arguments)
    except TimeoutError:
        return f"hangs for {LIMIT_S:g} s"
    said = result.stderr
    if "Traceback" in said + result.stdout:
        return f"a traceback: {said[-200:]}"
    if result.code != 2:
        return f"exit {result.code}: {said or result.stdout[-200:]}"
    if said.count("\n") != 1 or not said.startswith("earwise: "):
        return f"not one line: {said}"
    if any(ord(sign) < 32 for sign in said[:-1]):
        return f"control characters: {said!r}"
    return "" if names in said else f"does not name {names}: {said}"
