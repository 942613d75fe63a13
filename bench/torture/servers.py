"""Hostile chat and speech servers: each mode must cost bounded time and memory, and give one line."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from commands import PROJECT
from hostile_server import MODES, HostileServer
from places import Places
from table import Table

LIMIT_S = 2.0
SLACK_S = 20.0
"""Extra time for a slow machine, beyond the limit of a call."""
START_S = 240.0
"""Time to start Python on a busy machine."""
MEMORY_MB = 1_500
"""Address space for earwise, openai and one answer of 64 MiB; a bomb of a gigabyte does not fit."""

_SPEAK = """
import sys, time
from earwise.errors import EarwiseError
from earwise.speech.endpoint import EndpointEngine
began = time.monotonic()
engine = EndpointEngine(sys.argv[1], "m", timeout_s=2.0, max_retries=0)
try:
    engine.speak("Is it red?", "alloy", 175, 50, 0)
except EarwiseError as error:
    print("REFUSED", error)
engine.close()
print("TOOK", time.monotonic() - began)
"""
_ASK = """
import sys, time
from pathlib import Path
from earwise.errors import EarwiseError
from earwise.traces.client import Client
from earwise.traces.requests import Message, Request, Sampling
from earwise.traces.server import Server, ServerEngine
began = time.monotonic()
server = Server(sys.argv[1], "m", timeout_s=2.0, max_attempts=1)
try:
    with Client(ServerEngine(server), Path(sys.argv[2]) / "responses.jsonl") as client:
        (one,) = client.complete([Request("r", (Message("user", ("Is it red?",)),), Sampling(8))])
    print("REFUSED" if one.failure else "ANSWERED", one.failure)
except EarwiseError as error:
    print("REFUSED", error)
print("TOOK", time.monotonic() - began)
"""


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """Every mode against both clients, or each `share`-th."""
    for part, script in (("speech client", _SPEAK), ("chat client", _ASK)):
        for mode in list(MODES)[::share]:
            place = places.fresh()
            table.note(part, mode, _wrong(script, mode, place))
            places.done(place)


def _wrong(script: str, mode: str, place: Path) -> str:
    with HostileServer(mode) as server:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", script, server.url, str(place)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY_MB * 2**20, MEMORY_MB * 2**20))
        try:
            said, errors = process.communicate(timeout=START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"takes more than {time.monotonic() - began:.0f} s"
    if process.returncode or "Traceback" in errors:
        return f"exit {process.returncode}: {errors[-300:]}"
    line, _, took = said.partition("\nTOOK ")
    if not line.startswith("REFUSED") or "\n" in line or not took:
        return f"says {said!r}"
    return f"takes {float(took):.0f} s" if float(took) > LIMIT_S + SLACK_S else ""
