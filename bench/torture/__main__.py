"""The torture suite: `make torture`, or parts of it: `python bench/torture --only kills`.

Prints one line for each try and a table, and writes the table to a file. Needs one core and minutes to hours. A record
keeps the result of each part, so that parts can be tried one after the other and still make one table.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bad_inputs
import damaged_runs
import kills
import models
import reports
import servers
import side_kills
import worker_kills
from commands import PROJECT
from places import Places
from table import Table, markdown, read_record, write_record

PARTS = {
    "files": bad_inputs.try_files,
    "values": bad_inputs.try_values,
    "models": models.try_all,
    "servers": servers.try_all,
    "damage": damaged_runs.try_all,
    "reports": reports.try_all,
    "kills": kills.try_pipeline,
    "trace_kills": kills.try_traces,
    "workers": worker_kills.try_all,
    "caches": side_kills.try_caches,
    "processes": side_kills.try_processes,
}
HEAD = """\
# Reliability, measured

`make torture` tries what goes wrong in the field, on small models: kills and signals in every stage, kills of workers,
full disks, lost and damaged files of finished runs, bad inputs, hostile model folders, servers and reports. What is
promised is in [reliability.md](../reliability.md). A try is right when the run ends as if nothing had been, or when it
is refused as it should be. The table shows what was tried, not that there is nothing else.

"""


def main() -> int:
    """Try the requested parts; returns 1 if anything was wrong."""
    options = _options()
    # Ignored in what a shell starts in the background, and commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["__main__"].__file__ = None  # commands are forked and must not import this file again
    root = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    places = Places(root)
    tables = read_record(options.record) if options.record else {}
    for part in options.only:
        tables[part] = _try(part, places, options.share, options.record)
    if options.folder is None:
        shutil.rmtree(root, ignore_errors=True)
    known = [tables[part] for part in PARTS if part in tables]
    text = f"{markdown(known)}\n{sum(sum(one.tried.values()) for one in known)} tries, on {_machine()}.\n"
    print(text)
    if options.out is not None:
        options.out.write_text(HEAD + text, encoding="utf-8")
    return 1 if any(one.wrong for one in known) else 0


def _try(part: str, places: Places, share: int, record: Path | None) -> Table:
    """Try one part; results are saved after each try."""
    table, began = Table(), time.monotonic()

    def keep(state: str) -> None:
        table.made = f"{_made(part, share, time.monotonic() - began)}{state}"
        if record is not None:
            write_record(record, {**read_record(record), part: table})

    table.after_each = lambda: keep(", not finished")
    PARTS[part](table, places, share)
    keep("")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts to try")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="try each N-th case only")
    parser.add_argument("--out", type=Path, help="file that gets the table")
    parser.add_argument("--record", type=Path, help="JSON file that keeps each part; the table shows all that it holds")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when absent")
    return parser.parse_args()


@cache
def _revision() -> str:
    git = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no revision"


def _made(part: str, share: int, seconds: float) -> str:
    """Command, revision, date and duration of a part."""
    shared = f" --share {share}" if share > 1 else ""
    return f"`--only {part}{shared}`, {_revision()}, {datetime.now(UTC):%Y-%m-%d}, {seconds / 60:.0f} min"


def _machine() -> str:
    """A description of the machine, without its name."""
    cpu = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    return f"{len(names)} cores of {names[0] if names else platform.machine()}, {platform.system()}, Python " + (
        platform.python_version()
    )


if __name__ == "__main__":
    sys.exit(main())
