"""Ordered maps over processes and threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Final, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

JOBS_PER_MESSAGE: Final = 16
"""Jobs that a process takes at once: few enough to share the end evenly, enough to hide the cost of a message."""


def map_in_processes(
    make_work: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """Results in the order of `jobs`; each process calls `make_work` once. Everything must be picklable.

    Processes are spawned, not forked: a fork would copy the locks of numeric libraries in whatever state their threads
    left them. They end with this process, also when it is killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(make_work,)) as pool:
        yield from pool.map(_do, jobs, chunksize=JOBS_PER_MESSAGE)


def map_in_threads(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Results in the order of `jobs`."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(work, jobs)


_work: Callable[[Any], Any]


def _start(make_work: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = make_work()


def _do(job: Any) -> Any:
    return _work(job)


def _end_with_parent() -> None:
    """Without this, a worker whose parent was killed would wait for its next job for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
