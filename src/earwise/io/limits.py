"""The largest inputs that are read. Each limit is far above real data and below what a machine cannot hold.

Whoever meets one is told the number and the remedy; `docs/limits.md` lists them.
"""

from __future__ import annotations

from typing import Final

MAX_COUNT: Final = 10**8
"""Largest count in a recipe: steps, items, widths. Also of what a training draws, steps times items of a step."""

MAX_SEED: Final = 2**32 - 1
"""Largest seed that all random generators take."""

MAX_RECIPE_BYTES: Final = 2**20
"""Of a recipe."""

MAX_WHOLE_BYTES: Final = 2**31
"""Of a file of text that is read in one piece, such as a file of items."""

MAX_RECORD_BYTES: Final = 2**26
"""Of one line or record of a file that is read piece by piece."""

MAX_PIXELS: Final = 2**26
"""Width times height of a picture or of a video's frame: 8,192 x 8,192. Decoded, copied and turned it takes 0.8 GB."""

RATES_HZ: Final = (1_000, 768_000)
"""Lowest and highest sample rate of a sound."""

MAX_SAMPLES: Final = 2**26
"""Samples of a sound that are decoded at once, times its channels, and samples that it has at 16 kHz: 70 minutes of one
channel at 16 kHz, 11 minutes of two at 48 kHz."""

MAX_SPOKEN_CHARS: Final = 4_000
"""Of a text that is spoken. The fastest engine says fewer than 1,500 in the 30 s that can be heard."""
