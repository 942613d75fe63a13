"""Results of a run on sounds: scores without the sound, faithfulness of reasoning, and filters of traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earwise.evaluate.sound import MAIN
from earwise.report.grids import Cell, Grid, GridGroup, GridRow, benchmark_label, count_cell, number_cell, score_cell
from earwise.report.sound_parts import ControlScore, FilterStep, Gain, PooledShare, TraceFilters
from earwise.report.summary import OVERALL, Interval, Summary
from earwise.report.words import SPACE, interval, model_label, number, percent, view_label, view_note

STEPS = {
    "all": "All",
    "well_formed": "Well-formed",
    "agreed": "Agreed",
    "verified": "Verified",
    "agreed_verified": "Agreed and verified",
    "complete": "Agreed, verified and complete",
}
LABELS_SHOWN = 5
"""Number of answers shown of a label histogram, most frequent first."""


@dataclass(frozen=True)
class SoundSection:
    """Every model's score beside its controls, with sentences on scores that do not depend on the sound."""

    sentences: tuple[str, ...]
    grid: Grid


@dataclass(frozen=True)
class TraceSection:
    """The traces after each filter, and the checker in words."""

    sentences: tuple[str, ...]
    grid: Grid


def sound_section(summary: Summary) -> SoundSection | None:
    """The section on controls; None for a run without sounds."""
    names = _benchmarks(summary, [name for results in summary.sound.values() for name in results])
    if not names:
        return None
    controls = tuple(dict.fromkeys(c for r in summary.sound.values() for cells in r.values() for c in cells))
    groups = []
    for name in names:
        rows = []
        for model, cells in _on(summary, name).items():
            result = summary.models[model][name]
            each = (_control_cell(cells.get(control)) for control in controls)
            row = (score_cell(result.views[MAIN]), *each, count_cell(result.n))
            rows.append(GridRow(model_label(model), row))
        groups.append(GridGroup(benchmark_label(name), tuple(rows)))
    columns = tuple((view_label(view), view_note(view)) for view in (MAIN, *controls))
    grid = Grid("Scores with and without the sound", "Model", (*columns, ("n", "items")), tuple(groups))
    told = tuple(line for name in names if name != OVERALL for line in _not_heard(summary, name))
    return SoundSection(told or ("Every score is lower under every control, so the models use the sound.",), grid)


def _on(summary: Summary, benchmark: str) -> dict[str, dict[str, ControlScore]]:
    return {model: results[benchmark] for model, results in summary.sound.items() if benchmark in results}


def _control_cell(one: ControlScore | None) -> Cell | None:
    if one is None:
        return None
    loss = number_cell(one.gap, one.ci95, one.by_seed)
    return Cell(number(one.score), (f"loss {loss.text}{'' if one.hears else ', not shown'}", *loss.small))


def _not_heard(summary: Summary, benchmark: str) -> list[str]:
    """Sentences on models whose score shows no loss without the sound: the best model first, then the others."""
    results = _on(summary, benchmark)
    lost = {model: [c for c, one in cells.items() if not one.hears] for model, cells in results.items()}
    best = max(results, key=lambda model: summary.models[model][benchmark].views[MAIN].score)
    label, told = benchmark_label(benchmark), []
    if lost[best]:
        told.append(f"{label} is answered equally well without its sound: {_no_loss(best, lost[best], results[best])}.")
    others = [
        _no_loss(model, controls, results[model]) for model, controls in lost.items() if controls and model != best
    ]
    if others:
        told.append(f"{label}, scores that do not depend on the sound: {'; '.join(others)}.")
    return told


def _no_loss(model: str, controls: Sequence[str], cells: Mapping[str, ControlScore]) -> str:
    """`no loss of SFT is shown under text only (+0.3 points, 95 % interval -1.0 to 1.6)`."""
    under = ", ".join(
        f"{view_label(control).lower()} ({number(cells[control].gap, signed=True)} points, "
        f"95{SPACE}% interval {interval(cells[control].ci95)})"
        for control in controls
    )
    return f"no loss of {model_label(model)} is shown under {under}"


def gains_grid(summary: Summary) -> Grid | None:
    """Each row of the ablation minus its baseline, on every benchmark; None without a baseline."""
    gains = summary.ablation_gains
    names = list(dict.fromkeys(name for row in gains.values() for name in row))
    if not names or summary.ablation_baseline is None:
        return None
    rows = []
    for row, found in gains.items():
        rows.append(GridRow(row, tuple(_gain_cell(found.get(name)) for name in names)))
    columns = tuple((benchmark_label(name), "points") for name in names)
    return Grid(f"Each setting minus {summary.ablation_baseline}", "Setting", columns, (GridGroup("", tuple(rows)),))


def _gain_cell(one: Gain | None) -> Cell | None:
    if one is None:
        return None
    cell = number_cell(one.value, one.ci95, one.by_seed, signed=True)
    return Cell(cell.text, (one.words, *cell.small))


def faithfulness_grid(summary: Summary) -> Grid | None:
    """Shares of true claims and chains of every model that reasons; None where none does."""
    names = _benchmarks(summary, [name for results in summary.faithfulness.values() for name in results])
    if not names:
        return None
    groups, unknown = [], 0
    for name in names:
        rows = []
        for model, results in summary.faithfulness.items():
            if name not in results:
                continue
            one = results[name]
            unknown += one.no_truth if name != OVERALL else 0
            shares = (one.reasons, one.true_chains, one.true_claims, one.complete_chains)
            chains = one.true_chains.n if one.true_chains else 0
            rows.append(GridRow(model_label(model), (*map(_share_cell, shares), count_cell(chains), count_cell(one.n))))
        groups.append(GridGroup(benchmark_label(name), tuple(rows)))
    columns = (
        ("Reasons", "% of answers"),
        ("True", "% of chains without a false claim"),
        ("True claims", "% of claims"),
        ("Complete", "% of chains without omission"),
        ("Chains", "over all seeds"),
        ("n", "items"),
    )
    notes = (f"{unknown:,} chains are about sounds without known truth; they are not judged.",) if unknown else ()
    return Grid("Faithfulness of reasoning", "Model", columns, tuple(groups), notes)


