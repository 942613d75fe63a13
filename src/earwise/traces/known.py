"""What is known to be true of a sound: a chain for each, as a laboratory or human listeners give them."""

from __future__ import annotations

from earwise.records import NonEmpty, Record


class KnownChain(Record):
    """A chain that is known to be true of a sound, and tells all that is heard in it."""

    id: NonEmpty
    audio: NonEmpty
    """WAV file, relative to the file that holds the record."""
    reasoning: NonEmpty

    @property
    def key(self) -> str:
        """The id."""
        return self.id
