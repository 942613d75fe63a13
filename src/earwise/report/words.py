"""Numbers and results in words: labels, formats, and the verdict that opens the page.

The verdict is computed, never chosen: a difference whose 95 % interval includes 0 is called "no difference shown".
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from earwise.report.markup import element
from earwise.report.summary import Comparison, GapScore, Interval, SeedDifference, Summary
from earwise.views import SPOKEN_VIEWS

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
"""Separates a number from its unit, so that no line breaks between them."""
ARROW = " \N{RIGHTWARDS ARROW} "
MODEL_LABELS = {"aligned": "aligned", "sft": "SFT", "self_kd": "Self-KD", "self_kd_layers": "Self-KD + layers"}
VIEW_LABELS = {
    "image_text": ("Typed", "picture, typed question"),
    "image_spoken_form": ("Spoken form", "picture, spoken form of the question, typed"),
    "image_speech": ("Spoken", "picture, spoken question"),
    "image_transcript": ("Transcript", "picture, transcript of the question"),
    "transcript_only": ("Transcript", "transcript of the question"),
    "video_text": ("Silent video", "video without sound, typed question"),
    "video_speech": ("Silent video, spoken", "video without sound, spoken question"),
    "sound_text": ("Sound", "sound, typed question"),
    "description_text": ("Description", "the sound in words, typed question"),
    "speech_only": ("Speech only", "the question alone, spoken"),
    "text_only": ("Text only", "the question alone, typed"),
    "sound_off": ("Sound off", "control: silence"),
    "sound_swapped": ("Sound swapped", "control: sound of another item"),
}
STEP_LABELS = {
    "normalisation": ("Normalisation", "typed \N{MINUS SIGN} spoken form"),
    "hearing": ("Hearing", "spoken form \N{MINUS SIGN} spoken"),
}
MOST_NAMED = 6
"""With more models, the headline names only the first and the best."""
MOST_NOTES = 5


def model_label(name: str) -> str:
    """A model's name as people write it; an unknown name stays as it is."""
    return MODEL_LABELS.get(name, name)


def view_label(view: str) -> str:
    """A view's short name."""
    return VIEW_LABELS.get(view, (view, ""))[0]


def view_note(view: str) -> str:
    """Input of a model under a view."""
    return VIEW_LABELS.get(view, (view, ""))[1]


def step_label(step: str) -> str:
    """The short name of a step of the gap."""
    return STEP_LABELS.get(step, (step, ""))[0]


def step_note(step: str) -> str:
    """The two views of a step of the gap."""
    return STEP_LABELS.get(step, (step, ""))[1]


