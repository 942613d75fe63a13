"""Lists in public files, printed by Python, `['a', 'b']`, or by NumPy and pandas, `['a' 'b']`.

Python itself would join the neighbouring texts of NumPy's form, so this module has its own parser.
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
"""Limit of nested brackets."""


def printed_list(text: str) -> list[Any] | None:
    """The list in `text`, which is never executed; None if `text` is not a list, or one cut short (`...`).

    Elements are texts, numbers, True, False, None and lists. They are separated either by commas or by space; a list
    with both gives None, because Python joins texts without a comma. `array([...], dtype=object)` and `np.str_('a')`
    stand for their content.
    """
    text = text.strip()
    if whole := _ARRAY.fullmatch(text):
        text = whole[1].strip()
    if not text.startswith("["):
        return None
    found: list[Any] = []
    try:
        end = _read(_without_scalars(text), 0, found, 0)
    except (ValueError, SyntaxError):  # an invalid literal
        return None
    return found if end else None


def python_list(text: str) -> list[Any] | None:
    """The list in `text` as a Python literal, with neighbouring texts joined, as evaluation kits read it."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _without_scalars(text: str) -> str:
    """Replace `np.str_('a')` by `'a'` between elements, but not inside a text."""
    if "np." not in text:
        return text
    outside = re.compile(rf"""{_SCALAR.pattern}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
    return outside.sub(lambda found: found[1] or found[0], text)


def _read(text: str, at: int, into: list[Any], depth: int) -> int:
    """Read the list that begins at `at`; returns the place after it, or 0 if it is invalid.

    The outermost list must end the text.
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
