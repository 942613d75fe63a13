"""What the summary says of `[conditions]`: the test questions spoken otherwise, and how the same models answer them.

No training run needs a condition's clips or answers, so nothing of it can be learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earwise.evaluate.conditions import condition_results
from earwise.records import Score
from earwise.speech.clips import read_clips
from earwise.stages.evaluation import SCORES
from earwise.stages.jobs.report import ReportJob
from earwise.work.job import StageContext
from earwise.work.store import read_store


def summarise_conditions(
    context: StageContext, job: ReportJob, scores: Mapping[int, Sequence[Score]]
) -> dict[str, Any]:
    """Each condition's engine and voices, and each model's results on its clips; `scores` are the evaluation's own."""
    found = {}
    for name, condition in job.conditions.items():
        answered = {
            seed: [score for one in evaluations for score in read_store(context.folder_of(one) / SCORES, Score)]
            for seed, evaluations in condition.evaluations.items()
        }
        made = [clip for clips in condition.clips for clip in read_clips(context.folder_of(clips)).clips]
        found[name] = {
            "engine": made[0].engine,
            "voices": sorted({clip.voice for clip in made}),
            **condition_results(scores, answered, job.text_view, job.speech_view),
        }
    return found
