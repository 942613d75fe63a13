"""Pictures of every mode of Pillow as 8-bit RGB, the way a viewer shows them.

Pillow's own `convert("RGB")` clips deep pictures at 255, which makes them white or black, and drops transparency, which
shows the hidden colour beneath it, usually black.
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
"""Usual bits of samples in wider types. At the full 16 bits, such pictures would be nearly black."""


def to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """A loaded picture of any mode as RGB, and the changes that this makes: `DEEP`, `TRANSPARENT`.

    Transparent pictures are shown on white. Grey samples of more than 8 bits are scaled by 1, 8, 10 or 12 bits if all
    of them fit, else by 16 bits, or by their own range if they are negative or wider than 16 bits. Float samples up to
    1 are shares of white; other float samples are scaled like whole numbers.

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
    """Whether an opened picture has several frames or pages, other than the pair of a stereo photograph."""
    try:
        return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    except (OSError, EOFError, SyntaxError, ValueError):  # a later frame is broken
        return True


def _grey(image: Image.Image) -> Image.Image:
    """A picture of one deep channel in 8 bits; its transparent value, if any, becomes alpha."""
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
    assert shown is not None  # None only for a change in place
    return shown


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied: Pillow converts them only to LA and RGBA
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    colour: Any = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:
        # A PNG with 16 bits per channel has a 16-bit transparent colour; Pillow has read the upper 8 bits of samples.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    return image.convert("RGBA")
