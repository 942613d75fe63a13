"""Keys of `Item.meta` that other packages read."""

from __future__ import annotations

from typing import Final

CONVERSATION: Final = "conversation"
"""The name of an item's conversation."""
TYPED: Final = "typed"
"""True for a question that is typed under every view, spoken views included."""
CUT: Final = "cut"
"""True where a limit cut the answer: it is learned as far as it goes, and not that the model ends there."""
