"""Text to the token ids that the whole rendered conversation would have, without reading typed text as markup.

A chat template writes special tokens. Typed text (questions, answers, transcripts, descriptions, prompts) may contain
the same characters, which must stay characters, so only the template's text is searched for special tokens. All text
between two special tokens is encoded in one piece: tokenizers join words across the borders of parts, and
SentencePiece-like tokenizers would put a space mark before every part that is encoded alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Generic, TypeVar

from transformers import PreTrainedTokenizerBase

from earwise.errors import InputError

RoleT = TypeVar("RoleT", bound=str)
"""The role of tokens in a layout."""

PROBES: Final = ("a", "The", "1")
"""Typical beginnings of an answer. The text before an answer must have the same ids before one of these."""
_MARKUP: Final = re.compile(r"<\|[^\s|]+\|>")
"""Typical markup, which not every tokenizer marks as special. Tags such as <think> are text."""
_CACHED: Final = 16_384
"""Number of texts whose ids are cached, for the turns and epochs that use them again."""


class TextEncoder:
    """Encodes text so that no part of it becomes a special token.

    Args:
        tokenizer: any tokenizer of transformers, fast or slow.
        placeholders: ids of media in the model's config, also if the tokenizer does not mark them as special.
        stops: ids that end an answer; ordinary words among them stay words.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, placeholders: Sequence[int] = (), stops: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        special = {one for one, token in added.items() if token.special or _MARKUP.fullmatch(token.content)}
        special |= {*tokenizer.all_special_ids, *(one for one in stops if one in added)}
        special |= {one for one in placeholders if one in added or not self._is_word(one)}
        self._unknown = tokenizer.unk_token if _only_unknown(tokenizer) else None
        if self._unknown is not None:
            special.discard(tokenizer.unk_token_id)  # It stands for unknown characters of a text.
        self._contents = {content: one for one in sorted(special) if (content := self._content(one))}
        self._markup = _any_of(self._contents)
        self._special = frozenset(special)
        self.anchor = self._anchor()
        """A special token that stands in for a medium, so that the text after it does not begin the sequence."""
        self.encode = lru_cache(_CACHED)(self._encode)

    def _content(self, token: int) -> str:
        """The characters of a token; "" for an id outside the vocabulary."""
        added = self._tokenizer.added_tokens_decoder.get(token)
        if added is not None:
            return str(added.content)
        return str(self._tokenizer.convert_ids_to_tokens([token])[0] or "") if token < len(self._tokenizer) else ""

    def _is_word(self, token: int) -> bool:
        """Whether an id stands for letters or digits: a config may name an id that its tokenizer uses for a word."""
        return self._content(token).strip("▁Ġ").isalnum()

    def _anchor(self) -> str:
        """The end token or, if it is not encoded as one id, the first special token that is."""
        end = self._tokenizer.eos_token
        for one in [*([end] if isinstance(end, str) and end in self._contents else []), *self._contents]:
            if self._tokenizer.encode(one, add_special_tokens=False) == [self._contents[one]]:
                return one
        return ""

    def id_of(self, content: str) -> int:
        """The id of a special token."""
        return self._contents[content]

    def split(self, text: str) -> list[tuple[str, bool]]:
        """Cut the text of a chat template at its special tokens: each part, and whether it is a special token."""
        return [(part, part in self._contents) for part in self._markup.split(text) if part]

    def alone(self, text: str) -> list[int]:
        """Ids of a text inside a conversation, independent of its neighbours."""
        return list(self.encode(self.anchor, text, ""))

    def _encode(self, before: str, text: str, after: str) -> tuple[int, ...]:
        """Ids of `text` between the special tokens `before` and `after` ("" for none), without the ids of these two.

        Raises `InputError` if the tokenizer reads a special token in the text however the text is cut.
        """
        if not text:
            return ()
        ids = self._between(before, text, after)
        if ids is None:
            ids = self._as_characters(before, text)
        if ids is None:
            ids = self._in_parts(before, text, after)
        return ids

    def _between(self, before: str, text: str, after: str) -> tuple[int, ...] | None:
        """Ids from the plain `encode`; None if they contain a special token."""
        if self._unknown is not None and self._unknown in text:
            return None
        ids = self._tokenizer.encode(before + text + after, add_special_tokens=False)
        start, stop = bool(before), len(ids) - bool(after)
        if (before and ids[:1] != [self.id_of(before)]) or (after and ids[-1:] != [self.id_of(after)]):
            return None
        inside = ids[start:stop]
        return None if self._special.intersection(inside) else tuple(inside)

    def _as_characters(self, before: str, text: str) -> tuple[int, ...] | None:
        """Ids from the tokenizer's own option to split special tokens. None where it fails: a word of the vocabulary
        may have the characters of a special token, and a text that is encoded alone may begin with other ids.
        """
        probe = self._tokenizer.encode(PROBES[0], add_special_tokens=False)
        if before and self._tokenizer.encode(before + PROBES[0], add_special_tokens=False)[1:] != probe:
            return None
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return None if self._special.intersection(ids) else tuple(ids)

    def _in_parts(self, before: str, text: str, after: str) -> tuple[int, ...]:
        """Ids of the parts of `text`, cut after the first character of everything that looks like a special token."""
        found = _any_of([*self._contents, self._unknown or ""]).finditer(text)
        cuts = [0, *(match.start() + 1 for match in found), len(text)]
        parts = [text[start:stop] for start, stop in pairwise(cuts) if start < stop]
        ids: list[int] = []
        for number, part in enumerate(parts):
            last = number + 1 == len(parts)
            inside = self._between(before if number == 0 else self.anchor, part, after if last else "")
            if inside is None:
                what = f"the tokenizer reads a special token in {part[:60]!r}"
                raise InputError(what, file=self._tokenizer.name_or_path, remedy="write it in other characters")
            ids += inside
        return tuple(ids)


def _any_of(contents: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of `contents`; the longest match wins."""
    longest_first = sorted(filter(None, contents), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")


def _only_unknown(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the unknown token has no other use; many tokenizers use their end token as the unknown token."""
    others = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}
    return isinstance(tokenizer.unk_token, str) and tokenizer.unk_token_id not in others


class RunningText(Generic[RoleT]):
    """Encodes a conversation that grows part by part.

    Parts between two special tokens are encoded together. A token across the border of two parts belongs to the second
    part.

    Args:
        encoder: encoder of the model.
        emit: receives the role and the ids of each part, in order.
    """

    def __init__(self, encoder: TextEncoder, emit: Callable[[RoleT, Sequence[int]], None]) -> None:
        self._encoder, self._emit = encoder, emit
        self._before = ""
        self._pending: list[tuple[RoleT, str]] = []
        self._context = ""
        """The text since the last special token whose ids, `_fixed`, have been emitted."""
        self._fixed: tuple[int, ...] = ()

    def typed(self, role: RoleT, text: str) -> None:
        """Add text without markup, written by a person or generated by a model."""
        if text:
            self._pending.append((role, text))

    def markup(self, role: RoleT, token: str) -> None:
        """Add a special token of the chat template."""
        self._settle(token)
        self._emit(role, [self._encoder.id_of(token)])
        self._before, self._context, self._fixed = token, "", ()

    def template(self, role: RoleT, text: str) -> None:
        """Add text of the chat template."""
        for part, special in self._encoder.split(text):
            if special:
                self.markup(role, part)
            else:
                self.typed(role, part)

    def ids(self, role: RoleT, ids: Sequence[int]) -> None:
        """Add tokens that are not text: placeholders of a medium, or sampled tokens."""
        self._settle("")
        if ids:
            self._emit(role, ids)
            self._before, self._context, self._fixed = self._encoder.anchor, "", ()

    def joint(self) -> None:
        """Emit the text so far with ids that do not depend on what follows, because a model may have to generate that.

        A space at the end joins the next word, as in the tokenizer's own encoding.
        """
        head = self._context + "".join(text for _, text in self._pending)
        ids = self._before_anything(head)
        self._cut(ids)
        self._context, self._fixed = head, ids

    def fork(self) -> Callable[[], None]:
        """A function that returns to the last joint, so that another text can follow it."""
        state = self._before, self._context, self._fixed

        def back() -> None:
            self._settle("")
            self._before, self._context, self._fixed = state

        return back

    def settle(self) -> None:
        """Emit the text so far, before something that is not text, or at the end."""
        self._settle("")

    def _before_anything(self, head: str) -> tuple[int, ...]:
        """The ids of `head`, or of all but its last spaces, that stay the same before some beginning of an answer."""
        encode, whole = self._encoder.encode, self._encoder.encode(self._before, head, "")
        for text in (head.rstrip(" "), head):
            ids = encode(self._before, text, "")
            if any(encode(self._before, head + probe, "")[: len(ids)] == ids for probe in PROBES):
                return ids
        return whole

    def _settle(self, after: str) -> None:
        if self._pending:
            text = "".join(text for _, text in self._pending)
            self._cut(self._encoder.encode(self._before, self._context + text, after))
            self._context, self._fixed = "", ()

    def _cut(self, ids: tuple[int, ...]) -> None:
        """Emit the part of `ids` that has not been emitted, part by part of the text."""
        if ids[: len(self._fixed)] != self._fixed:  # For example an answer that begins with a line break.
            text = "".join(text for _, text in self._pending)
            ids, self._context, self._fixed = self._encoder.encode(self._encoder.anchor, text, ""), "", ()
        done, text = len(self._fixed), self._context
        for number, (role, part) in enumerate(self._pending):
            text += part
            last = number + 1 == len(self._pending)
            stop = len(ids) if last else max(done, _common(ids, self._encoder.encode(self._before, text, "")))
            if stop > done:
                self._emit(role, ids[done:stop])
            done = stop
        self._pending = []


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
