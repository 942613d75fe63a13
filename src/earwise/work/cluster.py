"""Jobs on Ray Data: the ordered map of `parallel`, on all machines of a cluster. Needs the extra `ray`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwise.errors import EarwiseError, InputError
from earwise.work.parallel import ATTEMPTS, JOBS_PER_CHUNK, Job, Result, given_up, in_chunks, limit_threads
from earwise.work.threads import prepare


@dataclass(frozen=True)
class RayData:
    """Actors of a Ray cluster, fed by Ray Data; see `earwise.work.parallel.Workers`.

    Ray restarts a killed actor and gives its chunk to another; results come once, in order. Paths must mean the same on
    every machine: the working directory must be shared.

    Args:
        workers: actors, each with one core.
        address: of a running cluster, as for `ray.init`; None starts one on this machine.
        gpus: of each worker; may be a fraction.
    """

    workers: int
    address: str | None = None
    gpus: float = 0.0

    def map(
        self, make_work: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], *, chunk: int = JOBS_PER_CHUNK
    ) -> Iterator[Result]:
        """See `earwise.work.parallel.Workers.map`; raises `InputError` if Ray is not installed or cannot be reached."""
        if not jobs:
            return
        ray = _connect(self.address)
        chunks = in_chunks(jobs, chunk)
        rows = [{"jobs": ray.cloudpickle.dumps(some)} for some in chunks]
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Worker,
            fn_constructor_args=(make_work, str(Path.cwd())),
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(rows))),
            num_cpus=1,
            num_gpus=self.gpus,
            max_task_retries=ATTEMPTS - 1,
        )
        done = 0
        try:
            for row in data.iter_rows():
                results = ray.cloudpickle.loads(row["results"])
                if isinstance(results, EarwiseError):
                    raise results
                yield from results
                done += len(results)
        except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
            raise given_up(len(jobs) - done) from error


def cores_of(address: str | None) -> int:
    """Cores of the cluster at `address`; see `RayData`."""
    return max(1, int(_connect(address).cluster_resources().get("CPU", 1)))


class _Worker:
    """An actor's work on a chunk. Messages are pickled, as in a process pool; nothing pickled is stored."""

    def __init__(self, make_work: Callable[[], Callable[[Any], Any]], folder: str) -> None:
        self._make_work, self._folder = make_work, folder
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """From a row of jobs to a row of results, or of the error to report."""
        from ray import cloudpickle

        try:
            work = self._open()
            results: object = [work(job) for job in cloudpickle.loads(row["jobs"])]
        except EarwiseError as error:
            results = error
        return {"results": cloudpickle.dumps(results)}

    def _open(self) -> Callable[[Any], Any]:
        if self._work is None:
            prepare()
            try:
                os.chdir(self._folder)
            except OSError as error:
                what = f"a worker cannot enter the working directory: {error.strerror}"
                remedy = "work in a folder that every machine of the cluster shares"
                raise InputError(what, file=self._folder, remedy=remedy) from None
            self._work = self._make_work()
            limit_threads(1)
        return self._work


def _connect(address: str | None) -> Any:
    """Ray with its data library, connected once in this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("a cluster needs the package `ray`", remedy="pip install 'earwise[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            what = f"the Ray cluster cannot be reached: {error}"
            raise InputError(what, record="scale.address", remedy="start it with `ray start --head`") from None
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False  # stages show their own
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray
