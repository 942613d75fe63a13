"""Stage `likelihood.MODEL/BENCHMARK`: the cross-entropy of the base's typed answers, heard, silenced and swapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from earwise.evaluate.likelihood import How, Likelihood, LikelihoodTable, summarise_likelihood
from earwise.evaluate.likelihood_runner import Measurer, measure, referenced, silenced, swapped
from earwise.io.messages import counted
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.model import BASE
from earwise.records import Prediction, View
from earwise.stages.data import BENCHMARKS, benchmark_items, data_folder
from earwise.stages.evaluation import PREDICTIONS, load_model, weights_of
from earwise.stages.gate import heard_by_item
from earwise.stages.jobs.likelihood import LikelihoodJob
from earwise.stages.models import HELD
from earwise.stages.samples import sample_items
from earwise.stages.speech import telling_how_to_repair
from earwise.work.job import StageContext
from earwise.work.store import Store, read_store

RECORDS: Final = "likelihood.jsonl"


def work(context: StageContext, job: LikelihoodJob) -> None:
    """Measure one model on one benchmark."""
    model = HELD(weights_of(context, job), partial(load_model, context, job))
    samples = _references(context, job, model)
    conditions = _conditions(context, job, samples)
    what = Measurer(job.model, job.benchmark.name, job.text_view, conditions)
    with Store(context.folder / RECORDS, Likelihood) as store, telling_how_to_repair(context.folder_of(job.clips)):
        measure(model, what, samples, job.batch_size, store)


def _references(context: StageContext, job: LikelihoodJob, model: OmniModel) -> list[Sample]:
    """The samples with the base's typed answers; items with an empty one are left out and counted."""
    found = read_store(context.folder_of(job.answers) / PREDICTIONS, Prediction)
    answers = {one.item: one.text for one in found if one.view == job.text_view}
    folder, views = data_folder(context, job.data), (job.text_view, job.speech_view)
    items = [item for item in benchmark_items(job.benchmark, folder) if answers.get(item.id)]
    if empty := len(answers) - len(items):
        context.say(f"{job.name}: {counted(empty, 'item')} left out: the base's typed answer is empty")
    clips = context.folder_of(job.clips)
    samples = sample_items(
        items,
        folder / BENCHMARKS,
        clips,
        context.say,
        suffix=job.suffix,
        views=views,
        longest_s=job.source.longest_sound,
    )
    encode, limit = model.family.tokenizer.encode, job.answers.max_new_tokens
    return [
        referenced(sample, text, cut=len(encode(text, add_special_tokens=False)) >= limit)
        for sample in samples
        for text in [answers[sample.key]]
    ]


def _conditions(
    context: StageContext, job: LikelihoodJob, samples: Sequence[Sample]
) -> Mapping[How, tuple[View, Sequence[Sample]]]:
    """What the model is shown: the base what is typed, another model what is heard. The controls are measured once,
    and not under every condition.
    """
    if job.model != BASE and job.condition is not None:
        return {"speech": (job.speech_view, samples)}
    if job.model != BASE:
        return {
            "speech": (job.speech_view, samples),
            "silenced": (job.speech_view, [silenced(sample) for sample in samples]),
            "swapped": (job.speech_view, swapped(samples, job.seed)),
        }
    found: dict[How, tuple[View, Sequence[Sample]]] = {}
    if job.condition is None:
        found["typed"] = (job.text_view, samples)
    if job.transcripts is not None and job.transcript_view is not None:
        heard = heard_by_item(context, job.transcripts)
        read = [replace(one, turns=(replace(one.turns[0], heard=heard[one.key]),)) for one in samples]
        found["transcript"] = (job.transcript_view, read)
    return found


def summarise(context: StageContext, seeds: Sequence[Sequence[LikelihoodJob]]) -> dict[str, Any]:
    """The entry `likelihood` of `summary.json` from the jobs of each seed; empty without any."""
    if not any(seeds):
        return {}
    read = [[one for job in jobs for one in read_store(context.folder_of(job) / RECORDS, Likelihood)] for jobs in seeds]
    return summarise_likelihood(LikelihoodTable.of(read), (BASE, "transcript"))