def number(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """`12.3`, with a true minus sign; `signed` writes the plus too; None is an en dash."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    # A value that rounds to zero has no sign: "-0.0" would claim a direction.
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def interval(ci95: Interval | None) -> str:
    """`9.8 to 14.2`: words rather than a dash, which reads as a minus beside negative numbers."""
    return "" if ci95 is None else f"{number(ci95[0])} to {number(ci95[1])}"


def seed_difference(one: SeedDifference) -> str:
    """`seed 0: +1.2 (0.1 to 2.3)`."""
    return f"seed {one.seed}: {number(one.value, signed=True)} ({interval(one.ci95)})"


def unbroken(text: str) -> Markup:
    """Escaped text whose words with a hyphen, such as Self-KD, stay on one line."""
    words = (element("span", {"class": "whole"}, w) if "-" in w[:-1] else escape(w) for w in text.split(" "))
    return Markup(" ").join(words)


def percent(share: float | None) -> str:
    """A share from 0 to 1 as `1.2 %`."""
    return number(None) if share is None else f"{number(100 * share)}{SPACE}%"


def p_value(p: float | None) -> str:
    """`< 0.001` below a thousandth, else three decimals; None is an en dash."""
    if p is None:
        return number(None)
    return f"<{SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def p_phrase(p: float | None) -> str:
    """`p < 0.001` or `p = 0.620`, for running text; empty without a p value."""
    text = p_value(p)
    return "" if p is None else f"p{SPACE}{text}" if text.startswith("<") else f"p{SPACE}={SPACE}{text}"


@dataclass(frozen=True)
class Verdict:
    """The result in words: a headline, then a sentence per main comparison."""

    headline: str
    notes: tuple[str, ...]


def verdict(summary: Summary) -> Verdict:
    """The verdict, computed from the main benchmark under the view of comparison (else its first view)."""
    views = summary.views(summary.main)
    if not views:
        return Verdict("No model has been scored.", ())
    view = summary.compared_view if summary.compared_view in views else views[0]
    relevant = [c for c in summary.comparisons if c.benchmark == summary.main and c.view == view]
    sentences = [_scores_line(summary, view)]
    if view == summary.pair.speech and summary.speaks:
        sentences.append(_gap_line(summary, relevant))
    notes = [comparison_sentence(c) for c in relevant[:MOST_NOTES]]
    if len(relevant) > MOST_NOTES:
        notes.append(f"{len(relevant) - MOST_NOTES} more comparisons are in the table below.")
    return Verdict(" ".join(s for s in sentences if s), tuple(notes))


def comparison_sentence(c: Comparison) -> str:
    """One paired comparison as a sentence that says plainly when nothing is shown."""
    a, b = model_label(c.a), model_label(c.b)
    tail = ", ".join(part for part in (p_phrase(c.p), f"n{SPACE}={SPACE}{c.n:,}") if part)
    if not c.shown:
        points = f"{number(c.value, signed=True)} points, and the 95{SPACE}% interval ({interval(c.ci95)}) includes 0"
        return f"No difference shown between {a} and {b}: {points} ({tail})."
    verb = "beats" if c.value > 0 else "is worse than"
    return f"{a} {verb} {b} by {number(abs(c.value))} points (95{SPACE}% interval {interval(c.ci95)}, {tail})."


def _scores_line(summary: Summary, view: str) -> str:
    scores = {m: r.views[view].score for m, r in summary.on(summary.main).items() if view in r.views}
    names = list(scores)
    if len(names) > MOST_NAMED:
        best = max(names, key=lambda name: scores[name])
        names = list(dict.fromkeys((names[0], best)))
    text, speech = summary.pair
    subject = "Spoken questions" if view in SPOKEN_VIEWS else f"{view_label(view)} view"
    line = f"{subject}: " + ARROW.join(f"{model_label(name)} {number(scores[name])}" for name in names)
    if len(names) < len(scores):
        line += f" (best of {len(scores)} models)"
    typed = [r.views[text].score for r in summary.on(summary.main).values() if text in r.views]
    if view != speech or not typed:
        return line + "."
    low, high = number(min(typed)), number(max(typed))
    named = f"{line}; {view_label(text).lower()}"
    return f"{named} {low}." if low == high else f"{named} {low} to {high}."


def _gap_line(summary: Summary, relevant: list[Comparison]) -> str:
    gaps = {model: result.gap for model, result in summary.on(summary.main).items() if result.gap}
    if not gaps:
        return ""
    first, best = next(iter(gaps)), min(gaps, key=lambda model: gaps[model].value)
    if len(gaps) == 1:
        return f"The gap is {number(gaps[first].value)} points{_rest(gaps[first])}."
    if best == first:
        return f"No other model has a smaller gap than {model_label(first)} ({number(gaps[first].value)} points)."
    if not _differ(gaps[first], gaps[best], [c for c in relevant if {c.a, c.b} == {first, best}]):
        return (
            f"The gap is {number(gaps[first].value)} points for {model_label(first)} and {number(gaps[best].value)} "
            f"for {model_label(best)}; the data do not show that it closes."
        )
    return f"The gap closes from {number(gaps[first].value)} to {number(gaps[best].value)} points{_rest(gaps[best])}."


def _differ(first: GapScore, best: GapScore, paired: list[Comparison]) -> bool:
    """Whether two gaps differ: by the paired comparison if there is one, else by disjoint intervals."""
    if paired:
        return any(c.shown for c in paired)
    return not (first.ci95 and best.ci95) or best.ci95[1] < first.ci95[0]


def _rest(gap: GapScore) -> str:
    """The interval of a remaining gap, and whether it includes 0."""
    if gap.ci95 is None:
        return ""
    low, high = gap.ci95
    words = f" (95{SPACE}% interval {interval(gap.ci95)}"
    if low <= 0 <= high:
        return words + ", which includes 0)"
    return words + (": spoken questions score higher)" if high < 0 else ")")
