"""The text of an item's query, for typed and for spoken queries."""

from __future__ import annotations

from earwise.data.choices import option_letters
from earwise.records import Item


def query_text(item: Item, suffix: bool = False) -> str:
    """The query of `item` as one text: question, options and, with `suffix`, the answer-format request.

    `Which sentence is right?` with two choices becomes
    `Which sentence is right? Option A: the dog chases the cat. Option B: the cat chases the dog.`
    An option without an end mark gets a full stop, so that speech pauses between options. A suffix without its own
    leading space or newline gets a space.
    """
    parts = [item.question]
    for letter, choice in zip(option_letters(item.choices), item.choices, strict=True):
        parts.append(f"Option {letter}: {choice}" + ("" if choice.rstrip().endswith((".", "?", "!")) else "."))
    text = " ".join(parts)
    if not (suffix and item.suffix):
        return text
    return text + ("" if item.suffix[0].isspace() else " ") + item.suffix
