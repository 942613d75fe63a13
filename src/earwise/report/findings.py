"""What a study shows and does not show, in words: each claim of the paper beside this run's numbers.

Nothing here is chosen by hand: a difference whose 95 % interval includes 0 is "not shown", whatever its sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwise.evaluate.estimates import MEAN
from earwise.evaluate.published import MMALIGN
from earwise.report.grids import benchmark_label
from earwise.report.paper_tables import compared, paper_columns, typed_model
from earwise.report.printed import best_alphas, wins
from earwise.report.study import Regime, Study, Training
from earwise.report.summary import Comparison, Summary, ViewScore
from earwise.report.words import SPACE, interval, model_label, number, p_phrase, percent

FEW_SEEDS = 5
"""With fewer seeds, no interval over training runs is reported."""


TOLD_INVALID = 0.05
"""From this share on, unparsed answers are reported beside the share of yes, because they lower it."""


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and the sentences of this run about it."""

    paper: str
    here: tuple[str, ...]


def claims(summary: Summary, study: Study, attention: Sequence[str]) -> tuple[Claim, ...]:
    """The paper's claims that this run has numbers for; `attention` are the answers of the attention analysis."""
    above, total = wins(3)
    relation, attribute = (wins(4, name)[0] for name in MMALIGN)
    alphas = " and ".join(f"{alpha:g}" for alpha in dict.fromkeys(alpha for _, alpha in best_alphas()))
    found = (
        Claim("Spoken questions are answered worse than typed questions.", _gaps(summary, study)),
        Claim("Spoken questions get more “yes” answers than are true.", _yes(summary, study)),
        Claim(
            f"Self-KD (alpha 1) answers spoken questions better than SFT for {above} of {total} bases.",
            _differences(summary, study, (paper_columns(summary)[0],), ours=False),
        ),
        Claim(f"Among five values of alpha, {alphas} is best (two bases).", _alphas(summary, study)),
        Claim(
            f"On MMAlign, Self-KD is above SFT on relations for {relation} of {total} bases, and on attributes for "
            f"{attribute}.",
            _differences(summary, study, [name for name in MMALIGN if name in summary.benchmarks], ours=False),
        ),
        Claim(
            "Attention from query to picture after Self-KD is closer to the typed view than after SFT.",
            tuple(attention) or ("Not measured in this run: its recipe has no table [attention].",),
        ),
        Claim(
            "Not in the paper: our own terms.",
            _differences(summary, study, (paper_columns(summary)[0],), ours=True),
        ),
    )
    return tuple(claim for claim in found if claim.here)


def difference_sentence(one: Comparison, a: str, b: str) -> str:
    """`Self-KD, alpha 1 is above SFT by 3.2 points (...)`, or that no difference is shown."""
    parts = [f"95{SPACE}% interval {interval(one.ci95)}", p_phrase(one.p), f"n{SPACE}={SPACE}{one.n:,}"]
    if len(one.each_seed) > 1:
        parts.append("by seed " + ", ".join(number(seed.value, signed=True) for seed in one.each_seed))
    told = ", ".join(part for part in parts if part)
    if not one.shown:
        return f"no difference between {a} and {b} is shown: {number(one.value, signed=True)} points ({told})"
    return f"{a} is {'above' if one.value > 0 else 'below'} {b} by {number(abs(one.value))} points ({told})"


def _gaps(summary: Summary, study: Study) -> tuple[str, ...]:
    name = paper_columns(summary)[0]
    told = []
    for model in (*study.starts, *(t.name for r in study.regimes for t in (r.sft, r.self_kd) if t)):
        result = summary.models.get(model, {}).get(name)
        if result and result.gap and result.gap.ci95:
            low, high = result.gap.ci95
            verdict = "shown here" if low > 0 else "not shown" if high >= 0 else "the reverse is shown"
            told.append(
                f"{study.label(model)}: gap {number(result.gap.value)} points ({interval(result.gap.ci95)}), {verdict}."
            )
    return tuple(told)


def _yes(summary: Summary, study: Study) -> tuple[str, ...]:
    told = []
    models = (*study.starts, *(t.name for r in study.regimes for t in (r.sft, r.self_kd) if t))
    for name in summary.benchmarks:
        for model in models:
            result = summary.models.get(model, {}).get(name)
            spoken = result.views.get(summary.pair.speech) if result else None
            if result and result.yes_truth and spoken and spoken.yes_rate is not None:
                said = f"{percent(spoken.yes_rate)} yes on spoken questions, {percent(result.yes_truth.share)} true"
                if spoken.invalid_rate and spoken.invalid_rate >= TOLD_INVALID:
                    said += f", {percent(spoken.invalid_rate)} of the answers say neither yes nor no"
                where = f"{benchmark_label(name)}, {study.label(model)}"
                told.append(f"{where}: {said}: {_against(spoken, result.yes_truth.share)}.")
    return tuple(told)


