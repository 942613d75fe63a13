"""How many threads numeric libraries use, and that waiting threads sleep.

By default, waiting OpenMP threads keep their core busy for some milliseconds. If another program wants that core, the
working thread waits for it, and a step takes many times as long.

Libraries read the environment when they are loaded, so a command calls `prepare` before it imports torch. Importing the
package itself sets nothing, because the environment belongs to the importing program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Final

WAITING: Final = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""For any OpenMP, GNU's (which comes with torch) and Intel's."""
COUNTS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads of libraries that are loaded later sleep while they wait, and limit their number to the cores. The
    user's settings stay. If any variable about waiting is set, none is changed, because they override one another.
    """
    if not any(name in environment for name in WAITING):
        environment.update(WAITING)
    if not any(name in environment for name in COUNTS):
        environment["OMP_NUM_THREADS"] = str(usable_cores())


def usable_cores() -> int:
    """Cores that this process may use, by its affinity and its control group's quota. Two hardware threads of one core
    count once: numeric libraries gain nothing from the second.
    """
    return _within_quota(len({_core_of(cpu) for cpu in _affinity()}))


def usable_cpus() -> int:
    """As `usable_cores`, but each hardware thread counts: for independent programs."""
    return _within_quota(len(_affinity()))


def threads_of_each(processes: int) -> int:
    """Threads for each of several processes that work at once: a share of the cores, at most what the user set."""
    share = max(1, usable_cores() // processes)
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share


def cpu_quota(cgroups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processor time that the control groups of this process allow, in units of one processor; None for no limit.

    Args:
        cgroups: the groups of this process, one per line; versions 1 and 2.
        root: of the groups' folders. In a container it begins at the container's own group, so paths in `cgroups` may
            not exist; all existing folders on the way are read.
    """
    try:
        lines = cgroups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            limits += [limit for folder in _upwards(root, path) for limit in _limit(folder / "cpu.max")]
        elif "cpu" in controllers.split(","):
            for mounted in {controllers, "cpu"}:
                limits += [limit for folder in _upwards(root / mounted, path) for limit in _old_limit(folder)]
    return min(limits, default=None)


def _within_quota(count: int) -> int:
    quota = cpu_quota()
    return max(1, count if quota is None else min(count, int(quota)))


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _core_of(cpu: int) -> str:
    """The hardware threads of a processor's core, as its name; if unknown, the processor alone."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The folder of group `path`, and those of the groups above it."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])


def _limit(file: Path) -> Iterator[float]:
    """The limit in `cpu.max`: `QUOTA PERIOD` in microseconds, or `max PERIOD`."""
    match _words(file):
        case [quota, period] if quota != "max":
            yield int(quota) / int(period)


def _old_limit(folder: Path) -> Iterator[float]:
    """The limit of version 1: a quota and a period in separate files; a quota of -1 is no limit."""
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        yield int(quota[0]) / int(period[0])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
