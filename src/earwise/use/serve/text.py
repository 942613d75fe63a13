"""The text of an answer while its tokens arrive."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

_BROKEN = "\ufffd"
"""What a tokenizer shows of a character whose bytes are not all there."""


class GrowingText:
    """Gives out text only when no later token can change it. Together, the parts are the text of all tokens without
    space around it, as `OmniModel.generate` gives it, up to the first of the strings `stops`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, stops
        self._ids: list[int] = []
        self._text, self._given = "", 0
        self.stopped = False
        """Whether a stop string was found. Tokens behind it are ignored."""

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self._ids)

    @property
    def text(self) -> str:
        """All of it, as if the answer ended here."""
        return self._text.strip()

    def add(self, token: int) -> str:
        """The text that is certain with this token and was not given out yet."""
        self._ids.append(token)
        self._text = str(self._tokenizer.decode(self._ids, skip_special_tokens=True)).lstrip()
        found = [place for stop in self._stops if (place := self._text.find(stop)) >= 0]
        if found:
            self._text, self.stopped = self._text[: min(found)], True
            return self.rest()
        return self._give(len(self._text.rstrip(_BROKEN).rstrip()) - self._held())

    def rest(self) -> str:
        """What was held back, at the end of the answer."""
        return self._give(len(self.text))

    def _held(self) -> int:
        """Length of the longest end of the text that begins a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(1, min(len(stop), len(self._text) + 1)):
                if self._text.endswith(stop[:length]):
                    longest = max(longest, length)
        return longest

    def _give(self, until: int) -> str:
        part = self._text[self._given : max(until, self._given)]
        self._given = max(until, self._given)
        return part