def _against(spoken: ViewScore, truth: float) -> str:
    if spoken.yes_ci95 is None:
        return "no interval"
    low, high = spoken.yes_ci95
    ends = f"{percent(low)} to {percent(high)}"
    return f"more ({ends})" if low > truth else f"less ({ends})" if high < truth else f"no difference shown ({ends})"


def _differences(summary: Summary, study: Study, names: Sequence[str], *, ours: bool) -> tuple[str, ...]:
    """SFT against Self-KD, or against objectives that are not in the paper, per benchmark and regime."""
    told = []
    for regime in study.regimes:
        ones: tuple[Training, ...] = regime.others if ours else (regime.self_kd,) if regime.self_kd else ()
        for one in ones:
            for name in names:
                found = compared(summary, one.name, regime.sft.name, name) if regime.sft else None
                if found and regime.sft:
                    sentence = difference_sentence(found, one.label, regime.sft.label)
                    told.append(f"{_where(study, regime, name)}{sentence}.")
    return tuple(told)


def _where(study: Study, regime: Regime, name: str) -> str:
    parts = [benchmark_label(name)] if name != MEAN else []
    parts += [regime.label] if len(study.regimes) > 1 else []
    return f"{', '.join(parts)}: " if parts else ""


def _alphas(summary: Summary, study: Study) -> tuple[str, ...]:
    name = paper_columns(summary)[0]
    told = []
    for regime in study.regimes:
        scores = {}
        for training in regime.alphas:
            result = summary.models[training.name].get(name)
            score = result.views.get(summary.pair.speech) if result else None
            if score:
                scores[training] = score
        if len(scores) > 2:
            told.append(f"{_where(study, regime, MEAN)}{_best_alpha(summary, regime, name, scores)}")
    return tuple(told)


def _best_alpha(summary: Summary, regime: Regime, name: str, scores: dict[Training, ViewScore]) -> str:
    best = max(scores, key=lambda training: scores[training].score)
    top = scores[best].ci95
    close = [t for t in scores if t != best and (end := scores[t].ci95) and top and end[1] >= top[0]]
    text = f"alpha {best.alpha:g} has the highest score, {number(scores[best].score)}"
    if close:
        text += f"; its interval and those of alpha {', '.join(f'{t.alpha:g}' for t in close)} overlap"
        text += ", so the best one is not shown" if len(close) > 1 or close[0].alpha else ""
    pairs = [(t, compared(summary, t.name, regime.sft.name, name)) for t in scores if regime.sft and t != regime.sft]
    better = [f"{t.alpha:g}" for t, one in pairs if one and one.shown and one.value > 0]
    worse = [f"{t.alpha:g}" for t, one in pairs if one and one.shown and one.value < 0]
    if pairs:
        text += f". Above SFT in the paired comparison: alpha {', '.join(better)}" if better else ". None is above SFT"
        text += f"; below: alpha {', '.join(worse)}" if worse else ""
    return text + "."


def limits(summary: Summary, study: Study) -> tuple[str, ...]:
    """What the numbers of this run do not show."""
    told = []
    if study.laboratory:
        told.append(
            "Pictures, questions, voices and models are the laboratory's. Its benchmarks have the names, file formats "
            "and scoring rules of the public benchmarks, but not their questions. Scores cannot be compared with "
            "printed scores; only directions can."
        )
    seeds = len(summary.all_seeds)
    if seeds < 2:
        told.append("With one seed, the variation between training runs is not known. Intervals are over items only.")
    else:
        few = f" {seeds} seeds are too few for an interval over training runs." if seeds < FEW_SEEDS else ""
        told.append(f"Intervals are over items and of the mean of {seeds} seeds; each seed's number is below it.{few}")
    told.append("“No difference shown” does not mean no difference: the interval says how large it may be.")
    if summary.comparisons:
        count = len(summary.comparisons)
        told.append(f"{count} paired comparisons without correction: by chance, one interval in twenty excludes 0.")
    if any(len(regime.alphas) > 2 for regime in study.regimes):
        told.append("Values of alpha are compared on the reported items, so the score of the best value is optimistic.")
    scores = (v for results in summary.models.values() for result in results.values() for v in result.views.values())
    if any(score.ci95 and score.ci95[0] == score.ci95[1] for score in scores):
        told.append("If all answers are right, or all wrong, the interval has no width. This is no certainty.")
    told += _coverage(summary, study)
    return tuple(told)


def _coverage(summary: Summary, study: Study) -> list[str]:
    """What the average leaves out, and what holds by construction."""
    told = []
    mean = summary.on(MEAN).get(typed_model(summary, study))
    if mean is not None:
        names = ", ".join(benchmark_label(name) for name in mean.columns)
        told.append(f"The mean is the plain mean of {names}; the paper's mean is over eight benchmarks.")
    typed = {
        result.views[summary.pair.text].score
        for result in summary.on(paper_columns(summary)[0]).values()
        if summary.pair.text in result.views
    }
    if len(typed) == 1 and len(summary.models) > 1:
        base = model_label(typed_model(summary, study))
        told.append(
            f"Every model has the typed score of {base}, because training leaves the language model unchanged. "
            "This score says nothing about forgetting."
        )
    return told
