"""Several processes that run one recipe, started by `torchrun` or `accelerate launch`.

The first process does everything that a single process would do. The others wait for training runs, which all do
together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

END: Final = -1
_LONGEST_WAIT: Final = timedelta(days=30)
"""Long, because the first process may make clips or wait for a server for days."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that were started together; by default it is alone."""

    rank: int = 0
    count: int = 1
    channel: Any = None
    """Process group for the messages of the first process."""

    @property
    def is_main(self) -> bool:
        """Whether this is the first process, which does all work that is not done together."""
        return self.rank == 0

    def tell(self, number: int) -> None:
        """Tell all others, which `hear`, what is next."""
        if self.count > 1:
            self._broadcast(number)

    def hear(self) -> int:
        """Wait until the first process tells what is next."""
        return self._broadcast(END)

    def meet(self) -> None:
        """Wait for all others."""
        if self.count > 1:
            import torch

            torch.distributed.barrier(self.channel)

    def _broadcast(self, number: int) -> int:
        import torch

        said = torch.tensor([number])
        torch.distributed.broadcast(said, src=0, group=self.channel)
        return int(said)


ALONE: Final = Ranks()
"""A process that was started alone."""


def process_count() -> int:
    """Number of processes that were started together, according to their launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """Number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def own_file(path: Path) -> Path:
    """This process's version of a file that each process has: `path` in the first, `NAME@RANK` in others."""
    rank = process_rank()
    return path.with_stem(f"{path.stem}@{rank}") if rank else path


def wait_for_others() -> None:
    """Wait, for any time, until all processes that were started together are here; all must call this."""
    if process_count() > 1:
        import torch

        torch.distributed.barrier(torch.distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT))


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that were started together, and leave when all of them are done. After an error nothing is
    waited for: the launcher ends the others when this process ends.
    """
    if process_count() == 1:
        yield ALONE
        return
    import torch

    # With FSDP, `transformers` would otherwise load the weights in one process only.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    ranks = Ranks(process_rank(), process_count(), torch.distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT))
    try:
        yield ranks
        ranks.meet()
    finally:
        torch.distributed.destroy_process_group()


def leave(code: int = 0) -> NoReturn:
    """End this process with `code`. One of several processes skips Python's own cleanup: it takes down threads of
    torch.distributed in any order, which sometimes aborts a process whose work is done.
    """
    if process_count() == 1:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
