"""How MELD and IEMOCAP are asked: one question, whose options are the label words in alphabetical order.

Neither data set brings a question. Evaluation kits word one each, and results move by ten points with it, so the
wording here is fixed: the same for every item and for both data sets, and told in docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

QUESTION: Final = "Which emotion does the speaker express?"

MELD: Final[tuple[str, ...]] = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
"""Labels of MELD, which are the words of its options."""

IEMOCAP: Final[Mapping[str, str]] = {"ang": "angry", "hap": "happy", "neu": "neutral", "sad": "sad"}
"""The four usual classes of IEMOCAP, and the words of its options."""

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {"meld": MELD, "iemocap": tuple(IEMOCAP.values())}
"""Benchmark -> options of every question."""
