"""Which media of an item cannot be used: pictures are decoded, sounds and videos looked at to their end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import soundfile

from earwise.data.asr import RECORDING
from earwise.data.audio_headers import what_is_missing
from earwise.data.media import check_rate, load_image, promises_its_length, resolve
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.io.files import found_file
from earwise.records import Item


class Broken(NamedTuple):
    """A file that cannot be used."""

    path: str
    """As the item names it."""
    error: InputError

    @property
    def reason(self) -> str:
        """What is wrong, without what differs from file to file."""
        return self.error.what.partition(":")[0]


class MediaCheck:
    """Looks at each file of `folder` once, however many items show it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, InputError | None] = {}

    def broken(self, item: Item) -> Broken | None:
        """The first of the item's media that cannot be used; None if all of them can.

        A recording that is to be cut is left to the stage that cuts it, which decodes it anyway.
        """
        return next(self._all_broken(item), None)

    @property
    def seen(self) -> list[Path]:
        """Files that were looked at and are whole."""
        return [path for path, broken in self._known.items() if broken is None]

    def _all_broken(self, item: Item) -> Iterator[Broken]:
        sound = item.audio if RECORDING not in item.meta else None
        looks: tuple[tuple[str | None, Callable[[Path], object]], ...] = (
            (item.image, load_image),
            (sound, check_sound),
            (item.video, _check_frames),
        )
        for name, look in looks:
            if name is None:
                continue
            path = resolve(self._folder, name)
            if path not in self._known:
                self._known[path] = _error_of(look, path)
            if (error := self._known[path]) is not None:
                yield Broken(name, error)


def _error_of(look: Callable[[Path], object], path: Path) -> InputError | None:
    try:
        look(path)
    except InputError as error:
        return error
    return None


def check_sound(path: Path) -> None:
    """Raise the `InputError` for a sound file that is missing, empty, not audio or truncated.

    Its header is compared with its size and its last sample is read; the rest is not decoded, so that a large corpus
    can be looked at. Silence and samples that are not finite are found where a sound is loaded.
    """
    if not found_file(path):
        raise InputError("audio file not found", file=path)
    if path.stat().st_size == 0:
        raise InputError("audio file is empty (0 bytes)", file=path, remedy="make or fetch it again")
    if (missing := what_is_missing(path)) is not None:
        raise InputError(f"truncated audio: {missing}", file=path, remedy="write or fetch the file again")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as stream:  # a name need not be UTF-8
            check_rate(stream.samplerate, path)
            if stream.frames == 0:
                raise InputError("audio has no samples", file=path, remedy="make the clip again")
            if promises_its_length(path):
                stream.seek(stream.frames - 1)
                if len(stream.read(1)) < 1:
                    raise InputError("truncated audio: its last sample is not there", file=path)
    except soundfile.LibsndfileError as error:
        raise InputError(f"not readable as audio: {error.error_string}", file=path) from None


def _check_frames(path: Path) -> None:
    check_video(path, sound=False)
