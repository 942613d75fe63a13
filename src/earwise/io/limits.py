"""The largest inputs that are read. Each limit is far above real data and below what a machine can hold.

Errors name the number and the remedy; `docs/limits.md` lists the limits.
"""

from __future__ import annotations

from typing import Final

MAX_COUNT: Final = 10**8
"""Largest count in a recipe (steps, items, widths), and largest number of draws (steps times items per step)."""

MAX_SEED: Final = 2**32 - 1
"""Largest seed that all random generators take."""

MAX_RECIPE_BYTES: Final = 2**20
"""Size of a recipe."""

MAX_WHOLE_BYTES: Final = 2**31
"""Size of a text file that is read as a whole, such as a file of items."""

MAX_RECORD_BYTES: Final = 2**26
"""Size of one line or record of a file that is read piece by piece."""

MAX_PIXELS: Final = 2**26
"""Width times height of a picture or video frame: 8,192 x 8,192. Decoding, copying and rotating it takes 0.8 GB."""

RATES_HZ: Final = (1_000, 768_000)
"""Lowest and highest sample rate of a sound."""

MAX_SAMPLES: Final = 2**26
"""Samples of a sound that are decoded at once, times channels, and its samples at 16 kHz: 70 minutes of mono at 16 kHz,
11 minutes of stereo at 48 kHz.
"""

MAX_SPOKEN_CHARS: Final = 4_000
"""Characters of a spoken text. The fastest engine speaks fewer than 1,500 in the 30 s that a model can hear."""
