"""Output to people. All lines are printed here, so that no text from a file can control a terminal.

Ids, paths and answers come from other people's files. A control character in them could clear the screen, rename the
window or hide a line, so it is shown as its code.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import Final

from rich import get_console

_LONGEST: Final = 1_000
"""Longest line of an error, in characters."""
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    "\u2028\u2029"  # ends of line and paragraph
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # signs that turn the direction of text
    "\ud800-\udfff]"  # bytes of a file name that are no UTF-8
)


def printable(text: str) -> str:
    r"""`text` with control characters as codes such as `\u001b`.

    Tabs and newlines stay. JSON text stays JSON of the same value.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(line: str) -> None:
    """Print one line on the console of the progress bars, so that it appears above a bar."""
    get_console().print(printable(line), highlight=False, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print an error on stderr. Where that is a file on a full disk, only the exit code tells."""
    with suppress(OSError):
        print("earwise:", printable("\n".join(map(_shortened, text.split("\n")))), file=sys.stderr, flush=True)


def _shortened(line: str) -> str:
    """Shorten a long line in the middle, so that place and remedy stay: a file may hold a name of a megabyte."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 200]} ... {line[-200:]}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 voice`, `3 voices`, `1,300 voices`; `many` replaces the plural with s: `2 items have`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
