"""Tux Paint's stamps: what is shown, spoken descriptions of it, and the sounds that things make.

A stamp `cow.png` has `cow.txt` (English in the first line, then `fr.utf8=Une vache.` and so on), `cow_desc.ogg` and
`cow_desc_fr.ogg` (somebody says this description), and `cow.ogg` (a cow).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from earwise.io.files import read_text
from earwise.real.recordings import Recording

LANGUAGES: Final = ("en", "fr", "es")
_SYMBOLS: Final = "symbols"
"""Stamps of letters and digits: their sounds are speech."""


def read_tuxpaint(package: Path, folder: Path) -> Iterator[Recording]:
    """Manifests `descriptions` (English), `descriptions-fr`, `descriptions-es` and `sounds`, whose text says what is
    heard: the English description. `folder` is not read.
    """
    del folder
    stamps = package / "usr/share/tuxpaint/stamps"
    for path in sorted(stamps.rglob("*.txt")):
        stamp = path.with_suffix("")
        texts = _texts(path)
        name = stamp.relative_to(stamps).as_posix()
        for language in LANGUAGES:
            suffix = "" if language == "en" else f"_{language}"
            manifest = "descriptions" + suffix.replace("_", "-")
            if (file := stamp.with_name(f"{stamp.name}_desc{suffix}.ogg")).is_file() and language in texts:
                yield Recording(file, texts[language], f"{name}_desc{suffix}", manifest)
        for file in (stamp.with_suffix(".ogg"), stamp.with_suffix(".wav")):
            if file.is_file() and "en" in texts and not name.startswith(f"{_SYMBOLS}/"):
                yield Recording(file, texts["en"], name, "sounds")


def _texts(path: Path) -> dict[str, str]:
    """Description by language: English stands in the first line, without its name."""
    first, _, rest = read_text(path).partition("\n")
    found = {"en": first.strip()}
    for line in rest.splitlines():
        key, _, text = line.partition(".utf8=")
        if key.isalpha():
            found[key] = text.strip()
    return {language: text for language, text in found.items() if text}
