"""Python lists that public files hold as text, `['a', 'b']`."""

from __future__ import annotations

import ast
from typing import Any


def printed_list(text: str) -> list[Any] | None:
    """The list that `text` prints, parsed as a literal and never executed; None if it is no list."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all of them can come of a wrong literal
        return None
    return value if isinstance(value, list) else None
