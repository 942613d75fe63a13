"""Tables 1 to 5 of arXiv 2503.00059 with the numbers of one study: every cell with its interval and its seeds."""

from __future__ import annotations

from collections.abc import Sequence

from earwise.evaluate.estimates import MEAN
from earwise.evaluate.published import MMALIGN
from earwise.evaluate.suite import COLUMNS
from earwise.recipe.model import BASE
from earwise.report.grids import (
    Cell,
    Grid,
    GridGroup,
    GridRow,
    benchmark_label,
    comparison_cell,
    count_cell,
    gap_cell,
    score_cell,
)
from earwise.report.study import Regime, Study, Training
from earwise.report.summary import OVERALL, BenchmarkResult, Comparison, Summary
from earwise.report.words import model_label, number, p_value


def paper_columns(summary: Summary) -> tuple[str, ...]:
    """The mean, then the scored benchmarks of the paper's average; other benchmarks if none was scored."""
    scored = tuple(name for name in COLUMNS if name in summary.benchmarks)
    if not scored:
        return tuple(name for name in summary.benchmarks if name not in (OVERALL, MEAN, *MMALIGN))
    return (MEAN, *scored) if MEAN in summary.benchmarks else scored


def compared(summary: Summary, a: str, b: str, benchmark: str) -> Comparison | None:
    """Model `a` minus model `b` under the spoken view, if the run compared them."""
    wanted = (a, b, benchmark, summary.pair.speech)
    return next((c for c in summary.comparisons if (c.a, c.b, c.benchmark, c.view) == wanted), None)


def gap_tables(summary: Summary, study: Study) -> tuple[Grid, ...]:
    """Table 1: typed, spoken and their gap per benchmark, one table per model, the start first."""
    order = dict.fromkeys((*study.starts, *(training.name for _, training in study.each())))
    grids = (_gap_table(summary, study, model) for model in order if model in summary.models)
    return tuple(grid for grid in grids if not grid.empty)


def _gap_table(summary: Summary, study: Study, model: str) -> Grid:
    rows = []
    for name in paper_columns(summary):
        result = summary.models[model].get(name)
        if result and result.gap:
            text, speech = (result.views.get(view) for view in summary.pair)
            p = Cell(p_value(result.gap.p))
            cells = (score_cell(text), score_cell(speech), gap_cell(result.gap), p, count_cell(result.n))
            rows.append(
                GridRow(benchmark_label(name), cells, f"of {len(result.columns)} benchmarks" if name == MEAN else "")
            )
    heads = (("Text", ""), ("Audio", ""), ("Gap", "text \N{MINUS SIGN} audio, points"), ("p", ""), ("n", "items"))
    return Grid(study.label(model), "Benchmark", heads, (GridGroup("", tuple(rows)),))


def training_table(summary: Summary, study: Study) -> Grid:
    """Table 3: the base on typed questions, then SFT, Self-KD and ours on spoken questions, with differences."""
    names = paper_columns(summary)
    first = [_row(summary, names, "Base, typed", typed_model(summary, study), typed=True)]
    first += [_row(summary, names, model_label(start), start) for start in study.starts if start in summary.models]
    groups = [GridGroup("", tuple(first))]
    for regime in study.regimes:
        groups.append(GridGroup(regime_title(study, regime), _with_differences(summary, names, regime)))
    return Grid("Base, SFT and Self-KD", "Model", _heads(summary, names), tuple(groups))


def alpha_table(summary: Summary, study: Study) -> Grid:
    """Table 5: every alpha under each regime, spoken questions; regimes with a single alpha are left out."""
    names = paper_columns(summary)
    groups = []
    for regime in study.regimes:
        if len(regime.alphas) > 1:
            rows = [_row(summary, names, f"alpha {t.alpha:g}", t.name) for t in regime.alphas]
            rows += [_row(summary, names, t.label, t.name, note="not in the paper") for t in regime.others]
            groups.append(GridGroup(regime_title(study, regime), tuple(rows)))
    return Grid("Weight alpha of the distillation", "Alpha", _heads(summary, names), tuple(groups))


def mmalign_table(summary: Summary, study: Study) -> Grid:
    """Tables 2 and 4: MMAlign typed and spoken, relations and attributes; two options, so chance is 50."""
    names = [name for name in MMALIGN if name in summary.benchmarks]
    heads = []
    for name in names:
        short, n = benchmark_label(name).removeprefix("MMAlign ").capitalize(), column_note(summary, name)
        heads += [(f"{short}, text", n), (f"{short}, audio", n), (f"{short}, gap", "points")]
    groups = [GridGroup("", tuple(_mmalign_row(summary, names, model_label(s), s) for s in study.starts))]
    for regime in study.regimes:
        rows: list[GridRow] = []
        for training in regime.trainings:
            rows.append(_mmalign_row(summary, names, training.label, training.name))
            if training in regime.named and training != regime.sft and regime.sft:
                rows.append(_mmalign_difference(summary, names, training, regime.sft))
        groups.append(GridGroup(regime_title(study, regime), tuple(rows)))
    return Grid("MMAlign", "Model", tuple(heads), tuple(groups) if names else ())


