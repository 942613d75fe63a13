"""Which part of a model's output is its answer. Each profile has one rule, used for all scoring.

| profile | reasoning | `<answer>` | outer blanks |
|---|---|---|---|
| `strict` | removed | its text is the answer | removed |
| `lmms_eval` | removed, also `<analysis>` (the kit's default) | stays | removed |
| `vlmevalkit` | all before `</think>` removed (the kit's `SPLIT_THINK=1`) | stays | removed only with reasoning |
| `official` | stays | stays | stay |

The released scripts and both kits do not know `<answer>`: they score the tags with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from earwise.traces.format import said

Reader = Callable[[str], str | None]
"""From an output to the answer in it, or None if there is none."""
Scorer = Callable[[Sequence[str], str, Sequence[str]], float | None]
"""From gold answers, prediction and choices to a score in [0, 1], or None for an unparsed answer."""

_LMMS_EVAL_TAGS: Final = ("think", "analysis")


def read_vlmevalkit(output: str) -> str:
    """VLMEvalKit's `split_thinking`: the stripped text after the last `</think>`; without it, the whole output."""
    _, thought, rest = output.rpartition("</think>")
    return rest.strip() if thought else output


def read_lmms_eval(output: str) -> str:
    """lmms-eval's `strip_reasoning_tags`: removes blocks, and all before a closing tag without an opening one."""
    for tag in _LMMS_EVAL_TAGS:
        opening, closing = f"<{tag}>", f"</{tag}>"
        while (start := output.find(opening)) >= 0 and (end := output.find(closing, start)) >= 0:
            output = output[:start] + output[end + len(closing) :]
        if opening not in output:
            output = output.rpartition(closing)[2]
    return output.strip()


def read_official(output: str) -> str:
    """The whole output, as in the released scripts."""
    return output


READERS: Final[Mapping[str, Reader]] = {
    "strict": said,
    "vlmevalkit": read_vlmevalkit,
    "lmms_eval": read_lmms_eval,
    "official": read_official,
}
"""Profile -> reader."""


def reading(reader: Reader, rule: Scorer) -> Scorer:
    """`rule` applied to the answer that `reader` finds in an output; None if there is no answer."""

    def score_output(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        answer = reader(prediction)
        return None if answer is None else rule(golds, answer, choices)

    return score_output
