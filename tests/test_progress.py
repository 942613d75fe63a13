import io
import re
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from earwise.work.progress import duration, track


class Clock:
    """A clock that moves on by `tick` seconds whenever it is read."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (245, "4 min 05 s"),
     (3599.7, "1 h 00 min"), (7380, "2 h 03 min")],
)  # fmt: skip
def test_durations_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_log_gets_a_line_every_ten_seconds_with_rate_and_time_left() -> None:
    log = console(terminal=False)
    assert list(track(range(9), what="speech", console=log, clock=Clock(4.0))) == list(range(9))
    assert log.file.getvalue().splitlines() == [
        "speech: 3/9, 4.0 s each, 24 s left",
        "speech: 6/9, 4.0 s each, 12 s left",
        "speech: 9/9, 4.0 s each, 0.0 s left",
    ]


def test_more_than_was_said_never_gives_a_share_above_all_or_a_negative_time() -> None:
    log, terminal = console(terminal=False), console(terminal=True)
    assert list(track(range(9), 6, "data", console=log, clock=Clock(4.0))) == list(range(9))
    assert log.file.getvalue().splitlines() == [
        "data: 3/6, 4.0 s each, 12 s left",
        "data: 6/6, 4.0 s each, 0.0 s left",
        "data: 9, 4.0 s each",
    ]
    assert list(track(range(9), 6, "data", console=terminal, clock=Clock(1.0))) == list(range(9))
    shown = terminal.file.getvalue()
    assert "6/6" in shown
    assert "8/?" in shown
    assert not re.search(r"[789]/6|-\d", shown)


def test_a_short_loop_leaves_a_log_alone() -> None:
    log = console(terminal=False)
    assert list(track(range(9), what="speech", console=log, clock=Clock(0.1))) == list(range(9))
    assert log.file.getvalue() == ""


def test_what_an_earlier_process_did_is_counted_and_tells_nothing_about_the_rate() -> None:
    log = console(terminal=False)
    assert list(track(range(500, 503), 509, "train", before=500, console=log, clock=Clock(4.0))) == [500, 501, 502]
    assert log.file.getvalue() == "train: 503/509, 4.0 s each, 24 s left\n"


def test_a_bar_goes_on_where_an_earlier_process_stopped() -> None:
    terminal = console(terminal=True)
    list(track(range(500, 503), 509, "train", before=500, console=terminal, clock=Clock(1.0)))
    assert "502/509" in terminal.file.getvalue()
    assert "s each" in terminal.file.getvalue()
    assert "/s," not in terminal.file.getvalue()


def test_without_a_total_there_is_a_rate_alone() -> None:
    def endless() -> Iterator[int]:
        yield from range(30)

    log = console(terminal=False)
    list(track(endless(), what="speech", console=log, clock=Clock(0.5)))
    assert log.file.getvalue() == "speech: 20, 2.0/s\n"


def test_a_terminal_gets_a_bar_and_no_thread() -> None:
    terminal, threads = console(terminal=True), threading.active_count()
    for _ in track(range(5), what="speech", console=terminal, clock=Clock(1.0)):
        assert threading.active_count() == threads
    assert "speech" in terminal.file.getvalue()
    assert "4/5" in terminal.file.getvalue()
    assert "left" in terminal.file.getvalue()


def test_a_loop_that_is_left_early_gives_the_terminal_back() -> None:
    terminal = console(terminal=True)
    loop = track(range(5), what="speech", console=terminal)
    next(loop)
    loop.close()
    assert terminal.file.getvalue().rstrip().endswith("\x1b[2K")  # the bar is erased
    list(track(range(2), what="again", console=terminal))


def test_bars_may_be_nested() -> None:
    terminal = console(terminal=True)
    outer = track("ab", what="outer", console=terminal)
    pairs = [(a, b) for a in outer for b in track("xy", what="inner", console=terminal)]
    assert pairs == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
