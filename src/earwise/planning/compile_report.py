"""The report's job: every fact of a recipe that a summary or a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from earwise.recipe.checks import guard_pairs
from earwise.recipe.model import BASE
from earwise.recipe.uses import asked_views, compared_pairs, heard_files, reads_transcripts
from earwise.stages.jobs.report import ReportJob
from earwise.views import view_spec
from earwise.work.job import Job

if TYPE_CHECKING:
    from earwise.planning.compile import Compiler


def report_job(made: Compiler, before: Sequence[Job]) -> ReportJob:
    """The job that comes last; `before` are all others."""
    recipe = made.recipe
    evaluate = recipe.evaluate
    assert evaluate is not None
    models = [name for name in recipe.evaluated if name != BASE]
    if not models or evaluate.main_view in asked_views(recipe, BASE) or reads_transcripts(recipe):
        models = [BASE, *models]
    return ReportJob(
        before=tuple(before),
        title=recipe.name,
        seeds=recipe.seeds,
        data=made.data,
        evaluations={seed: tuple(made.evaluations(seed)) for seed in recipe.seeds},
        benchmarks=made.asked_benchmarks(),
        models=tuple(models),
        text_view=evaluate.text_view,
        speech_view=evaluate.speech_view,
        main_view=evaluate.main_view,
        hears_sounds=any(view_spec(view).context == "sound" for view in evaluate.views),
        pairs=compared_pairs(recipe),
        guards=recipe.guards.benchmarks if recipe.guards is not None else (),
        guard_pairs=guard_pairs(recipe) if recipe.guards is not None else {},
        report=recipe.report,
        training_clips=tuple(made.clips[name] for name in heard_files(recipe) if name in made.clips),
        gated=tuple(gate for gate in made.gates.values() if gate.clips.side == "train"),
        leaves_out=made.leaves_out,
        traces=made.traces,
        verify=made.verify,
        likelihoods={seed: tuple(made.likelihoods(seed)) for seed in recipe.seeds},
        conditions=made.conditions(),
        choices={name: {seed: made.choose(name, seed) for seed in recipe.seeds} for name in recipe.choose},
        speaks=recipe.speech is not None,
        check=made.folder_check,
    )
