"""Text to token ids, as the chat template's whole text would give them, and with a person's text never read as markup.

A chat template writes special tokens; what people write (questions, answers, transcripts, descriptions, prompts) may
hold the same characters, and must stay characters. So only text of the template is searched for special tokens. The
text between two of them is encoded in one piece, whoever wrote it: tokenizers join words across the border, and
SentencePiece-like ones would put a space mark before every piece that is encoded alone.
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
"""What tokens are in a layout."""

PROBES: Final = ("a", "The", "1")
"""Beginnings of an answer: what stands before an answer must be encoded alike before one of these."""
_MARKUP: Final = re.compile(r"<\|[^\s|]+\|>")
"""How most models write their markup. Not every tokenizer calls all of it special; tags such as <think> are text."""
_CACHED: Final = 16_384
"""Texts whose ids are kept: the turns and epochs that come back to a question find them here."""


class TextEncoder:
    """Encodes text of which no part may become a special token.

    Args:
        tokenizer: any tokenizer of transformers, fast or slow.
        placeholders: ids that the model's config gives to media; the tokenizer need not call them special.
        stops: ids that end an answer; those that are ordinary words stay words.
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
            special.discard(tokenizer.unk_token_id)  # It stands for characters that the tokenizer does not have.
        self._contents = {content: one for one in sorted(special) if (content := self._content(one))}
        self._markup = _any_of(self._contents)
        self._special = frozenset(special)
        self.anchor = self._anchor()
        """A special token, to stand for a medium before a text: what comes after it does not begin the sequence."""
        self.encode = lru_cache(_CACHED)(self._encode)
        """`_encode`, which remembers."""

    def _content(self, token: int) -> str:
        """The characters of a token; "" for an id that the tokenizer does not have."""
        added = self._tokenizer.added_tokens_decoder.get(token)
        if added is not None:
            return str(added.content)
        return str(self._tokenizer.convert_ids_to_tokens([token])[0] or "") if token < len(self._tokenizer) else ""

    def _is_word(self, token: int) -> bool:
        """Whether an id stands for letters and digits: a config may name one that its tokenizer uses otherwise."""
        return self._content(token).strip("▁Ġ").isalnum()

    def _anchor(self) -> str:
        """The end token where it is one by itself, else another special token that is."""
        end = self._tokenizer.eos_token
        for one in [*([end] if isinstance(end, str) and end in self._contents else []), *self._contents]:
            if self._tokenizer.encode(one, add_special_tokens=False) == [self._contents[one]]:
                return one
        return ""

    def id_of(self, content: str) -> int:
        """The id of a special token."""
        return self._contents[content]

    def split(self, text: str) -> list[tuple[str, bool]]:
        """Text of a chat template, cut at its special tokens: each part, and whether it is one of them."""
        return [(part, part in self._contents) for part in self._markup.split(text) if part]

    def alone(self, text: str) -> list[int]:
        """Ids of a text that stands within a conversation, whatever stands beside it."""
        return list(self.encode(self.anchor, text, ""))

    def _encode(self, before: str, text: str, after: str) -> tuple[int, ...]:
        """Ids of `text`, which stands between the special tokens `before` and `after`, without theirs; "" for none.

        Raises `InputError` for a text that the tokenizer reads as a special token however it is cut.
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
        """Ids by the tokenizer's usual way; None where it finds a special token in the text."""
        if self._unknown is not None and self._unknown in text:
            return None
        ids = self._tokenizer.encode(before + text + after, add_special_tokens=False)
        start, stop = bool(before), len(ids) - bool(after)
        if (before and ids[:1] != [self.id_of(before)]) or (after and ids[-1:] != [self.id_of(after)]):
            return None
        inside = ids[start:stop]
        return None if self._special.intersection(inside) else tuple(inside)

    def _as_characters(self, before: str, text: str) -> tuple[int, ...] | None:
        """Ids by the tokenizer's own way to split special tokens; None where that does not suffice: a word of the
        vocabulary may have the characters of a special token, and a text that is encoded alone may begin otherwise.
        """
        probe = self._tokenizer.encode(PROBES[0], add_special_tokens=False)
        if before and self._tokenizer.encode(before + PROBES[0], add_special_tokens=False)[1:] != probe:
            return None
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return None if self._special.intersection(ids) else tuple(ids)

    def _in_parts(self, before: str, text: str, after: str) -> tuple[int, ...]:
        """Ids of parts, cut behind the first character of whatever looks like a special token."""
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
    """Finds the longest one of `contents` that begins at a place."""
    longest_first = sorted(filter(None, contents), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")


def _only_unknown(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the token for unknown characters is that and nothing else; many tokenizers name their end token so."""
    others = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}
    return isinstance(tokenizer.unk_token, str) and tokenizer.unk_token_id not in others


class RunningText(Generic[RoleT]):
    """A conversation's text as it grows, part by part; `emit` is given the ids of each part with its role.

    Parts between two special tokens are encoded together. A token that covers the end of one part and the beginning of
    the next one counts to the next one.

    Args:
        encoder: of the model that reads the text.
        emit: receives a role and ids, in order.
    """

    def __init__(self, encoder: TextEncoder, emit: Callable[[RoleT, Sequence[int]], None]) -> None:
        self._encoder, self._emit = encoder, emit
        self._before = ""
        self._pending: list[tuple[RoleT, str]] = []
        self._context = ""
        """Text since the last special token whose ids are settled, and these ids."""
        self._fixed: tuple[int, ...] = ()

    def typed(self, role: RoleT, text: str) -> None:
        """Text that a person wrote, or a model: nothing in it is markup."""
        if text:
            self._pending.append((role, text))

    def markup(self, role: RoleT, token: str) -> None:
        """A special token that the chat template wrote."""
        self._settle(token)
        self._emit(role, [self._encoder.id_of(token)])
        self._before, self._context, self._fixed = token, "", ()

    def template(self, role: RoleT, text: str) -> None:
        """Text of the chat template."""
        for part, special in self._encoder.split(text):
            if special:
                self.markup(role, part)
            else:
                self.typed(role, part)

    def ids(self, role: RoleT, ids: Sequence[int]) -> None:
        """Tokens that are no text: placeholders of a medium, or what a model has drawn."""
        self._settle("")
        if ids:
            self._emit(role, ids)
            self._before, self._context, self._fixed = self._encoder.anchor, "", ()

    def joint(self) -> None:
        """Settle what came so far: its ids must not depend on what follows, which a model may have to write.

        A space at the end is left to the first word behind it, as the tokenizer does it.
        """
        head = self._context + "".join(text for _, text in self._pending)
        ids = self._before_anything(head)
        self._cut(ids)
        self._context, self._fixed = head, ids

    def fork(self) -> Callable[[], None]:
        """Come back to this place, where the last joint is, by calling what is returned: another text follows it."""
        state = self._before, self._context, self._fixed

        def back() -> None:
            self._settle("")
            self._before, self._context, self._fixed = state

        return back

    def settle(self) -> None:
        """Emit what came so far: something that is no text follows, or nothing."""
        self._settle("")

    def _before_anything(self, head: str) -> tuple[int, ...]:
        """Ids of `head` that stay what they are before some beginning of an answer."""
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
        """Emit what `ids` have beyond what is settled, part by part."""
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
    """How many ids two sequences begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
