"""Which `A` of a spoken form is a letter: engines read it as the article wherever a word follows."""

from __future__ import annotations

import re
from typing import Final

LETTER_A: Final = re.compile(r"(?<![\w'\-])(?!(?:(?<=\A)|(?<=[.?!:] ))A [a-z])A(?![\w'\-])")
"""Each `A` that is a letter. It is taken for the article only where it starts a sentence and a word in small letters
follows."""
