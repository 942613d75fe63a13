"""Kills outside the usual command: while writing a teacher's states, and in a training run of two processes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from commands import LIMIT_S, PROJECT, run
from descendants import descendants, signal_all
from places import Places
from table import Table
from test_gate import write_tiny_ctc
from text_models import write_text_model
from undisturbed import difference, results

from recipes import PIPELINE

PART = "kill -9 of teacher caches and of two processes"
_ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT / 'tests'}",
}
_CACHE = """
import sys
from pathlib import Path
from earwise.distil.teacher_cache import write_cache
from earwise.models.omni import OmniModel
from text_models import described_sounds
samples = described_sounds(Path("sounds"), 300)
model = OmniModel.from_pretrained("text").eval()
Path("began").touch()
write_cache(model, samples, "description_text", Path(sys.argv[1]), batch_size=2, shard_bytes=20_000)
"""


def try_caches(table: Table, places: Places, share: int = 1) -> None:
    """Kills while a teacher cache is written."""
    teacher_cache(table, places, random.Random(4), max(1, 6 // share))


def try_processes(table: Table, places: Places, share: int = 1) -> None:
    """Kills of a training run of two processes."""
    two_processes(table, places, random.Random(5), max(1, 2 // share))


def teacher_cache(table: Table, places: Places, rng: random.Random, count: int) -> None:
    """A teacher's states, killed again and again while they are written, must end as if written at once."""
    place = places.fresh()
    (place / "sounds").mkdir()
    write_text_model(place / "text")

    def start(folder: str) -> subprocess.Popen[bytes]:
        (place / "began").unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", _CACHE, folder], cwd=place, env=_ENVIRONMENT, stdout=subprocess.DEVNULL
        )

    whole = start("whole")
    _wait(place / "began", whole)
    began = time.monotonic()
    if whole.wait(5 * LIMIT_S):
        table.note(PART, "teacher cache, undisturbed", "it fails")
        return
    took_s, expected = time.monotonic() - began, results(place / "whole")
    for number in range(count):
        process = start("killed")
        _wait(place / "began", process)
        time.sleep(rng.uniform(0, took_s / 2))
        process.kill()
        process.wait()
        written = len(list((place / "killed").rglob("*"))) if (place / "killed").exists() else 0
        table.note(PART, f"teacher cache, kill {number}, {written} files were there", "")
    code = start("killed").wait(5 * LIMIT_S)
    wrong = f"exit {code}" if code else difference(results(place / "killed"), expected)
    table.note(PART, "teacher cache, the end", wrong)
    places.done(place)


def _wait(path: Path, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    stop = time.monotonic() + 2 * LIMIT_S
    while not path.exists() and process.poll() is None and time.monotonic() < stop:
        time.sleep(0.01)


class _Launched:
    """A recipe run by two processes, which `torchrun` starts."""

    def __init__(self, place: Path, out: str, *overrides: str) -> None:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command = [*launch, "-m", "earwise", "run", "own.toml", "--out", out, *overrides]
        self.said = place / "launched.txt"
        with self.said.open("w") as told:
            self.process = subprocess.Popen(
                command, cwd=place, env=_ENVIRONMENT, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self) -> None:
        """SIGKILL to the launcher and all its processes."""
        signal_all([self.process.pid, *descendants(self.process.pid)], signal.SIGKILL)
        self.process.wait()

    def kill_one(self) -> str:
        """SIGKILL to one of the two processes; the others must end by themselves in time."""
        started = [one for one in descendants(self.process.pid) if "earwise" in _name(one)]
        if not started:
            return "no process was seen"
        signal_all(started[-1:], signal.SIGKILL)
        try:
            code = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"the others have not ended after {LIMIT_S:g} s"
        return "" if code else "ends with exit 0"

    def end(self) -> str:
        """The problem with its end, if any."""
        code = self.process.wait(5 * LIMIT_S)
        return f"exit {code}: {self.said.read_text()[-300:]}" if code else ""


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def two_processes(table: Table, places: Places, rng: random.Random, count: int) -> None:
    """A training run whose processes, one or both, are killed: the same command must continue to the same result."""
    place, longer = places.fresh(PIPELINE), "align.steps=20"
    write_tiny_ctc(place / "asr")
    # Stages of a single process run first.
    first = run(place, "encoder", "own.toml", "--out", "whole", longer, limit_s=10 * LIMIT_S)
    if first.code:
        table.note(PART, "two processes, what one makes", first.stderr)
        return
    shutil.copytree(place / "whole", place / "killed", symlinks=True)
    if wrong := _Launched(place, "whole", longer).end():
        table.note(PART, "two processes, undisturbed", wrong)
        return
    for number in range(2 * count):
        started = place / "killed/stages/seed0" / ("align" if number < count else "train.both") / "started.json"
        started.unlink(missing_ok=True) if number == 0 else None
        launched = _Launched(place, "killed", longer)
        _wait(started, launched.process)
        time.sleep(rng.uniform(0, 3))
        how = "all" if number % 2 else "one of them"
        began = "" if started.exists() else f"the training never began: {launched.said.read_text()[-300:]}"
        wrong = launched.kill() or "" if number % 2 else launched.kill_one()
        table.note(PART, f"two processes, kill {number} of {how} in {started.parent.name}", began or wrong)
    wrong = _Launched(place, "killed", longer).end()
    wrong = wrong or difference(results(place / "killed"), results(place / "whole"))
    table.note(PART, "two processes, the end", wrong)
    places.done(place)
