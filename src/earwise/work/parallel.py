"""Ordered maps over the processes or threads of this machine; `earwise.work.cluster` has the same for a cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from earwise.errors import EarwiseError
from earwise.work.threads import prepare, threads_of_each

Job = TypeVar("Job")
Result = TypeVar("Result")

JOBS_PER_CHUNK: Final = 16
"""Jobs per message to a worker: few enough for an even end, enough to hide the cost of a message."""

ATTEMPTS: Final = 3
"""How often a chunk may kill its worker before the map gives up."""

log = logging.getLogger(__name__)


class Workers(Protocol):
    """Workers that do jobs. Workers only return results; only the calling process writes to a store. So a killed worker
    loses only its current chunk, which is repeated.
    """

    def map(
        self, make_work: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], *, chunk: int = JOBS_PER_CHUNK
    ) -> Iterator[Result]:
        """Results in the order of `jobs`, as they come; each worker calls `make_work` once.

        Args:
            make_work: called in the worker, makes the function for one job. Like jobs and results, it must be
                picklable.
            jobs: the jobs.
            chunk: jobs per message, which are repeated if the worker is killed.

        Raises what a job raises, and `EarwiseError` if a chunk kills one worker after another.
        """


@dataclass(frozen=True)
class ProcessPool:
    """Processes of this machine; see `Workers`. They are spawned, because a fork would copy locks of numeric libraries
    in any state. They share the cores evenly, and end with this process, even if it is killed.
    """

    workers: int

    def map(
        self, make_work: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], *, chunk: int = JOBS_PER_CHUNK
    ) -> Iterator[Result]:
        """See `Workers.map`."""
        chunks = in_chunks(jobs, chunk)
        finished: dict[int, list[Result]] = {}
        turn = attempts = 0
        while turn < len(chunks):
            before = turn + len(finished)
            waiting = {n: some for n, some in enumerate(chunks) if n >= turn and n not in finished}
            pool = self._pool(make_work)
            futures: dict[int, Future[list[Result]]] = {}
            try:
                for number, some in waiting.items():
                    futures[number] = _submitted(pool, some)
                while turn < len(chunks):
                    yield from finished.pop(turn) if turn in finished else futures.pop(turn).result()
                    turn += 1
            except BrokenProcessPool:
                finished |= _whole(futures)
                _end(pool)
            finally:
                pool.shutdown(cancel_futures=True)
            if turn < len(chunks):
                attempts = 1 if turn + len(finished) > before else attempts + 1
                left = sum(len(some) for n, some in enumerate(chunks) if n >= turn and n not in finished)
                if attempts == ATTEMPTS:
                    raise given_up(left)
                log.warning("a worker process was killed: %d unfinished jobs are repeated", left)

    def _pool(self, make_work: Callable[[], Callable[[Any], Any]]) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        arguments = (make_work, threads_of_each(self.workers))
        return ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start, initargs=arguments)


def map_in_threads(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Results in the order of `jobs`."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(work, jobs)


def in_chunks(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """`jobs` in pieces of `size`; the last one may be shorter."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def given_up(left: int) -> EarwiseError:
    """The error if workers die without any progress."""
    return EarwiseError(
        f"workers were killed {ATTEMPTS} times without doing any of the {left} jobs that are left: "
        "is the memory full? (fewer workers need less; the same command continues)"
    )


def limit_threads(count: int) -> None:
    """Limit the threads of numeric libraries in this process, including libraries that are loaded later."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def _submitted(pool: ProcessPoolExecutor, jobs: Sequence[Any]) -> Future[list[Any]]:
    """Submit a chunk. Raises `BrokenProcessPool` if the pool breaks while it starts another worker."""
    try:
        return pool.submit(_do_chunk, jobs)
    except OSError as error:  # the new worker's pipe is closed already
        if pool._broken:
            raise BrokenProcessPool(str(error)) from error
        raise


def _end(pool: ProcessPoolExecutor) -> None:
    """Kill the workers of a broken pool: a new one would wait for a job forever, and the pool for it."""
    for process in [*(pool._processes or {}).values()]:
        process.kill()


def _whole(futures: dict[int, Future[list[Any]]]) -> dict[int, list[Any]]:
    """The results of the chunks that were done when the pool broke."""
    return {
        n: future.result()
        for n, future in futures.items()
        if future.done() and not future.cancelled() and future.exception() is None
    }


_make_work: Callable[[], Callable[[Any], Any]]
_work: Callable[[Any], Any] | None = None
_threads = 1


def _start(make_work: Callable[[], Callable[[Any], Any]], threads: int) -> None:
    global _make_work, _threads
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()
    limit_threads(threads)
    _make_work, _threads = make_work, threads


def _do_chunk(jobs: Sequence[Any]) -> list[Any]:
    global _work
    if _work is None:  # not in `_start`, where an error would break the pool instead of reaching the caller
        _work = _make_work()
        limit_threads(_threads)  # the call above may have imported torch
    return [_work(job) for job in jobs]


def _end_with_parent() -> None:
    """End this worker when its parent ends; otherwise it would wait for its next job forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
