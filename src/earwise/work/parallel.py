"""Ordered maps: over the processes or threads of this machine; `earwise.work.cluster` has the same over a cluster."""

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
"""Jobs that a worker takes at once: few enough to share the end evenly, enough to hide the cost of a message."""

ATTEMPTS: Final = 3
"""How often a chunk may take its worker down with it before the map is given up."""

log = logging.getLogger(__name__)


class Workers(Protocol):
    """Where jobs are done.

    Workers only return results: the process that asks is the only one that appends to a store, so a worker that is
    killed takes nothing with it but the chunk it was at, which is done again.
    """

    def map(
        self, make_work: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], *, chunk: int = JOBS_PER_CHUNK
    ) -> Iterator[Result]:
        """Results in the order of `jobs`, as they come; each worker calls `make_work` once.

        Args:
            make_work: makes what does one job, in the worker. Like jobs and results, it must be picklable.
            jobs: what is to be done.
            chunk: jobs that a worker takes at once, and that are done again if it is killed.

        Raises what a job raises, and `EarwiseError` if a chunk takes down one worker after the other.
        """


@dataclass(frozen=True)
class ProcessPool:
    """Processes of this machine; see `Workers`.

    They are spawned, not forked: a fork would copy the locks of numeric libraries in whatever state their threads left
    them. They share the cores evenly, and end with this process, also when it is killed.
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
                log.warning("a worker process was killed: %d jobs that it or others had are done again", left)

    def _pool(self, make_work: Callable[[], Callable[[Any], Any]]) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        arguments = (make_work, threads_of_each(self.workers))
        return ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start, initargs=arguments)


def map_in_threads(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Results in the order of `jobs`."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(work, jobs)


def in_chunks(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """`jobs` cut into runs of `size`; the last one may be shorter."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def given_up(left: int) -> EarwiseError:
    """What is raised when workers die and nothing gets done."""
    return EarwiseError(
        f"workers were killed {ATTEMPTS} times without doing any of the {left} jobs that are left: "
        "is the memory full? (fewer workers need less; the same command continues)"
    )


def limit_threads(count: int) -> None:
    """Let numeric libraries of this process use `count` threads, those that are loaded later included."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def _submitted(pool: ProcessPoolExecutor, jobs: Sequence[Any]) -> Future[list[Any]]:
    """A chunk on its way to a worker. Raises `BrokenProcessPool` where one dies while another one is started for it."""
    try:
        return pool.submit(_do_chunk, jobs)
    except OSError as error:  # What the new one was to be given is closed already.
        if pool._broken:
            raise BrokenProcessPool(str(error)) from error
        raise


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers of a broken pool. One that was started while it broke would wait for a job for ever, and the pool
    for its end.
    """
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
    if _work is None:  # Here and not in `_start`, where an error would break the pool instead of reaching the caller.
        _work = _make_work()
        limit_threads(_threads)  # Making it may have imported torch.
    return [_work(job) for job in jobs]


def _end_with_parent() -> None:
    """Without this, a worker whose parent was killed would wait for its next job for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
