"""Errors a person can act on: each is one line that names the file, the record and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EarwiseError(Exception):
    """Anything earwise raises on purpose. The command line prints it as one line and exits with 1."""


class InputError(EarwiseError, ValueError):
    """Bad input: a file, a record or a recipe value that a person must mend. Exits with 2.

    Reads as ``FILE: RECORD: WHAT (REMEDY)``; the parts that do not apply are left out.
    """

    def __init__(
        self, what: str, *, file: str | Path | None = None, record: str | int | None = None, remedy: str | None = None
    ) -> None:
        self.what, self.file, self.record, self.remedy = what, file, record, remedy
        where = "".join(f"{part}: " for part in (file, record) if part is not None)
        text = f"{where}{what}" + (f" ({remedy})" if remedy else "")
        super().__init__(" ".join(text.split()))


@contextmanager
def about(record: str, file: str | Path | None = None) -> Iterator[None]:
    """Bad input that is found inside is said to be of `record`, and of `file` in place of the one that it names."""
    try:
        yield
    except InputError as error:
        raise InputError(error.what, file=file or error.file, record=record, remedy=error.remedy) from None
