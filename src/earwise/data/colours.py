"""Pictures of every mode of Pillow as 8-bit RGB, the way a viewer shows them.

Pillow's own `convert("RGB")` cuts deep pictures off at 255, which makes them white or black, and drops transparency,
which shows the colour that happens to lie beneath it, usually black.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from earwise.errors import InputError

DEEP: Final = "deep picture, scaled to 8 bits"
TRANSPARENT: Final = "transparent picture, shown on white"
SEVERAL: Final = "picture of several frames or pages, of which the first is shown"

_DEPTHS: Final = (1, 8, 10, 12)
"""Bits of samples that are often stored in wider ones. What they hold would be nearly black at the full 16 bits."""


def to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """A loaded picture of any mode as RGB, and what of it is not shown as it is: `DEEP`, `TRANSPARENT`.

    Transparent pictures are laid on white. Grey samples of more than 8 bits are scaled by the full range of their
    type, 65,535; by 1, 8, 10 or 12 bits where all of them fit in so few; by their own range where they are negative or
    wider than 16 bits. Float samples up to 1 are shares of white; wider ones are scaled as whole numbers are.

    Raises `InputError` for samples that are NaN or infinite.
    """
    notes: list[str] = []
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image, notes = _grey(image), [DEEP]
    elif image.mode == "LAB":
        image = _from_lab(image)
    if not image.has_transparency_data:
        return image.convert("RGB"), tuple(notes)
    shown = _with_alpha(image)
    lowest = shown.getchannel("A").getextrema()[0]
    if isinstance(lowest, int | float) and lowest < 255:
        notes.append(TRANSPARENT)
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return shown.convert("RGB"), tuple(notes)


def has_several_frames(image: Image.Image) -> bool:
    """Whether an opened picture has more to show than is shown; the second picture of a stereo photograph is none."""
    try:
        return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    except (OSError, EOFError, SyntaxError, ValueError):  # so Pillow reports a later frame that is broken
        return True


def _grey(image: Image.Image) -> Image.Image:
    """A picture of one deep channel in 8 bits; its one transparent value, where it has one, as alpha."""
    samples = np.asarray(image).astype(np.float64)
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise InputError("the picture holds samples that are NaN or infinite")
    grey = Image.fromarray(_to_8_bits(samples, low, high, shares=image.mode == "F"))
    value = image.info.get("transparency")
    if isinstance(value, int):
        grey.putalpha(Image.fromarray(np.where(samples == value, 0, 255).astype(np.uint8)))
    return grey


def _to_8_bits(samples: npt.NDArray[np.float64], low: float, high: float, *, shares: bool) -> npt.NDArray[np.uint8]:
    if low < 0 or high > 65_535:
        black, white = low, high
    elif shares and high <= 1:
        black, white = 0.0, 1.0
    else:
        black, white = 0.0, float(next((2**bits - 1 for bits in _DEPTHS if high < 2**bits), 65_535))
    return np.rint((samples - black) * (255 / max(white - black, np.finfo(np.float64).tiny))).astype(np.uint8)


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert shown is not None  # None only where a picture is changed in place
    return shown


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied: Pillow converts each only to its own plain form
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    colour: Any = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:
        # A PNG with 16 bits a channel names its transparent colour in 16 bits; Pillow has read the upper 8.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    return image.convert("RGBA")
