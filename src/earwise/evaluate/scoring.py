"""One scorer for every view: a benchmark's rule, in one of four profiles, applied to one answer.

Profiles: `strict` is the official definition (where a definition leaves the reading of free text open, a documented
rule of ours); `vlmevalkit` and `lmms_eval` give what these kits give without a judge and without random options;
`official` is bug-compatible with the released script. A profile is missing where nothing of that name can be computed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from earwise.errors import InputError
from earwise.evaluate import anls, audio_choice, choice_kits, exact, labels, multiple_choice, relaxed, vqa, yes_no
from earwise.evaluate.reading import READERS, Reader, Scorer, reading

PROFILES: Final = ("strict", "vlmevalkit", "lmms_eval", "official")

_CHOICE: Final[Mapping[str, Scorer]] = {
    "strict": multiple_choice.scorer(multiple_choice.parse_strict),
    "vlmevalkit": choice_kits.score_vlmevalkit,
    "lmms_eval": choice_kits.score_lmms_eval,
}
_ANLS: Final[Mapping[str, Scorer]] = {
    "strict": anls.anls_strict,
    "vlmevalkit": anls.anls_kits,
    "lmms_eval": anls.anls_kits,
    "official": anls.anls_kits,
}

_RULES: Final[Mapping[str, Mapping[str, Scorer]]] = {
    "mme": {
        "strict": yes_no.scorer(yes_no.parse_strict),
        "vlmevalkit": yes_no.scorer(yes_no.parse_vlmevalkit),
        "lmms_eval": yes_no.scorer(yes_no.parse_lmms_eval),
        "official": yes_no.scorer(yes_no.parse_official),
    },
    # The released HallusionBench script and lmms-eval ask GPT-4: nothing to compute here.
    "hallusionbench": {
        "strict": yes_no.scorer(yes_no.parse_strict),
        "vlmevalkit": yes_no.scorer(yes_no.parse_vlmevalkit),
    },
    "realworldqa": _CHOICE,
    "mmalign": _CHOICE,
    "textvqa": {
        "strict": vqa.accuracy_strict,
        "vlmevalkit": vqa.accuracy_vlmevalkit,
        "lmms_eval": vqa.accuracy_evalai,
        "official": vqa.accuracy_evalai,
    },
    "chartqa": {
        "strict": relaxed.relaxed_strict,
        "vlmevalkit": relaxed.relaxed_vlmevalkit,
        "lmms_eval": relaxed.relaxed_as_given,
        "official": relaxed.relaxed_as_given,
    },
    "docvqa": _ANLS,
    "infovqa": _ANLS,
    # VLMEvalKit has none of the following. The released scripts of the last four score logits, not text.
    "mmau": {
        "strict": audio_choice.strict,
        "lmms_eval": audio_choice.lmms_eval_mmau,
        "official": audio_choice.official,
    },
    "mmar": {
        "strict": audio_choice.strict,
        "lmms_eval": audio_choice.lmms_eval_mmar,
        "official": audio_choice.official,
    },
    "avqa": {"strict": audio_choice.strict_index},
    "music_avqa": {"strict": labels.music_avqa},
    "meld": {"strict": labels.emotion(labels.MELD)},
    "iemocap": {"strict": labels.emotion(labels.IEMOCAP)},
    "exact": dict.fromkeys(PROFILES, exact.exact),
    "transcript": dict.fromkeys(PROFILES, exact.word_accuracy),
}
"""Benchmark -> profile -> what scores an answer."""

OWN: Final = frozenset({"exact", "transcript"})
"""Rules of earwise that no kit has: an output is read as in `strict` under every profile."""


def _reader(benchmark: str, profile: str) -> Reader:
    return READERS["strict" if benchmark in OWN else profile]


SCORERS: Final[Mapping[str, Mapping[str, Scorer]]] = {
    benchmark: {profile: reading(_reader(benchmark, profile), rule) for profile, rule in rules.items()}
    for benchmark, rules in _RULES.items()
}
"""Benchmark -> profile -> what scores an output: it is read (`reading`), then scored."""

SPLITS: Final[Mapping[str, str]] = {
    "chartqa_human": "chartqa",
    "chartqa_augmented": "chartqa",
    "mmalign_relation": "mmalign",
    "mmalign_attribute": "mmalign",
    "mmau_sound": "mmau",
    "mmau_music": "mmau",
    "mmau_speech": "mmau",
}
"""Benchmarks that are parts of another one and share its scorers."""


def score(
    benchmark: str,
    gold: str | Sequence[str],
    prediction: str,
    choices: Sequence[str] | None = None,
    profile: str = "strict",
) -> float | None:
    """Score one output: a value in [0, 1], or None if it could not be parsed (counts as wrong and is reported).

    `prediction` is all that a model wrote: reasoning and answer tags are read as the profile does (`reading`).
    `benchmark` is a key of `SCORERS` or `SPLITS`. `gold` is one answer or all accepted ones (TextVQA: one per
    annotator); with `choices` it is a letter or the text of a choice, for AVQA also its place from 0. Open answers are
    None only where nothing is answered (`<think>` that never ends): what is said is the answer.
    Raises `InputError` for an unknown benchmark or profile, naming the nearest, and for an impossible gold answer.
    """
    golds = (gold,) if isinstance(gold, str) else gold
    if not golds:
        raise InputError("no gold answer", record=benchmark)
    return find_scorer(benchmark, profile)(golds, prediction, choices or ())


def find_scorer(benchmark: str, profile: str = "strict") -> Scorer:
    """The scorer behind `score`, for many answers; raises `InputError` for an unknown benchmark or profile."""
    profiles = SCORERS.get(SPLITS.get(benchmark, benchmark))
    if profiles is None:
        raise _unknown("benchmark", benchmark, (*SCORERS, *SPLITS))
    if profile not in PROFILES:
        raise _unknown("profile", profile, PROFILES)
    if profile not in profiles:
        remedy = f"profiles of {benchmark}: {', '.join(profiles)}"
        raise InputError(f"{benchmark} has no profile {profile!r} that needs no judge", remedy=remedy)
    return profiles[profile]


def read(benchmark: str, prediction: str, profile: str = "strict") -> str | None:
    """The answer that `score` takes from an output; None if there is none."""
    return _reader(SPLITS.get(benchmark, benchmark), profile)(prediction)


def _unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
    return InputError(f"unknown {what} {name!r}", remedy=remedy)
