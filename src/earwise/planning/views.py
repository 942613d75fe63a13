"""Two views of one item side by side, token by token, within 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, zip_longest
from typing import Final

from rich.text import Text
from transformers import PreTrainedTokenizerBase

from earwise.io.messages import counted
from earwise.models.layout import AUDIO_ID, Layout, Role, Span

COLUMN: Final = 48
BETWEEN: Final = " │ "
LONGEST: Final = 8
"""Maximum lines of a span; longer spans are cut with a note."""
_RUN: Final = 3
"""At least this many equal tokens in a row are shown as one token with their number."""
_STYLES: Final[dict[Role, str]] = {
    "system": "dim",
    "image": "green",
    "sound": "magenta",
    "description": "blue",
    "query": "yellow",
    "template": "dim",
    "response": "cyan",
}


def side_by_side(
    left: Layout, right: Layout | None, titles: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> list[Text]:
    """Lines with the spans of one or two layouts: `[role start:stop]`, then its tokens between bars."""
    lines = [_beside(Text(titles[0], style="bold"), Text(titles[1] if right else "", style="bold"))]
    for one, other in zip_longest(left.spans, right.spans if right else ()):
        cells = zip_longest(
            _cell(left, one, tokenizer) if one else (),
            _cell(right, other, tokenizer) if right and other else (),
            fillvalue=Text(""),
        )
        lines += [_beside(*cell) for cell in cells]
    return lines


def _beside(left: Text, right: Text) -> Text:
    line = left.copy()
    line.pad_right(max(0, COLUMN - line.cell_len))
    line.append(BETWEEN, style="dim")
    line.append_text(right)
    line.rstrip()
    return line


def _cell(layout: Layout, span: Span, tokenizer: PreTrainedTokenizerBase) -> list[Text]:
    style = _STYLES[span.role]
    lines = _wrapped(_pieces(layout.ids[span.start : span.stop], tokenizer))
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 1], f"... {counted(len(lines) - LONGEST + 1, 'more line')}"]
    return [
        Text(f"[{span.role} {span.start}:{span.stop}]", style=f"bold {style}"),
        *(Text(x, style=style) for x in lines),
    ]


def _pieces(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Each token as text; a run of equal tokens as one."""
    pieces = []
    for token, run in groupby(ids):
        count = len(list(run))
        text = "<speech>" if token == AUDIO_ID else _visible(str(tokenizer.decode([token])))
        pieces += [f"{text} x {count}"] if count >= _RUN else [text] * count
    return pieces


def _visible(text: str) -> str:
    """A token's text without characters that would break the line."""
    shown = text.replace("\n", "\\n").replace("\t", "\\t")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)


def _wrapped(pieces: Sequence[str]) -> list[str]:
    """Pieces between bars, in lines of at most `COLUMN` columns."""
    lines, line = [], "|"
    for piece in pieces:
        shown = piece if len(piece) <= COLUMN - 2 else piece[: COLUMN - 5] + "..."
        if len(line) + len(shown) + 1 > COLUMN:
            lines.append(line)
            line = "|"
        line += f"{shown}|"
    return [*lines, line] if line != "|" else lines
