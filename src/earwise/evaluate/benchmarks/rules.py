"""Rules shared by several benchmarks, and those that the user's own benchmarks may choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from earwise.evaluate import anls, choice_kits, exact, multiple_choice, quantities, relaxed, vqa, yes_no
from earwise.evaluate.benchmarks.benchmark import Rules
from earwise.evaluate.reading import Scorer

PROFILES: Final = ("strict", "vlmevalkit", "lmms_eval", "official")

CHOICE: Final[Mapping[str, Scorer]] = {
    "strict": multiple_choice.scorer(multiple_choice.parse_strict),
    "vlmevalkit": choice_kits.score_vlmevalkit,
    "lmms_eval": choice_kits.score_lmms_eval,
}
YES_NO: Final[Mapping[str, Scorer]] = {
    "strict": yes_no.scorer(yes_no.parse_strict),
    "vlmevalkit": yes_no.scorer(yes_no.parse_vlmevalkit),
    "lmms_eval": yes_no.scorer(yes_no.parse_lmms_eval),
    "official": yes_no.scorer(yes_no.parse_official),
}
VQA: Final[Mapping[str, Scorer]] = {
    "strict": vqa.accuracy_strict,
    "vlmevalkit": vqa.accuracy_vlmevalkit,
    "lmms_eval": vqa.accuracy_evalai,
    "official": vqa.accuracy_evalai,
}
RELAXED: Final[Mapping[str, Scorer]] = {
    "strict": relaxed.relaxed_strict,
    "vlmevalkit": relaxed.relaxed_vlmevalkit,
    "lmms_eval": relaxed.relaxed_as_given,
    "official": relaxed.relaxed_as_given,
}
ANLS: Final[Mapping[str, Scorer]] = {
    "strict": anls.anls_strict,
    "vlmevalkit": anls.anls_kits,
    "lmms_eval": anls.anls_kits,
    "official": anls.anls_kits,
}

EXACT: Final = Rules("exact", dict.fromkeys(PROFILES, exact.exact), ours=True)
TRANSCRIPT: Final = Rules("transcript", dict.fromkeys(PROFILES, exact.word_accuracy), ours=True)

OWN: Final[Mapping[str, Rules]] = {
    rules.name: rules
    for rules in (
        EXACT,
        Rules("contains", dict.fromkeys(PROFILES, exact.contains), ours=True),
        Rules("choice", CHOICE),
        Rules("yes_no", YES_NO),
        Rules("anls", ANLS),
        Rules("vqa", VQA),
        Rules("relaxed", RELAXED),
        Rules("number", dict.fromkeys(PROFILES, quantities.number), ours=True),
    )
}
"""The value of `scoring` in `[evaluate.own.NAME]` -> the rules."""
