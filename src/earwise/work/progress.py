"""Progress of long loops: a bar with rate and time left on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sized
from typing import Self, TypeVar

from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

T = TypeVar("T")

LINE_EVERY_S = 10.0
REDRAW_EVERY_S = 0.1


def track(
    iterable: Iterable[T],
    total: int | None = None,
    what: str = "",
    *,
    before: int = 0,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[T]:
    """Yield from `iterable` and show progress; `total` defaults to the length, and disappears if it proves too small.
    `before` items of the total were done by an earlier process: they count, but not for the rate. Starts no thread, so
    that workers can be forked inside the loop.
    """
    console = console or get_console()
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    show = _bar if console.is_terminal else _lines
    return show(iterable, total, what, before, console, clock)


class Ticker:
    """Progress for loops of other libraries, as a context manager: call it with the number of completed steps."""

    def __init__(self, total: int, what: str, before: int = 0) -> None:
        """`before` of the total were done by an earlier process."""
        self._done = before
        self._shown = track(range(before, total), total, what, before=before)

    def __enter__(self) -> Self:
        next(self._shown, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def __call__(self, done: int) -> None:
        """Set the number of completed steps; skipped steps count as completed."""
        for _ in range(done - self._done):
            next(self._shown, None)
        self._done = max(done, self._done)


def duration(seconds: float) -> str:
    """A time in words: `0.4 s`, `31 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


class _RateAndTimeLeft(ProgressColumn):
    """The mean rate since the start, and the remaining time at that rate."""

    def __init__(self, before: int) -> None:
        super().__init__(table_column=Column(no_wrap=True))  # on a narrow terminal the bar shrinks
        self._before = before

    def render(self, task: Task) -> Text:
        left = None if task.total is None else task.total - task.completed
        return Text(_pace(int(task.completed) - self._before, left, task.elapsed or 0.0), style="dim")


def _pace(done: int, left: float | None, seconds: float) -> str:
    """The rate of `done` items in `seconds`, and the time for the `left` items at this rate."""
    if not done or seconds <= 0:
        return ""
    rate = done / seconds
    pace = f"{rate:.1f}/s" if rate >= 1 else f"{duration(1 / rate)} each"
    return pace if left is None else f"{pace}, {duration(left / rate)} left"


def _bar(
    iterable: Iterable[T], total: int | None, what: str, before: int, console: Console, clock: Callable[[], float]
) -> Generator[T]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, _RateAndTimeLeft(before), console=console, auto_refresh=False, transient=True, get_time=clock
    ) as progress:
        task = progress.add_task(what, total=total, completed=before)
        drawn = clock()
        for item in iterable:
            yield item
            progress.advance(task)
            if total is not None and progress.tasks[0].completed > total:
                progress.tasks[0].total = total = None
            if clock() - drawn >= REDRAW_EVERY_S:
                progress.refresh()
                drawn = clock()


def _lines(
    iterable: Iterable[T], total: int | None, what: str, before: int, console: Console, clock: Callable[[], float]
) -> Generator[T]:
    start = said = clock()
    for done, item in enumerate(iterable, start=1):
        yield item
        now = clock()
        if now - said >= LINE_EVERY_S:
            at = before + done
            of, left = ("", None) if total is None or at > total else (f"/{total}", total - at)
            line = f"{what}: {at}{of}, {_pace(done, left, now - start)}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
            said = now
