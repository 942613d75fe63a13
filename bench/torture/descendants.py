"""The processes that a command started, for sending them signals."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def children(process: int) -> list[int]:
    """Running processes that `process` started."""
    found: list[int] = []
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, listed.read_text().split())
    return found


def descendants(process: int) -> list[int]:
    """Children and their descendants, parents first."""
    return [one for child in children(process) for one in (child, *descendants(child))]


def workers(process: int) -> list[int]:
    """The workers of a process's pool: children that Python spawned."""
    return [one for one in children(process) if "spawn_main" in _command(one)]


def signal_all(processes: list[int], number: int) -> None:
    """Send a signal to each process that still runs."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
