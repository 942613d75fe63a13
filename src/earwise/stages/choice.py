"""Stages `train.NAME` of `[choose]`: the training run that did best on held-out questions is trained further.

The held-out questions are those of `[training.select]`; no test item and no other seed's result is used.

choice.json    the chosen training run, and the percentage of right answers of each
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from earwise.stages import training
from earwise.stages.jobs.report import ReportJob
from earwise.stages.jobs.training import ChooseJob
from earwise.stages.selection import tried
from earwise.work.job import StageContext
from earwise.work.store import read_json, write_atomic

CHOICE: Final = "choice.json"


def work(context: StageContext, job: ChooseJob) -> None:
    """Choose the best training run and train it further."""
    right = {one.title: held_out(context.folder_of(one)) for one in job.of}
    chosen = max(job.of, key=lambda one: right[one.title])  # the first of equals
    found = {"chosen": chosen.title, "held_out": right}
    write_atomic(context.folder / CHOICE, json.dumps(found, indent=1) + "\n")
    best = f"{chosen.title} is best on held-out questions, {right[chosen.title]:.1f} %"
    context.say(f"{job.title}: {best}, and is trained further")
    steps = {"steps": job.choice.steps}
    going_on = replace(chosen, start=chosen, training=chosen.training.model_copy(update=steps))
    training.train(context, going_on)


def held_out(folder: Path) -> float:
    """Percentage of right answers to held-out questions, with the final weights of the training run in `folder`."""
    return max(tried(folder).values())


def choices(context: StageContext, job: ReportJob) -> dict[str, dict[str, Any]]:
    """`{NAME: {SEED: {"chosen", "held_out": {TRAINING: percent}}}}`, for `summary.json`."""
    return {
        name: {str(seed): read_json(context.folder_of(one) / CHOICE) for seed, one in by_seed.items()}
        for name, by_seed in job.choices.items()
    }
