"""The question for MELD and IEMOCAP; its options are the label words in alphabetical order.

Neither data set has a question. Each evaluation kit words its own, and results change by up to ten points with it. So
this wording is fixed for all items of both data sets, and documented in docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

QUESTION: Final = "Which emotion does the speaker express?"

MELD: Final[tuple[str, ...]] = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
"""Labels of MELD, which are also its options."""

IEMOCAP: Final[Mapping[str, str]] = {"ang": "angry", "hap": "happy", "neu": "neutral", "sad": "sad"}
"""The four usual classes of IEMOCAP, and their options."""

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {"meld": MELD, "iemocap": tuple(IEMOCAP.values())}
"""Benchmark -> options of every question."""
