"""The cost of waiting threads: the same training step with spinning threads, with sleeping threads and with one thread,
on a quiet machine and beside two busy programs.

`python bench/threads.py --json FILE`. OpenMP reads the environment once, so each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earwise.work.threads import COUNTS, WAITING, usable_cores

SPINNING, SLEEPING, ONE = "spinning", "sleeping", "one_thread"
KINDS = {SPINNING: {}, SLEEPING: WAITING, ONE: {**WAITING, "OMP_NUM_THREADS": "1"}}
"""The measured kinds, with their environments."""


def seconds(kind: str, steps: int) -> list[float]:
    """Wall-clock seconds of each of `steps` steps, in a process of its own."""
    unset = {*WAITING, *COUNTS}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"OMP_NUM_THREADS": str(usable_cores()), **KINDS[kind]}
    command = [sys.executable, __file__, "--steps", str(steps), "--here"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure_here(steps: int) -> list[float]:
    """Wall-clock seconds of `steps` steps of Self-KD on a shared prefix, without a first one to warm up."""
    import torch  # before `step`, so that its `prepare` has no effect
    from models import CPU, build
    from step import SHARED, make_samples, objectives, step

    with tempfile.TemporaryDirectory() as folder:
        model = build("internvl", CPU, Path(folder) / "base", "cpu", torch.float32)
        samples = make_samples(model, Path(folder), count=2)
        objective = objectives(model)[SHARED]
        times = []
        for _ in range(steps + 1):
            start = time.perf_counter()
            step(model, objective, samples, autocast=False)
            times.append(time.perf_counter() - start)
    return times[1:]


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """A context with `count` busy programs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in busy:
            program.kill()
            program.wait()


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8, help="that are timed in each process")
    parser.add_argument("--rounds", type=int, default=3, help="of all kinds in turn")
    parser.add_argument("--neighbours", type=int, default=2, help="busy programs beside the step")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--here", action="store_true", help="time the step in this process and print the seconds")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure_here(given.steps)))
        return
    times: dict[str, dict[str, list[float]]] = {
        place: {kind: [] for kind in KINDS} for place in ("quiet", "beside_busy")
    }
    for _ in range(given.rounds):
        for place, count in (("quiet", 0), ("beside_busy", given.neighbours)):
            for kind, found in times[place].items():
                with neighbours(count):
                    found += seconds(kind, given.steps)
    median = {place: {kind: statistics.median(found) for kind, found in by.items()} for place, by in times.items()}
    over = {place: {kind: value / by[SLEEPING] for kind, value in by.items()} for place, by in median.items()}
    result = {
        "cores": usable_cores(), "neighbours": given.neighbours, "rounds": given.rounds, "steps": given.steps,
        "load_before": os.getloadavg()[0], "seconds_per_step": median, "over_sleeping": over,
    }  # fmt: skip
    for place in median:
        for kind in KINDS:
            print(f"{place:12} {kind:11} {median[place][kind]:7.3f} s a step, {over[place][kind]:5.2f} of sleeping")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
