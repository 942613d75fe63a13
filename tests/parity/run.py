"""All families, variants and cases, and what they found as one table."""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import tiny_families

from parity.compare import FORMS, VARIANTS, Row, cases_of, checkpoint, compare, load

FAMILIES = ("internvl", "qwen2_vl", *tiny_families.PARTS)
LIMIT = 1e-5
"""Largest difference of a logit, over the largest logit, and of a loss, in float32."""
HALF = "bfloat16"
EXPLAINED = {
    ("qwen3_omni", "two spoken turns"): "Hugging Face fills up the shorter clip of a conversation with silence before "
    "it computes the spectrogram; here a clip's spectrogram does not depend on other clips",
}
"""Differences that have a reason, by family and case."""
HEAD = """# Beside Hugging Face

`make parity` gives the same conversations to earwise and to Hugging Face: the published processor, a chat template
of the published style, `model()` and `generate()` of transformers. The checkpoints are tiny and random, of the real
architectures, with byte-level tokenizers. The cases: pictures of seven sizes and modes, three pictures, three turns
about one, sounds of 0.3 to 30 s and, where a family takes them, to 65 s, spoken turns, texts with odd characters. The
variants: a padded vocabulary and grouped key heads (as built), tied heads, one or all key heads, three layers, a
sharded checkpoint, bfloat16. Gemma 3 and Qwen3.5 have a layer with a sliding window or a recurrent state. `make test`
runs a short form of it.

Ids are those of prompt and whole conversation. Logits and losses are those of the response tokens; a difference of
logits is given over the largest logit. Answers are greedy, of 8 tokens: alone, and in one ragged batch of all cases of
a view. The frames of a video are shown as pictures on both sides. Voxtral's processor reads only Mistral's own
tokenizer format; its extractor and its count of placeholders are used instead. In bfloat16, Qwen2-Audio's own loss is a
sum in bfloat16, and the loss here is one in float32.
"""


def rows_of(folder: Path, families: Iterable[str] = FAMILIES, *, short: bool) -> Iterator[Row]:
    """Every case of the families; with `short` few of them and no variants."""
    media = folder / "media"
    media.mkdir(exist_ok=True)
    for family in families:
        for variant, (changes, form) in _variants(short=short).items():
            model = load(checkpoint(folder / f"{family} {variant}", family, changes, form), family, form)
            yield from compare(family, variant, model, cases_of(family, media, short=short or variant != "as built"))


def _variants(*, short: bool) -> dict[str, tuple[dict, str]]:
    built = {name: (changes, "") for name, changes in VARIANTS.items()} | {form: ({}, form) for form in FORMS}
    return {"as built": built["as built"]} if short else built


def is_equal(row: Row) -> bool:
    """Whether nothing differs; in half precision, sums in another order may, by what rounding allows."""
    if row.variant == HALF:
        return row.same_ids and row.logits <= 0.02
    return row.same_ids and row.logits <= LIMIT and row.loss <= LIMIT and all(row.answers)


def unexplained(rows: Iterable[Row]) -> list[Row]:
    """Rows with a difference that has no reason."""
    return [row for row in rows if not is_equal(row) and (row.family, row.case) not in EXPLAINED]


def page(rows: list[Row], made: str) -> str:
    """Markdown."""
    lines = [HEAD, f"Made by {made}:\n{len(rows)} cases, {len(unexplained(rows))} unexplained.\n"]
    for title, chosen in (
        ("float32", [row for row in rows if row.variant != HALF]),
        (HALF, [row for row in rows if row.variant == HALF]),
    ):
        lines += [f"## {title}\n", "| family | cases | same ids | logits | loss | answers alone | in a batch |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [_line(family, list(group)) for family, group in groupby(chosen, lambda row: row.family)]
        lines.append("")
    lines += ["## Differences\n", *_differences(rows)]
    return "\n".join(lines) + "\n"


def _line(family: str, rows: list[Row]) -> str:
    equal = [
        f"{sum(values)} of {len(rows)}"
        for values in ([row.same_ids for row in rows], *([row.answers[n] for row in rows] for n in (0, 1)))
    ]
    logits, loss = (max((v for v in values if not math.isnan(v)), default=math.nan) for values in
                    ([row.logits for row in rows], [row.loss for row in rows]))  # fmt: skip
    return f"| `{family}` | {len(rows)} | {equal[0]} | {logits:.1e} | {loss:.1e} | {equal[1]} | {equal[2]} |"


def _differences(rows: list[Row]) -> list[str]:
    found = []
    for row in rows:
        if not is_equal(row):
            why = EXPLAINED.get((row.family, row.case), "unexplained")
            found.append(f"- `{row.family}`, {row.variant}, {row.case}: logits {row.logits:.1e}. {why}.")
    return found or ["None."]
