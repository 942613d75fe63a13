"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 voice`, `3 voices`, `1,300 voices`; `many` is given where it is not `one` with an s: `2 items have`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
