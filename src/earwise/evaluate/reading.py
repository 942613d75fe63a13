"""What of a model's output is its answer: one reading per profile, used wherever an output is scored.

| profile | reasoning | `<answer>` | blanks around |
|---|---|---|---|
| `strict` | taken out | its text is the answer | taken off |
| `lmms_eval` | taken out, also `<analysis>` (the kit's default) | stays | taken off |
| `vlmevalkit` | all before `</think>` goes (the kit's `SPLIT_THINK=1`) | stays | taken off only with reasoning |
| `official` | stays | stays | stay |

The released scripts and both kits know no `<answer>`: they score the tags with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from earwise.traces.format import said

Reader = Callable[[str], str | None]
"""Of an output; gives the answer in it, or None if there is none."""
Scorer = Callable[[Sequence[str], str, Sequence[str]], float | None]
"""Of gold answers, prediction and choices; gives a score in [0, 1], or None if the answer could not be parsed."""

_LMMS_EVAL_TAGS: Final = ("think", "analysis")


def read_vlmevalkit(output: str) -> str:
    """VLMEvalKit's `split_thinking`: what stands after the last `</think>`, stripped; else the output as it is."""
    _, thought, rest = output.rpartition("</think>")
    return rest.strip() if thought else output


def read_lmms_eval(output: str) -> str:
    """lmms-eval's `strip_reasoning_tags`: blocks go; a closing tag alone takes with it all that stands before it."""
    for tag in _LMMS_EVAL_TAGS:
        opening, closing = f"<{tag}>", f"</{tag}>"
        while (start := output.find(opening)) >= 0 and (end := output.find(closing, start)) >= 0:
            output = output[:start] + output[end + len(closing) :]
        if opening not in output:
            output = output.rpartition(closing)[2]
    return output.strip()


def read_official(output: str) -> str:
    """The released scripts take an output as it is."""
    return output


READERS: Final[Mapping[str, Reader]] = {
    "strict": said,
    "vlmevalkit": read_vlmevalkit,
    "lmms_eval": read_lmms_eval,
    "official": read_official,
}
"""Profile -> reader."""


def reading(reader: Reader, rule: Scorer) -> Scorer:
    """`rule` on outputs: it scores what `reader` finds; an output without an answer is None."""

    def score_output(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        answer = reader(prediction)
        return None if answer is None else rule(golds, answer, choices)

    return score_output
