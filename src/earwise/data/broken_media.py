"""Checks of items' media: pictures are decoded, sounds and videos are checked to their end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import soundfile

from earwise.data.asr import RECORDING
from earwise.data.audio_headers import what_is_missing
from earwise.data.media import check_rate, load_image, promises_its_length, require_content, resolve
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.records import Item


class Broken(NamedTuple):
    """An unusable file."""

    path: str
    """The item's path."""
    error: InputError

    @property
    def reason(self) -> str:
        """The error without the part that differs from file to file."""
        return self.error.what.partition(":")[0]


class MediaCheck:
    """Checks each file of `folder` once, however many items show it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, InputError | None] = {}

    def broken(self, item: Item) -> Broken | None:
        """The item's first unusable file, or None.

        Recordings are skipped: the stage that cuts them decodes them anyway.
        """
        return next(self._all_broken(item), None)

    @property
    def seen(self) -> list[Path]:
        """Checked files that are whole."""
        return [path for path, broken in self._known.items() if broken is None]

    def _all_broken(self, item: Item) -> Iterator[Broken]:
        sound = item.audio if RECORDING not in item.meta else None
        checks: tuple[tuple[str | None, Callable[[Path], object]], ...] = (
            (item.image, load_image),
            (sound, check_sound),
            (item.video, _check_frames),
        )
        for name, check in checks:
            if name is None:
                continue
            path = resolve(self._folder, name)
            if path not in self._known:
                self._known[path] = _error_of(check, path)
            if (error := self._known[path]) is not None:
                yield Broken(name, error)


def _error_of(check: Callable[[Path], object], path: Path) -> InputError | None:
    try:
        check(path)
    except InputError as error:
        return error
    return None


def check_sound(path: Path) -> None:
    """Raise `InputError` for a sound file that is missing, empty, not audio or truncated.

    The header is compared with the size, and the last sample is read. The rest is not decoded, so that a large corpus
    can be checked; loading a sound finds silence and samples that are not finite.
    """
    require_content(path, "audio")
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
