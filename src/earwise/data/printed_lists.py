"""Lists that public files hold as text: as Python prints them, `['a', 'b']`, or NumPy and pandas, `['a' 'b']`.

Python reads NumPy's form as one text, because texts that stand side by side are joined; so it is taken apart here.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Final

_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<literal>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|{_NUMBER}(?![\w.])|(?:True|False|None)\b)
    | (?P<open>\[)
    | (?P<close>\])
    | (?P<comma>,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ARRAY: Final = re.compile(r"(?:np\.|numpy\.)?array\((.*?)(?:,\s*dtype=[\w.<>|'\"]+)?\s*\)", re.DOTALL)
_SCALAR: Final = re.compile(rf"""np\.\w+\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|{_NUMBER}|True|False)\)""", re.DOTALL)
_MOST: Final = 100
"""Brackets within one another; deeper ones are no list of anything."""


def printed_list(text: str) -> list[Any] | None:
    """The list that `text` prints, by Python or by NumPy, never executed; None if it is none, or one cut short (`...`).

    Elements are texts, numbers, True, False, None and lists. They are separated by commas, or all by spaces and line
    breaks; both in one list is None, for Python joins texts that have no comma between them. `array([...],
    dtype=object)` and `np.str_('a')` mean what is inside.
    """
    text = text.strip()
    if whole := _ARRAY.fullmatch(text):
        text = whole[1].strip()
    if not text.startswith("["):
        return None
    found: list[Any] = []
    try:
        end = _read(_without_scalars(text), 0, found, 0)
    except (ValueError, SyntaxError):  # what a literal of another form raises
        return None
    return found if end else None


def python_list(text: str) -> list[Any] | None:
    """The list that `text` is as a Python literal, texts without a comma between them joined, as kits read it."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all of them can come of a wrong literal
        return None
    return value if isinstance(value, list) else None


def _without_scalars(text: str) -> str:
    """`np.str_('a')` as `'a'`, wherever it stands between elements and not inside a text."""
    if "np." not in text:
        return text
    outside = re.compile(rf"""{_SCALAR.pattern}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
    return outside.sub(lambda found: found[1] or found[0], text)


def _read(text: str, at: int, into: list[Any], depth: int) -> int:
    """Read the list that begins at `at`; gives the place after it, 0 where it is not one.

    The outermost list must be all that there is.
    """
    if depth > _MOST:
        return 0
    at += 1
    commas, side_by_side, after_comma = 0, 0, True
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        if token["close"]:
            mixed, more = commas and side_by_side, depth == 0 and at < len(text)
            return 0 if mixed or more else at
        if token["comma"]:
            if after_comma:
                return 0
            commas, after_comma = commas + 1, True
            continue
        side_by_side += not after_comma
        after_comma = False
        if token["literal"]:
            into.append(ast.literal_eval(token["literal"]))
            continue
        inner: list[Any] = []
        at = _read(text, token.start("open"), inner, depth + 1)
        if not at:
            return 0
        into.append(inner)
    return 0
