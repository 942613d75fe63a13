"""Pictures of the laboratory, 64 x 64 pixels, drawn from a seed.

A `Scene` has two to four coloured shapes on a 3 x 3 grid and a printed sign under them; a `Chart` has three or four
coloured columns.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from earwise.micro.glyphs import GLYPH_HEIGHT, GLYPH_WIDTH, GLYPHS
from earwise.micro.splits import Split, split_by
from earwise.micro.words import COLORS, COLUMNS, DIGITS, ROWS, SHAPES, SIGN_WORDS

IMAGE_SIZE = 64
"""Height and width of every picture in pixels."""
CELL = 16
"""Height and width of a grid cell in pixels. The grid starts at the top left corner, so that a cell is exactly one
image token of the shipped model. A thing that is spread over several tokens is much harder to find."""
LETTER = 8
"""Height and width in pixels of a character on a sign, and of a unit of a chart."""
MAX_COLUMN = 6
"""Height of the tallest chart column, in units."""
CHART_SHARE = 0.12
"""Share of charts among pictures of either kind."""

_SIGN_TOP = 56
_RGB = {
    "red": (220, 40, 40),
    "blue": (40, 70, 230),
    "green": (30, 160, 60),
    "yellow": (235, 205, 30),
    "purple": (150, 50, 180),
}


@dataclass(frozen=True, order=True)
class Thing:
    """One coloured shape in a cell of the grid. Things order row by row, from left to right."""

    row: int
    column: int
    color: str
    shape: str

    @property
    def place(self) -> str:
        """The cell in words, for example `top left`."""
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"

    @property
    def name(self) -> str:
        """Colour and shape, for example `red star`."""
        return f"{self.color} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """Shapes on the grid in reading order, and the text of the sign."""

    things: tuple[Thing, ...]
    sign: tuple[str, ...]
    """One sign word, or the words of the digits of a number."""


@dataclass(frozen=True)
class Chart:
    """A column chart: colours from left to right with their heights in units; all colours and all heights differ."""

    columns: tuple[tuple[str, int], ...]


Picture = Scene | Chart


def split_of(picture: Picture) -> Split:
    """The split of a picture; no two splits share a scene."""
    return split_by(repr(picture))


def sample_scene(rng: random.Random) -> Scene:
    """A random scene with at least two things that have a unique pair of colour and shape."""
    colors = rng.sample(COLORS, rng.randint(2, len(COLORS)))
    shapes = rng.sample(SHAPES, rng.randint(2, len(SHAPES)))
    while True:
        cells = rng.sample(range(9), rng.choices((2, 3, 4), (2, 4, 4))[0])
        things = sorted(Thing(cell // 3, cell % 3, rng.choice(colors), rng.choice(shapes)) for cell in cells)
        names = [thing.name for thing in things]
        if sum(names.count(name) == 1 for name in names) >= 2:
            break
    digits = rng.random() < 0.5
    sign = tuple(rng.choices(DIGITS, k=rng.choice((2, 3)))) if digits else (rng.choice(SIGN_WORDS),)
    return Scene(tuple(things), sign)


def sample_chart(rng: random.Random) -> Chart:
    """A random chart of three or four columns."""
    count = rng.choice((3, 4))
    return Chart(tuple(zip(rng.sample(COLORS, count), rng.sample(range(1, MAX_COLUMN + 1), count), strict=True)))


def draw_picture(split: Split, rng: random.Random, seen: set[Picture], *, chart: bool | None = None) -> Picture:
    """A picture of `split` that is new to `seen`: a chart, a scene or, with None, either (`CHART_SHARE`)."""
    while True:
        is_chart = rng.random() < CHART_SHARE if chart is None else chart
        picture = sample_chart(rng) if is_chart else sample_scene(rng)
        if picture not in seen and split_of(picture) == split:
            seen.add(picture)
            return picture


def render(picture: Picture, rng: random.Random) -> np.ndarray:
    """Draw a picture: uint8 (64, 64, 3). Shade, sizes and small shifts come from `rng` and carry no meaning."""
    canvas = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), rng.randint(215, 250), dtype=np.uint8)
    if isinstance(picture, Chart):
        _draw_chart(canvas, picture)
    else:
        for thing in picture.things:
            top, left = CELL * thing.row, CELL * thing.column
            mask = _shape_mask(thing.shape, rng.choice((6, 7)), rng.choice((-1, 0, 1)), rng.choice((-1, 0, 1)))
            canvas[top : top + CELL, left : left + CELL][mask] = _RGB[thing.color]
        _draw_sign(canvas, printed(picture.sign))
    return canvas


def png_bytes(pixels: np.ndarray) -> bytes:
    """The PNG file of an image, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def printed(sign: tuple[str, ...]) -> str:
    """The characters on a sign: `("four", "seven")` is printed as `47`."""
    return "".join(str(DIGITS.index(word)) if word in DIGITS else word for word in sign)


@cache
def _shape_mask(shape: str, radius: int, down: int, right: int) -> np.ndarray:
    """The ink of a shape in its cell: boolean (16, 16)."""
    center = (CELL - 1) / 2
    y, x = np.mgrid[0:CELL, 0:CELL].astype(float)
    y, x = y - center - down, x - center - right
    match shape:
        case "circle":
            return x**2 + y**2 <= radius**2
        case "square":
            return np.maximum(abs(x), abs(y)) <= radius * 0.85
        case "triangle":
            return (abs(x) <= (y + radius) / 2) & (y <= radius)
        case "diamond":
            return abs(x) / 0.75 + abs(y) <= radius
        case "star":
            angle = np.arctan2(x, -y)
            reach = radius * (0.75 + 0.4 * np.cos(5 * angle))
            return np.hypot(x, y) <= reach
    raise ValueError(f"no shape is called {shape!r}")


def _draw_sign(canvas: np.ndarray, text: str) -> None:
    left = LETTER * ((IMAGE_SIZE // LETTER - len(text)) // 2)
    canvas[_SIGN_TOP:, left : left + LETTER * len(text)] = 255
    for index, character in enumerate(text):
        x = left + LETTER * index + 1
        canvas[_SIGN_TOP : _SIGN_TOP + GLYPH_HEIGHT, x : x + GLYPH_WIDTH][GLYPHS[character]] = 20


def _draw_chart(canvas: np.ndarray, chart: Chart) -> None:
    base = IMAGE_SIZE - LETTER
    canvas[base : base + 2, 4:60] = 20
    for index, (color, height) in enumerate(chart.columns):
        left = LETTER * (2 * index + 1) - 4
        canvas[base - LETTER * height : base, left : left + LETTER] = _RGB[color]
