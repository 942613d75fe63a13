"""Kills and signals in every stage: the same command continues, and the result is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from commands import LIMIT_S, PROJECT, Command, run
from places import Places
from table import Table
from test_gate import write_tiny_ctc

from recipes import PIPELINE, SIGHT

_UNLIKE = {"started.json", "done.json", "run.json", "inputs.json", "run.lock", "report.html", "counts.json"}
_ASIDE = {"timings_s", "traces", "other_versions"}
"""What a summary tells of how the work went."""


def results(folder: Path) -> dict[str, object]:
    """Everything a run leaves that must not depend on when and how often it was started."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in _UNLIKE and p.suffix != ".patch"]
    found: dict[str, object] = {str(p.relative_to(folder)): p.read_bytes() for p in files}
    if (folder / "summary.json").is_file():
        told = json.loads((folder / "summary.json").read_text())
        found["summary.json"] = {key: value for key, value in told.items() if key not in _ASIDE}
    return found


def difference(one: dict[str, object], two: dict[str, object]) -> str:
    """The first file in which two runs differ."""
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            return f"{name} is {'another' if name in one and name in two else 'not in both'}"
    return ""


class Whole:
    """An undisturbed run of a recipe, its stages and how long each took."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place / "whole"
        result = run(place, "run", "own.toml", "--out", "whole", limit_s=10 * LIMIT_S)
        if result.code:
            raise RuntimeError(f"the undisturbed run ends with {result.code}: {result.stderr}")
        done = sorted(self.folder.rglob("done.json"), key=lambda path: path.stat().st_mtime)
        stages = self.folder / "stages"
        self.seconds = {str(p.parent.relative_to(stages)): json.loads(p.read_text())["seconds"] for p in done}
        self.results = results(self.folder)


def disturbed(whole: Whole, name: str, stage: str, after_s: float, disturb: Callable[[Command], str]) -> str:
    """Start, disturb in `stage` after a time, finish; what is wrong, if anything."""
    shutil.rmtree(whole.place / name, ignore_errors=True)
    command = Command(whole.place, "run", "own.toml", "--out", name)
    stop = time.monotonic() + LIMIT_S
    while not (whole.place / name / "stages" / stage / "started.json").exists() and time.monotonic() < stop:
        if not command.running:
            return f"ended before {stage}: {command.result().stderr}"
        time.sleep(0.001)
    time.sleep(after_s)
    wrong = disturb(command)
    if wrong:
        return wrong
    last = run(whole.place, "run", "own.toml", "--out", name, limit_s=10 * LIMIT_S)
    if last.code:
        return f"continues with exit {last.code}: {last.stderr}"
    again = run(whole.place, "run", "own.toml", "--out", name, limit_s=LIMIT_S)
    if "nothing to do" not in again.stdout:
        return f"is not finished: {again.stdout[-200:]}"
    return difference(results(whole.place / name), whole.results)


def kill(command: Command) -> str:
    """SIGKILL."""
    command.kill()
    return ""


def send(number: int, code: int | None) -> Callable[[Command], str]:
    """A signal, after which the command must end in time, with `code` and one line where that is given."""

    def disturb(command: Command) -> str:
        if command.running:
            os.kill(command._process.pid or 0, number)
        result = command.result(LIMIT_S)
        if result.code == 0:
            return ""  # it was at its end already
        if code is not None and (result.code != code or result.stderr.count("\n") != 1):
            return f"ends with {result.code}: {result.stderr}"
        return ""

    return disturb


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """Two kills in every stage of every recipe, one SIGINT and one SIGTERM; each `share`-th of them."""
    rng = random.Random(2)
    for kind, recipe in (("pipeline", PIPELINE), ("traces", SIGHT)):
        place = places.fresh(recipe)
        write_tiny_ctc(place / "asr")
        try:
            whole = Whole(place)
        except (RuntimeError, TimeoutError) as error:
            table.note(f"kills, {kind}", "undisturbed", str(error))
            continue
        tries = [
            (part, stage, took_s, disturb)
            for stage, took_s in whole.seconds.items()
            for part, disturb in (
                ("kill -9", kill),
                ("kill -9", kill),
                ("SIGINT", send(signal.SIGINT, 130)),
                ("SIGTERM", send(signal.SIGTERM, None)),
            )
        ]
        for number, (part, stage, took_s, disturb) in enumerate(tries):
            after_s = rng.uniform(0, took_s)
            if number % share == 0:
                name = f"{kind}: {stage} after {after_s:.2f} s"
                table.note(part, name, disturbed(whole, f"run{number}", stage, after_s, disturb))
                shutil.rmtree(place / f"run{number}", ignore_errors=True)
        places.done(place)
    teacher_cache(table, places, rng, 5 if share == 1 else 1)
    two_processes(table, places, rng, 3 if share == 1 else 1)


_CACHE = """
import sys
from pathlib import Path
from earwise.data.items import read_items
from earwise.distil.teacher_cache import write_cache
from earwise.models.omni import OmniModel
from earwise.stages.samples import sample_items
items = read_items("own/train.jsonl")
many = [item.model_copy(update={"id": f"{item.id}-{n}"}) for n in range(60) for item in items]
samples = sample_items(many, Path("own"), None, print)
model = OmniModel.from_pretrained("vlm").eval()
Path("began").touch()
write_cache(model, samples, "image_text", Path(sys.argv[1]), batch_size=2, shard_bytes=20_000)
"""


def teacher_cache(table: Table, places: Places, rng: random.Random, count: int) -> None:
    """A teacher's states on the way to the disk: killed again and again, they end as if written at once."""
    place = places.fresh()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT / "src")}

    def start(folder: str) -> subprocess.Popen[bytes]:
        (place / "began").unlink(missing_ok=True)
        return subprocess.Popen([sys.executable, "-c", _CACHE, folder], cwd=place, env=environment)

    began = time.monotonic()
    if start("whole").wait(5 * LIMIT_S):
        table.note("kill -9", "teacher cache, undisturbed", "it fails")
        return
    took_s = time.monotonic() - began
    for _ in range(count):
        process = start("killed")
        while not (place / "began").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, took_s / 3))
        process.kill()
        process.wait()
    code = start("killed").wait(5 * LIMIT_S)
    wrong = f"exit {code}" if code else difference(results(place / "killed"), results(place / "whole"))
    table.note("kill -9", f"teacher cache, {count} kills", wrong)
    places.done(place)


def two_processes(table: Table, places: Places, rng: random.Random, count: int) -> None:
    """A training by two processes, one of which is killed: the same command continues."""
    place = places.fresh(PIPELINE)
    write_tiny_ctc(place / "asr")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT / "src")}
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29641"]
    command = [*launch, "-m", "earwise", "run", "own.toml", "train.both.steps=40"]
    # What is made for one process comes first, by itself.
    run(place, "encoder", "own.toml", "train.both.steps=40", limit_s=10 * LIMIT_S)
    for number in range(count):
        started = place / "runs/tiny/stages/seed0/align/started.json"
        process = subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stop = time.monotonic() + 2 * LIMIT_S
        while not started.exists() and process.poll() is None and time.monotonic() < stop:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 5))
        os.killpg(process.pid, signal.SIGKILL)  # the launcher and both processes
        process.wait()
        table.note("kill -9", f"two processes, kill {number}", "" if started.exists() else "the training never began")
    last = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=900)
    summary = place / "runs/tiny/summary.json"
    table.note("kill -9", "two processes, the end", "" if summary.is_file() else last.stderr[-300:])
    places.done(place)
