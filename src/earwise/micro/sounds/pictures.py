"""The frames of a clip: 32 x 32 pixels, one for each slot. A thing is drawn in the frames of its active slots.

The picture has 2 x 2 cells of 16 pixels. A cell becomes one token of a vision model with 8-pixel patches merged 2 x 2.
Each cell also shows the time, as a bar along its lower edge that grows from frame to frame. So a token has both thing
and time.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from earwise.micro.sounds.world import CELLS, SLOTS, Scene

FRAME_SIZE = 32
"""Height and width of a frame in pixels."""
CELL = 16
"""Height and width of a cell in pixels."""
BAR = 2
"""Height of the bar that shows the time, in pixels."""

COLORS = {
    "bell": (240, 220, 40),
    "bird": (40, 210, 220),
    "clock": (245, 245, 245),
    "dog": (250, 140, 20),
    "drum": (225, 35, 35),
    "flute": (45, 190, 65),
    "siren": (60, 90, 250),
    "trumpet": (220, 60, 220),
}
"""RGB colour of each kind, 0 to 255."""

_BAR_COLOR = (170, 170, 170)


def draw_frames(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """uint8 (6, 32, 32, 3). The shade of the background and small shifts of the things carry no meaning."""
    frames = np.full((SLOTS, FRAME_SIZE, FRAME_SIZE, 3), rng.integers(40, 71), dtype=np.uint8)
    for slot, frame in enumerate(frames):
        length = round(CELL * (slot + 1) / SLOTS)
        for cell in range(CELLS):
            _cell(frame, cell)[CELL - BAR :, :length] = _BAR_COLOR
    for thing in scene.things:
        if not thing.seen:
            continue
        down, right = rng.integers(-1, 1), rng.integers(-1, 2)
        for slot in thing.slots:
            _cell(frames[slot], thing.cell)[glyph(thing.kind, int(down), int(right))] = COLORS[thing.kind]
    return frames


def _cell(frame: np.ndarray, cell: int) -> np.ndarray:
    """A view of one cell: (16, 16, 3)."""
    top, left = CELL * (cell // 2), CELL * (cell % 2)
    return frame[top : top + CELL, left : left + CELL]


@cache
def glyph(kind: str, down: int = 0, right: int = 0) -> np.ndarray:
    """The ink of a thing in its cell, above the bar: boolean (16, 16)."""
    y, x = np.mgrid[0:CELL, 0:CELL].astype(float)
    y, x = y - 6.5 - down, x - 7.5 - right
    far = np.maximum(abs(x), abs(y))
    inside = {
        "bell": (abs(x) <= (y + 6) / 2) & (y <= 5.5),
        "bird": abs(x) + abs(y) <= 6,
        "clock": x**2 + y**2 <= 34,
        "dog": far <= 4.5,
        "drum": (abs(x) <= 6.5) & (abs(y) <= 3),
        "flute": (abs(x) <= 2) & (abs(y) <= 5.5),
        "siren": (far <= 5.5) & (far >= 2.5),
        "trumpet": (np.minimum(abs(x), abs(y)) <= 1.5) & (far <= 5.5),
    }[kind]
    return inside & (np.arange(CELL)[:, None] < CELL - BAR)
