"""Known true chains of sounds, from a laboratory or from human listeners."""

from __future__ import annotations

from earwise.records import NonEmpty, Record


class KnownChain(Record):
    """A known true and complete chain of a sound."""

    id: NonEmpty
    audio: NonEmpty
    """WAV file, relative to the file that holds the record."""
    reasoning: NonEmpty

    @property
    def key(self) -> str:
        """The id."""
        return self.id
