"""The processes that a command started, so that workers and launched processes can be sent a signal themselves."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def children(process: int) -> list[int]:
    """Processes that `process` started and that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found.append(int(folder.name))
    return found


def descendants(process: int) -> list[int]:
    """Children and what they started, parents first."""
    return [one for child in children(process) for one in (child, *descendants(child))]


def workers(process: int) -> list[int]:
    """The workers of a process's pool: of its children, those that Python spawned to work."""
    return [one for one in children(process) if "spawn_main" in _command(one)]


def signal_all(processes: list[int], number: int) -> None:
    """Send a signal to each process that is still there."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
