"""Items without a clip."""

from __future__ import annotations

from typing import Final

from earwise.data.media import MAX_CLIP_S
from earwise.records import NonEmpty, Record

TOO_LONG: Final = f"longer than {MAX_CLIP_S} s when spoken"


class Drop(Record):
    """An item that has no clip, with the reason."""

    item: NonEmpty
    text: str
    """The written question."""
    reason: NonEmpty

    @property
    def key(self) -> str:
        """The item's id."""
        return self.item
