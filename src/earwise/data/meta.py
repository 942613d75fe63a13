"""Keys of `Item.meta` that are read outside the format that brings them."""

from __future__ import annotations

from typing import Final

CONVERSATION: Final = "conversation"
"""What the items of one conversation have in common."""
TYPED: Final = "typed"
"""True for a question that is typed under every view, also under one that speaks."""
