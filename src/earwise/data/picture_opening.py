"""Opening of pictures from files and bytes. Errors are an `InputError` with the file's name."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from earwise.errors import InputError
from earwise.io.limits import MAX_PIXELS


@contextmanager
def opened_picture(source: Path | BinaryIO, path: Path) -> Iterator[Image.Image]:
    """A picture with its header read, for decoding in the block; errors of both name `path`.

    Raises `InputError` for a file that is not a picture, is broken or truncated, or has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns above its own limit and refuses above twice this limit; ours is lower.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(path, f"{image.width:,} x {image.height:,}, ")
                yield image
    except Image.UnidentifiedImageError:
        raise InputError("not an image", file=path, remedy="use a PNG, JPEG or WebP file") from None
    except Image.DecompressionBombError:
        raise _too_large(path, "") from None
    except InputError as error:  # also from the block
        raise InputError(error.what, file=path, remedy=error.remedy) from None
    except (OSError, SyntaxError, ValueError, RuntimeError, struct.error) as error:  # Pillow's errors of broken data
        raise InputError(f"broken or truncated image: {error}", file=path, remedy="fetch the file again") from None


def _too_large(path: Path, size: str) -> InputError:
    what = f"image has too many pixels to be decoded safely: {size}more than {MAX_PIXELS:,}"
    return InputError(what, file=path, remedy="scale it down")
