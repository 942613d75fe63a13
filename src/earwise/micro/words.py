"""The words of the laboratory's questions, answers and signs.

They follow two rules. A small model must learn them in minutes, so there are fewer than 200. A listener must
distinguish them, so words for the same place of a sentence sound different (a bar of a chart is a "column", because
"bar" rhymes with "star"; a sign "says" and never "reads", which a speech engine can read as "red").
"""

from __future__ import annotations

COLORS = ("red", "blue", "green", "yellow", "purple")
SHAPES = ("circle", "square", "triangle", "star", "diamond")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = ("a", "b", "c", "d")
SIGN_WORDS = (
    "bakery", "bridge", "coffee", "danger", "doctor", "garden", "hotel", "kitchen", "market", "museum", "office",
    "pizza", "police", "school", "taxi", "window",
)  # fmt: skip
"""Printed on the signs; at most seven letters, the width of a sign."""

_GRAMMAR = """
above and answer are assistant at below can chart color column columns describe do does have helpful how image in is
it everything many no not nothing number of on one option or picture place please repeat say says see sentence shape
shapes shorter shortest show shows sign speech tall taller tallest than the there thing using what where which with
word written yes you
"""


def plural(shape: str) -> str:
    """The plural of a shape's name."""
    return f"{shape}s"


def number(value: int) -> str:
    """The word of a number from 0 to 9."""
    return DIGITS[value]


VOCABULARY: tuple[str, ...] = tuple(
    dict.fromkeys(
        [*COLORS, *SHAPES, *map(plural, SHAPES), *ROWS, *COLUMNS, *DIGITS, *LETTERS, *SIGN_WORDS, *_GRAMMAR.split()]
    )
)
"""All words, in the order of their token ids."""