def faithfulness_gains_grid(summary: Summary) -> Grid | None:
    """Differences in true answers between models that reason; None for fewer than two models."""
    gains = summary.faithfulness_gains
    names = _benchmarks(summary, [name for others in gains.values() for found in others.values() for name in found])
    if not names:
        return None
    groups = []
    for model, others in gains.items():
        cells = {o: [one.points if (one := found.get(name)) else None for name in names] for o, found in others.items()}
        rows = tuple(
            GridRow(f"minus {model_label(other)}", tuple(map(_gain_cell, row))) for other, row in cells.items()
        )
        groups.append(GridGroup(model_label(model), rows))
    columns = tuple((benchmark_label(name), "points") for name in names)
    return Grid("Answers that reason without a false claim, compared", "Model", columns, tuple(groups))


def trace_section(summary: Summary) -> TraceSection | None:
    """The section on traces; None for a run without any."""
    traces = summary.traces
    if traces is None:
        return None
    rows = tuple(GridRow(STEPS.get(name, name), _step_cells(step)) for name, step in traces.steps.items())
    columns = (
        ("Traces", ""),
        ("Items", ""),
        ("Hallucinated", "% of chains with a false claim"),
        ("True claims", "% of claims"),
        ("Omitting", "% of chains with an omission"),
        ("Recall", "% of all true chains"),
        ("Gold answer", "% of traces"),
        ("Answers", "share of each"),
    )
    notes = []
    if traces.no_truth:
        notes.append(f"{traces.no_truth:,} chains are about sounds without known truth; they are not judged.")
    if any(step.labels and len(step.labels) > LABELS_SHOWN for step in traces.steps.values()):
        notes.append(f"Only the {LABELS_SHOWN} most frequent answers are shown.")
    grid = Grid("Traces after each filter", "Filter", columns, (GridGroup("", rows),), tuple(notes))
    return TraceSection((*_checker_sentences(traces), *_dropped_sentences(traces), *_spent_sentences(traces)), grid)


def _step_cells(step: FilterStep) -> tuple[Cell | None, ...]:
    shares = (step.hallucinated, step.true_claims, step.omitting, step.recall, step.right)
    shown = [f"{answer} {percent(share)}" for answer, share in list(step.labels.items())[:LABELS_SHOWN]]
    labels = Cell(shown[0], tuple(shown[1:])) if shown else None
    return (count_cell(step.traces), count_cell(step.items), *map(_share_cell, shares), labels)


def _checker_sentences(traces: TraceFilters) -> list[str]:
    told = []
    if traces.trust is not None:
        rates = [
            f"{name} {percent(one.value)} (95{SPACE}% interval {_ends((one.low, one.high))})"
            for name, one in (("precision", traces.trust.precision), ("recall", traces.trust.recall))
        ]
        told.append(f"The checker {traces.trust.checker}, measured on known chains: {', '.join(rates)}.")
    if traces.checker is not None:
        rates = [
            f"{name} {percent(one.value)}" + (f" (95{SPACE}% interval {_ends(one.ci95)})" if one.ci95 else "")
            for name, one in (("precision", traces.checker.precision), ("recall", traces.checker.recall))
            if one is not None
        ]
        on = f"on the {traces.checker.judged:,} traces that it judged"
        told += [f"Against the truth, {on}: {', '.join(rates)}."] if rates else []
    return told


def _dropped_sentences(traces: TraceFilters) -> list[str]:
    told = []
    for step, counts in traces.dropped.items():
        why = [f"{reason} {number:,}" for reason, number in counts.items() if reason != "kept"]
        dropped = f"dropped: {', '.join(why)}" if why else "none dropped"
        told.append(f"{step.capitalize()}: {counts.get('kept', 0):,} kept; {dropped}.")
    return told


def _spent_sentences(traces: TraceFilters) -> list[str]:
    told = []
    for name, one in traces.spent.items():
        cost = f", cost {one.cost:,.2f}" if one.cost else ""
        told.append(f"{name.capitalize()}: {one.prompt_tokens:,} tokens read, {one.completion_tokens:,} written{cost}.")
    if traces.failed:
        told.append(f"{traces.failed:,} items lack samples because the teacher did not answer.")
    return told


def _ends(ci95: Interval) -> str:
    return interval((100 * ci95[0], 100 * ci95[1]))


def _share_cell(share: PooledShare | None) -> Cell | None:
    """A share in percent with its interval, and each seed's where there are several."""
    if share is None:
        return None
    ends = None if share.ci95 is None else (100 * share.ci95[0], 100 * share.ci95[1])
    return number_cell(100 * share.value, ends, [100 * one for one in share.by_seed if one is not None])


def _benchmarks(summary: Summary, names: Sequence[str]) -> list[str]:
    """Benchmarks in the order of the page; all items together only where there are several."""
    named = [name for name in summary.benchmarks if name in names]
    return [name for name in named if name != OVERALL] if len(set(named) - {OVERALL}) < 2 else named