def relation_tables(summary: Summary, study: Study) -> tuple[Grid, ...]:
    """MMAlign by relation or pair of attributes: those with enough items for an interval; the others are counted."""
    grids = (_relation_table(summary, study, name) for name in MMALIGN if name in summary.benchmarks)
    return tuple(grid for grid in grids if grid.notes or not grid.empty)


def _relation_table(summary: Summary, study: Study, name: str) -> Grid:
    results = summary.on(name)
    some = next(iter(results.values()))
    asked = [(typed_model(summary, study), summary.pair.text), *((m, summary.pair.speech) for m in study.named)]
    rows, few = [], 0
    for kind, scores in some.kinds.items():
        if kind not in some.kind_ci95:
            few += 1
            continue
        cells = tuple(_kind_cell(results.get(model), kind, view) for model, view in asked)
        rows.append(GridRow(kind, (*cells, count_cell(int(scores.get("n") or 0)))))
    heads = [("Base", "text"), *((study.label(model), "audio") for model in study.named), ("n", "items")]
    kinds = "Relations" if name == MMALIGN[0] else "Pairs of attributes"
    notes = (f"{kinds} with too few items for an interval: {few}.",) if few else ()
    return Grid(benchmark_label(name), "Relation", tuple(heads), (GridGroup("", tuple(rows)),), notes)


def _kind_cell(result: BenchmarkResult | None, kind: str, view: str) -> Cell | None:
    score = result.kinds.get(kind, {}).get(view) if result else None
    if result is None or score is None:
        return None
    ends = result.kind_ci95.get(kind, {}).get(view)
    return Cell(number(score), (f"{number(ends[0])} to {number(ends[1])}",) if ends else ())


def _mmalign_row(summary: Summary, names: Sequence[str], label: str, model: str) -> GridRow:
    cells: list[Cell | None] = []
    for name in names:
        result = summary.models.get(model, {}).get(name)
        cells += [score_cell(result.views.get(view)) if result else None for view in summary.pair]
        cells.append(gap_cell(result.gap) if result else None)
    return GridRow(label, tuple(cells), model=model if label != model else "")


def _mmalign_difference(summary: Summary, names: Sequence[str], one: Training, sft: Training) -> GridRow:
    cells: list[Cell | None] = []
    for name in names:
        cells += [None, comparison_cell(compared(summary, one.name, sft.name, name)), None]
    return GridRow(difference_label(one, sft), tuple(cells))


def _with_differences(summary: Summary, names: Sequence[str], regime: Regime) -> tuple[GridRow, ...]:
    """Rows of a regime's named training runs, each except SFT followed by its difference to SFT."""
    rows = []
    for training in regime.named:
        rows.append(_row(summary, names, training.label, training.name))
        if regime.sft and training != regime.sft:
            cells = tuple(comparison_cell(compared(summary, training.name, regime.sft.name, name)) for name in names)
            rows.append(GridRow(difference_label(training, regime.sft), cells))
    return tuple(rows)


def _row(
    summary: Summary, names: Sequence[str], label: str, model: str, *, typed: bool = False, note: str = ""
) -> GridRow:
    """A model's scores under the spoken view, or the typed one."""
    view = summary.pair.text if typed else summary.pair.speech
    results = summary.models.get(model, {})
    cells = tuple(score_cell(results[name].views.get(view)) if name in results else None for name in names)
    return GridRow(label, cells, note, model if label != model else "")


def _heads(summary: Summary, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((benchmark_label(name), column_note(summary, name)) for name in names)


def column_note(summary: Summary, name: str) -> str:
    """A column's number of items, and for the mean its number of benchmarks."""
    results = list(summary.on(name).values())
    counts = " or ".join(f"{n:,}" for n in sorted({result.n for result in results}))
    if name == MEAN:
        return f"{len(results[0].columns)} benchmarks, n {counts}"
    return f"n {counts}"


def difference_label(one: Training, sft: Training) -> str:
    """`Self-KD, alpha 1 − SFT`."""
    return f"{one.label} \N{MINUS SIGN} {sft.label}"


def regime_title(study: Study, regime: Regime) -> str:
    """Title of a regime's rows; empty if there is only one regime."""
    return f"Trained on: {regime.label}" if len(study.regimes) > 1 else ""


def typed_model(summary: Summary, study: Study) -> str:
    """The model with the base's typed scores: the base, or a start if the base was not scored."""
    return BASE if BASE in summary.models else study.starts[0]
