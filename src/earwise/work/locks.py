"""A lock for one writer at a time, released when its process ends for any reason."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from earwise.errors import InputError


class FileLock:
    """An exclusive advisory lock (`flock`) on a file, which is created if necessary.

    The kernel releases it when the process ends, even by `kill -9`, so there are no stale locks. Forked worker
    processes close their copy, so a worker that outlives a killed parent does not keep the lock. Raises `InputError` if
    another process has it; `what` names the locked thing in the message.
    """

    def __init__(self, path: Path, what: str, remedy: str = "wait until that one ends") -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise InputError(f"{what} is in use by another process", file=path, remedy=remedy) from None
        _HELD.add(self)

    def release(self) -> None:
        """Unlock, even if forked copies still exist; does nothing the second time."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        """Close this process's descriptor; the lock stays while another process has a copy."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _close_copies() -> None:
    for lock in list(_HELD):
        lock._close()


os.register_at_fork(after_in_child=_close_copies)
