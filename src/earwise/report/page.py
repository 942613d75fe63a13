"""One self-contained HTML page per run: it makes no requests, and external text is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from earwise.report import charts, tables, words
from earwise.report.attention import attention_section
from earwise.report.conditions import cascade_note, conditions_grid
from earwise.report.curves import curve_panel, read_trainings
from earwise.report.doubts import doubt_notes
from earwise.report.gate import gate_section
from earwise.report.grids import benchmark_label
from earwise.report.guards import guard_lines
from earwise.report.items import ShownItem, make_gallery
from earwise.report.likelihood import likelihood_grid
from earwise.report.likelihood_lines import likelihood_lines
from earwise.report.origin import read_origin
from earwise.report.paper import paper_section
from earwise.report.sound import faithfulness_gains_grid, faithfulness_grid, gains_grid, sound_section, trace_section
from earwise.report.study import read_study
from earwise.report.summary import Summary, read_summary
from earwise.work.progress import duration
from earwise.work.store import write_atomic


def build_report(folder: Path, shown: Sequence[ShownItem], out: Path) -> Path:
    """Write the page of a run and return its path.

    Reads `summary.json` (required), `run.json`, `recipe.json` and `stages/**/metrics.jsonl` from `folder`; `shown` are
    the items shown side by side, in this order. A part without data is left out of the page. The page appears under
    `out` only when it is complete. Raises `InputError` for a file that is missing or broken.
    """
    summary = read_summary(folder / "summary.json")
    text = render(folder, summary, shown)
    write_atomic(out, text)
    return out


def render(folder: Path, summary: Summary, shown: Sequence[ShownItem]) -> str:
    """The page as text."""
    script = _package_text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    main = summary.main
    attention = attention_section(folder)
    others = [name for name in summary.benchmarks if name != main]
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=Markup("".join(_package_text(f"{name}.css") for name in ("style", "attention", "paper"))),
            script=Markup(script),
            policy=f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            summary=summary,
            verdict=words.verdict(summary),
            cascade=cascade_note(summary),
            origin=read_origin(folder, summary),
            main_table=tables.result_table(summary, main) if main else None,
            other_tables=[tables.result_table(summary, name) for name in others],
            gap_chart=charts.gap_chart(summary, main) if main else None,
            comparison_chart=charts.comparison_chart([c for c in summary.comparisons if c.benchmark == main]),
            kinds=[b for name in summary.benchmarks if (b := tables.kind_breakdown(summary, name))],
            voices=tables.voice_breakdown(summary),
            likelihood=likelihood_grid(summary),
            likelihood_lines=likelihood_lines(summary),
            conditions=conditions_grid(summary),
            gate=gate_section(summary),
            trainings=[
                (training, [curve_panel(curve) for curve in training.curves])
                for training in read_trainings(folder, tuple(summary.timings_s))
            ],
            ablation=charts.ablation_charts(summary),
            gains=gains_grid(summary),
            guards=guard_lines(summary),
            doubts=doubt_notes(summary),
            sound=sound_section(summary),
            faithfulness=faithfulness_grid(summary),
            faithfulness_gains=faithfulness_gains_grid(summary),
            traces=trace_section(summary),
            paper=paper_section(summary, read_study(folder, summary), shown, attention.answers if attention else ()),
            attention=attention,
            gallery=make_gallery(shown, summary.pair),
        )
    )


def _package_text(name: str) -> str:
    return files("earwise.report").joinpath(name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    """Templates with autoescape always on; a name that is missing is an error, not an empty string."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("earwise.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        interval=words.interval,
        percent=words.percent,
        unbroken=words.unbroken,
        p_value=words.p_value,
        duration=duration,
        model=words.model_label,
        view=words.view_label,
        view_note=words.view_note,
        compare=words.comparison_sentence,
        step=words.step_label,
        step_note=words.step_note,
        seed_difference=words.seed_difference,
        benchmark=benchmark_label,
    )
    return environment
