"""Pictures and recordings of requests, as files of the server's own folder that are named by their content.

Equal pictures of several requests are therefore one file, which is preprocessed once and shares its prefix.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from earwise.data.picture_opening import opened_picture
from earwise.errors import InputError
from earwise.models.sample import Sound
from earwise.use.asking import recording
from earwise.use.serve.limits import Limits, Refused

_DATA: Final = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(;[\w=.+-]+)*;base64,", re.IGNORECASE)


def from_data_url(url: str, kind: str, param: str) -> bytes:
    """The bytes in a data URL whose type begins with `kind` (`image`, `audio`). No other URL is opened."""
    found = _DATA.match(url[:200])
    if found is None:
        what = "remote addresses are not fetched" if "://" in url[:200] else "not a base64 data URL"
        raise Refused(400, f"{what}: give data:{kind}/...;base64,...", param=param, code="invalid_url")
    if found["type"].partition("/")[0].lower() not in (kind, "application"):
        raise Refused(400, f"a data URL of {found['type']}, not of {kind}", param=param, code="invalid_url")
    return from_base64(url[found.end() :], param)


def from_base64(text: str, param: str) -> bytes:
    """The bytes of strict base64, at least one."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "not base64", param=param, code="invalid_base64") from None
    if not content:
        raise Refused(400, "no bytes", param=param, code="invalid_base64")
    return content


class MediaFolder:
    """The files of all requests that are being answered, in `folder`."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._users: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def write(self, content: bytes) -> Path:
        """A file of these bytes, shared by all that ask for it and drop it once each."""
        path = self.folder / hashlib.sha256(content).hexdigest()
        with self._lock:
            self._users[path] += 1
            if self._users[path] == 1:
                path.write_bytes(content)
        return path

    def drop(self, path: Path) -> None:
        """Remove the file when its last user drops it."""
        with self._lock:
            self._users[path] -= 1
            if self._users[path] == 0:
                del self._users[path]
                path.unlink()


class Lease:
    """The media of one request. `close` gives them back."""

    def __init__(self, media: MediaFolder) -> None:
        self._media = media
        self._pictures: list[Path] = []
        self._sounds: list[Path] = []

    @property
    def limits(self) -> Limits:
        """Those of the server."""
        return self._media.limits

    def close(self) -> None:
        """The request is answered."""
        for path in self._pictures:
            self._media.drop(path)
        for folder in self._sounds:
            shutil.rmtree(folder)
        self._pictures, self._sounds = [], []

    def picture(self, content: bytes, param: str) -> Path:
        """A picture as a file. Only its header is read here."""
        path = self._media.write(content)
        self._pictures.append(path)
        try:
            with opened_picture(path, path) as image:
                pixels = image.width * image.height
        except InputError as error:
            raise Refused(400, error.what, param=param, code="invalid_image") from None
        if pixels > self._media.limits.pixels:
            what = f"a picture of {pixels:,} pixels, at most {self._media.limits.pixels:,}"
            raise Refused(400, what, param=param, code="image_too_large")
        return path

    def recording(self, content: bytes, param: str) -> Sound:
        """A recording as the ears hear it."""
        folder = Path(tempfile.mkdtemp(dir=self._media.folder))
        self._sounds.append(folder)
        raw = folder / "sent"
        raw.write_bytes(content)
        try:
            return recording(raw, folder, longest_s=self._media.limits.seconds)
        except InputError as error:
            raise Refused(400, error.what, param=param, code="invalid_audio") from None
