"""Kills and signals in every stage: the same command continues, and the result is that of an undisturbed run.

A journey is one run that is disturbed once in each of its stages, in order, and then finished.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from commands import LIMIT_S, Command
from descendants import signal_all, workers
from places import Places
from table import Table
from test_gate import write_tiny_ctc
from undisturbed import Whole

from recipes import PIPELINE, SIGHT

Disturb = Callable[[Command], str]
"""Disturbs a command; returns the problem with its end, if any."""


def kill(command: Command) -> str:
    """SIGKILL."""
    command.kill()
    return ""


def send(number: int, code: int | None) -> Disturb:
    """A signal, as a terminal sends it: to the command and to its workers. The command must end in time, with `code`
    and one line where that is given.
    """

    def disturb(command: Command) -> str:
        if command.running:
            signal_all([command.pid, *workers(command.pid)], number)
        try:
            result = command.result(LIMIT_S)
        except TimeoutError:
            return f"has not ended after {LIMIT_S:g} s"
        if result.code == 0:
            return ""  # it was at its end already
        if code is not None and (result.code != code or result.stderr.count("\n") != 1):
            return f"ends with {result.code}: {result.stderr}"
        return ""

    return disturb


JOURNEYS: tuple[tuple[str, Disturb], ...] = (
    ("kill -9", kill),
    ("SIGINT", send(signal.SIGINT, 130)),
    ("SIGTERM", send(signal.SIGTERM, None)),
    ("kill -9", kill),
)


def try_pipeline(table: Table, places: Places, share: int = 1) -> None:
    """Four runs from data and speech through gate, training and evaluation to the report."""
    _try(table, places, share, "pipeline", PIPELINE)


def try_traces(table: Table, places: Places, share: int = 1) -> None:
    """Four runs through traces, verification, SFT and GRPO."""
    _try(table, places, share, "traces", SIGHT)


def _try(table: Table, places: Places, share: int, kind: str, recipe: str) -> None:
    rng = random.Random(2)
    place = places.fresh(recipe)
    write_tiny_ctc(place / "asr")
    try:
        whole = Whole(place)
    except (RuntimeError, TimeoutError) as error:
        table.note(f"kill -9, {kind}", "undisturbed", str(error))
        return
    for number, (part, disturb) in enumerate(JOURNEYS):
        if number % share == 0:
            journey(table, whole, (part, kind), disturb, rng)
    places.done(place)


def journey(table: Table, whole: Whole, title: tuple[str, str], disturb: Disturb, rng: random.Random) -> None:
    """Disturb one run in each of its stages. Each is a try; a wrong end counts for the last of them."""
    name, stages = "journey", list(whole.seconds.items())
    shutil.rmtree(whole.place / name, ignore_errors=True)
    for stage, took_s in stages:
        after_s = rng.uniform(0, took_s)
        wrong = disturbed(whole, name, stage, after_s, disturb)
        if stage == stages[-1][0]:
            wrong = wrong or whole.unlike(name)
        table.note(f"{title[0]}, {title[1]}", f"{stage} after {after_s:.2f} s", wrong)


def disturbed(whole: Whole, name: str, stage: str, after_s: float, disturb: Disturb) -> str:
    """Start or continue a run and disturb it in `stage`, some time after its beginning; returns the problem, if any."""
    folder = whole.place / name / "stages" / stage
    if (folder / "done.json").exists():  # an earlier disturbance came too late
        shutil.rmtree(folder)
    was = _began(folder)
    command = Command(whole.place, *whole.command(name))
    stop = time.monotonic() + 5 * LIMIT_S
    while _began(folder) == was and time.monotonic() < stop:
        if not command.running:
            return f"ended before {stage}: {command.result().stderr or command.result().stdout}"
        time.sleep(0.005)
    time.sleep(after_s)
    return disturb(command)


def _began(folder: Path) -> int:
    """When the stage last began; 0 for never."""
    try:
        return (folder / "started.json").stat().st_mtime_ns
    except OSError:
        return 0
