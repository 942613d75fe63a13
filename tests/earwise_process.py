"""The `earwise` command in processes of its own, which start in milliseconds: they are forked from one that has
imported everything.
"""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from earwise import stages

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # As `imported` sets it before transformers is imported, which here is done.
    "PYTHONWARNINGS": "error",
    "COLUMNS": "200",
}

_context = multiprocessing.get_context("forkserver")
_STAGES = [path.stem for path in Path(stages.__file__).parent.glob("*.py") if path.stem != "__init__"]
_context.set_forkserver_preload(["earwise.cli", *(f"earwise.stages.{name}" for name in sorted(_STAGES))])


def _start_server() -> None:
    """Start the process that others are forked from, if need be; they have its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        forkserver.ensure_running()


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Command:
    """One `earwise` command at work in `folder`."""

    def __init__(self, folder: Path, *arguments: object, largest_file: int | None = None) -> None:
        _start_server()
        self._out, self._err = folder / "stdout.txt", folder / "stderr.txt"
        self._process: ForkServerProcess = _context.Process(
            target=_work, args=(folder, [str(a) for a in arguments], self._out, self._err, largest_file)
        )
        self._process.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, as from `kill -9`."""
        self._process.kill()
        self._process.join()

    def result(self, timeout_s: float = 300) -> Result:
        """Wait for its end."""
        self._process.join(timeout_s)
        if self.running:
            self.kill()
            raise TimeoutError(f"still running after {timeout_s} s; stderr: {self._err.read_text()}")
        assert self._process.exitcode is not None
        return Result(self._process.exitcode, self._out.read_text(), self._err.read_text())


def earwise(folder: Path, *arguments: object, largest_file: int | None = None) -> Result:
    """Run `earwise ARGUMENTS` in `folder` to its end. No file may grow beyond `largest_file` bytes: a full disk."""
    return Command(folder, *arguments, largest_file=largest_file).result()


def _work(folder: Path, arguments: list[str], out: Path, err: Path, largest_file: int | None) -> None:
    """In the new process: what the console script does, with its own folder, arguments and output."""
    import resource
    import signal

    os.chdir(folder)
    for path, descriptor in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    import conftest  # noqa: F401 - sets what holds for every test in this process, too

    sys.argv = ["earwise", *arguments]
    from earwise.cli import main

    main()
