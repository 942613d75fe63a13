"""Kills of worker processes during a run: it must finish as if undisturbed, or end with one clear line."""

from __future__ import annotations

import random
import signal
import time

from commands import LIMIT_S, Command
from descendants import signal_all, workers
from places import Places
from table import Table
from test_gate import write_tiny_ctc
from undisturbed import Whole

from recipes import PIPELINE, SIGHT

PART = "worker kills"
POOLS = (
    ("speech", PIPELINE, ("speech.workers=2", "data.transcribe_items=300")),
    ("traces", SIGHT, ("traces.teacher.replicas=2",)),
    ("verify", SIGHT, ("verify.checker.replicas=2",)),
)
"""Stages that work with a pool of two processes."""
HOW = {"one worker": (1, 1), "both workers": (2, 1), "one worker, twice": (1, 2), "every worker that starts": (2, 99)}
"""Number of workers killed at once, and how often."""


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """Each way to kill workers of each pool, at two different times; each `share`-th."""
    rng, number = random.Random(3), 0
    for stage, recipe, overrides in POOLS:
        place = places.fresh(recipe)
        write_tiny_ctc(place / "asr")
        try:
            whole = Whole(place, *overrides, verb=stage)
        except (RuntimeError, TimeoutError) as error:
            table.note(PART, f"{stage}, undisturbed", str(error))
            continue
        for how, (count, times) in HOW.items():
            took_s = sum(seconds for name, seconds in whole.seconds.items() if name.partition("/")[0] == stage)
            for after_s in (0.0, rng.uniform(0, took_s)):
                if number % share == 0:
                    wrong = _disturbed(whole, stage, count, times, after_s)
                    table.note(PART, f"{stage}: {how}, {after_s:.2f} s after they started", wrong)
                number += 1
        places.done(place)


def _disturbed(whole: Whole, stage: str, count: int, times: int, after_s: float) -> str:
    """Kill workers in `stage`; returns the problem with the end of this command or of the next one, if any."""
    whole.without(stage, "killed")
    command = Command(whole.place, *whole.command("killed"))
    killed: set[int] = set()
    stop = time.monotonic() + 5 * LIMIT_S
    while command.running and times and time.monotonic() < stop:
        alive = [one for one in workers(command.pid) if one not in killed]
        if len(alive) >= count:
            time.sleep(after_s)
            signal_all(alive[:count], signal.SIGKILL)
            killed.update(alive[:count])
            times -= 1
        time.sleep(0.03)
    if not killed:
        return "no worker was seen"
    try:
        result = command.result(5 * LIMIT_S)
    except TimeoutError:
        return "hangs"
    if result.code not in (0, 1) or (result.code == 1 and not _one_clear_line(result.stderr)):
        return f"exit {result.code}: {result.stderr}"
    return whole.unlike("killed")


def _one_clear_line(said: str) -> bool:
    return said.count("\n") == 1 and "workers were killed" in said and "the same command continues" in said
