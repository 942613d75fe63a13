"""Worker processes: order, errors, and what is left when one of them is killed."""

import functools
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from earwise.errors import EarwiseError, InputError
from earwise.work.parallel import ProcessPool


def squares():
    return lambda number: (number * number, os.getpid())


def killed_once_at(marker: Path, place: int):
    """Work that takes its process down at job `place`, the first time."""

    def work(number):
        if number == place and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    return work


def killed_always_at(place: int):
    def work(number):
        if number == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    return work


def refuses():
    raise InputError("no such model", file="model")


def threads():
    import torch

    return lambda _: (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"])


def test_results_come_in_the_order_of_the_jobs_from_several_processes():
    results = list(ProcessPool(2).map(squares, range(100)))
    assert [square for square, _ in results] == [n * n for n in range(100)]
    assert os.getpid() not in {pid for _, pid in results}


def test_jobs_of_a_killed_worker_are_done_again_and_none_is_lost_or_doubled(tmp_path, caplog):
    work = functools.partial(killed_once_at, tmp_path / "marker", 37)
    assert list(ProcessPool(2).map(work, range(100), chunk=4)) == [n * n for n in range(100)]
    assert (tmp_path / "marker").exists()
    assert "a worker process was killed" in caplog.text


def test_a_worker_that_is_killed_while_the_next_one_starts_hangs_nothing(monkeypatch):
    spawn, pools, results = ProcessPoolExecutor._spawn_process, [], []

    def spawn_slowly(pool):
        if not pool._processes:
            pools.append(pool)
        elif len(pools) == 1:  # The first worker of the first pool dies, which is seen while the second one starts.
            next(iter(pool._processes.values())).kill()
            time.sleep(1.0)
        spawn(pool)

    monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", spawn_slowly)
    mapped = threading.Thread(target=lambda: results.extend(ProcessPool(2).map(squares, range(64))), daemon=True)
    mapped.start()
    mapped.join(120)
    assert not mapped.is_alive()
    assert [square for square, _ in results] == [n * n for n in range(64)]
    assert multiprocessing.active_children() == []


def test_a_job_that_kills_every_worker_ends_in_one_line_after_the_results_before_it():
    results = ProcessPool(1).map(functools.partial(killed_always_at, 5), range(8), chunk=1)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(
        EarwiseError, match=r"killed 3 times without doing any of the 3 jobs that are left: is the memory full"
    ):
        next(results)


def test_what_a_worker_cannot_open_reaches_the_caller_as_it_was_said():
    with pytest.raises(InputError, match=r"^model: no such model$") as caught:
        list(ProcessPool(2).map(refuses, range(3)))
    assert caught.value.file == "model"


def test_workers_share_the_cores():
    share = max(1, (os.cpu_count() or 1) // 2)
    assert set(ProcessPool(2).map(threads, range(40))) == {(share, str(share))}
