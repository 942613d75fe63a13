"""Relaxed accuracy (ChartQA): numbers within 5 %, everything else equal up to case."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from earwise.data.printed_lists import python_list
from earwise.data.written_forms import one_form

TOLERANCE: Final = 0.05

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)


def relaxed_strict(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """The definition (Masry et al. 2022, section 5.1): |p - g| <= 0.05 |g| for numbers, else equal text. `14%` and `14
    %` are 0.14. Outer space is ignored; a final full stop, a unit or a thousands separator is not. A gold answer of
    zero needs zero, in any writing. With several gold answers the best one counts.
    """
    answer = one_form(prediction).strip()
    return float(any(_is_close_strict(one_form(gold).strip(), answer) for gold in golds))


def relaxed_vlmevalkit(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """VLMEvalKit: strips the prediction, takes a gold answer that prints a list as alternatives, and compares zero as
    text.
    """
    answer = prediction.strip()
    return float(any(_is_close_kit(each, answer) for gold in golds for each in _alternatives(gold)))


def relaxed_as_given(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """lmms-eval and its Pix2Struct function: nothing is stripped, and a gold answer of zero is compared as text."""
    return float(any(_is_close_kit(gold, prediction) for gold in golds))


def _is_close_strict(gold: str, answer: str) -> bool:
    if gold.lower() == answer.lower():
        return True
    target, value = _number(gold), _number(answer)
    return target is not None and value is not None and abs(value - target) <= TOLERANCE * abs(target)


def _is_close_kit(gold: str, answer: str) -> bool:
    target, value = _python_number(gold), _python_number(answer)
    if value is None or not target:
        return gold.lower() == answer.lower()
    return abs(value - target) / abs(target) <= TOLERANCE


def _number(text: str) -> float | None:
    digits = text.removesuffix("%")
    digits = digits.rstrip() if digits != text else text
    if not _NUMBER.fullmatch(digits):
        return None
    value = float(digits) / (100 if digits != text else 1)
    return value if math.isfinite(value) else None


def _python_number(text: str) -> float | None:
    """Any text that Python reads as a number (`1_000`, `inf`, ` 5`), as in the kits."""
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _alternatives(gold: str) -> Sequence[str]:
    listed = python_list(gold) if gold.startswith("[") else None
    return (gold,) if listed is None else [str(each) for each in listed]
