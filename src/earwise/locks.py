"""One writer at a time: a lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from earwise.errors import EarwiseError


class FileLock:
    """An exclusive advisory lock (`flock`) on a file, which is created if need be.

    The kernel drops it when the process ends, also by `kill -9`, so there are no stale locks. Worker processes that are
    forked while it is held let go of their copy: one that outlives a killed parent does not keep the lock.
    Raises `EarwiseError` if another holder has it; `what` says in that message what is already in use.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise EarwiseError(f"{path}: {what} is in use by another process") from None
        _HELD.add(self)

    def release(self) -> None:
        """Let go of the lock; does nothing the second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _release_copies() -> None:
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_release_copies)
