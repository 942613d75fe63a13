"""The text of an item's query, made in one place for typed and for spoken queries."""

from __future__ import annotations

from earwise.data.choices import option_letters
from earwise.records import Item


def query_text(item: Item, suffix: bool = False) -> str:
    """The query of `item` as one text: question, then options, then (if asked) the answer-format request.

    `Which sentence is right?` with two choices becomes
    `Which sentence is right? Option A: the dog chases the cat. Option B: the cat chases the dog.`
    Every option ends with a full stop unless it brings its own end mark, which makes speech pause between options. The
    suffix keeps the space or newline that separates it in its file; without one a space is put in.
    """
    parts = [item.question]
    for letter, choice in zip(option_letters(item.choices), item.choices, strict=True):
        parts.append(f"Option {letter}: {choice}" + ("" if choice.rstrip().endswith((".", "?", "!")) else "."))
    text = " ".join(parts)
    if not (suffix and item.suffix):
        return text
    return text + ("" if item.suffix[0].isspace() else " ") + item.suffix
