"""Stages `predict.MODEL/BENCHMARK` and `evaluate.MODEL`: answers under every view, and their scores."""

from __future__ import annotations

import json
from functools import partial

from earwise.evaluate.benchmarks.answers import scored
from earwise.evaluate.controls import with_controls
from earwise.evaluate.runner import Asker, run_benchmark
from earwise.models.ears import Ears
from earwise.models.families import Family
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import Item, Prediction, Score
from earwise.speech.clips import read_clips
from earwise.stages.data import BENCHMARKS, benchmark_items, data_folder, transcribe_instruction
from earwise.stages.descriptions import described
from earwise.stages.gate import heard_by_item
from earwise.stages.jobs.evaluation import EvaluateJob, PredictJob
from earwise.stages.jobs.likelihood import LikelihoodJob
from earwise.stages.models import HELD, load_base, load_start
from earwise.stages.samples import sample_items, that_can_be_shown
from earwise.stages.speech import telling_how_to_repair
from earwise.views import DESCRIBED_VIEWS, TRANSCRIPT_VIEWS, view_spec
from earwise.work.job import StageContext
from earwise.work.markers import DONE
from earwise.work.store import Store, read_store, write_atomic

PREDICTIONS, SCORES = "predictions.jsonl", "scores.jsonl"
NOT_ASKED = "not_asked.json"
"""Items whose pictures the model does not accept; absent if there are none."""


def load_model(context: StageContext, job: PredictJob | LikelihoodJob) -> OmniModel:
    """The model that a job asks, to be held for the next job."""
    trained = job.trained
    model = load_start(context, job.source, trained) if trained is not None else load_base(context, job.source)
    model.eval()
    if isinstance(model.ears, Ears):
        # Frozen layers are shared between models.
        model.ears.freeze_encoder(job.frozen_layers or "all")
    return model


def weights_of(context: StageContext, job: PredictJob | LikelihoodJob) -> tuple[object, ...]:
    """A key for the model's weights: when each stage that made them was completed."""
    made_by = [one for one in (job.trained, job.source.base) if one is not None]
    markers = [context.folder_of(one) / DONE for one in made_by]
    written = [(str(path), path.stat().st_mtime_ns) for path in markers]
    return (context.run_folder, str(job.source), *written)


def predict(context: StageContext, job: PredictJob) -> None:
    """Have one model answer one benchmark under its own views."""
    model = HELD(weights_of(context, job), partial(load_model, context, job))
    folder = data_folder(context, job.data)
    reads = bool(TRANSCRIPT_VIEWS & {*job.views})
    instruction = transcribe_instruction(folder) if reads and job.transcripts is None else ""
    samples, voices = _samples(context, job, benchmark_items(job.benchmark, folder))
    samples, not_asked = _askable(context, job, samples, model.family)
    if not_asked:
        write_atomic(context.folder / NOT_ASKED, json.dumps(not_asked, indent=1, ensure_ascii=False) + "\n")
    transcripts = heard_by_item(context, job.transcripts) if reads and job.transcripts is not None else None
    ask = Asker(job.views, job.batch_size, job.max_new_tokens, instruction, voices, context.seed, transcripts)
    clips = context.run_folder / "stages" / "speech" if job.clips is None else context.folder_of(job.clips)
    with Store(context.folder / PREDICTIONS, Prediction) as store, telling_how_to_repair(clips):
        run_benchmark(model, job.model, job.benchmark.name, samples, ask, store)


def _samples(context: StageContext, job: PredictJob, items: list[Item]) -> tuple[list[Sample], dict[str, str]]:
    """Samples of the items that can be asked under every view, and the voice of each."""
    folder, clips, voices = data_folder(context, job.data) / BENCHMARKS, None, {}
    if job.clips is not None:
        clips = context.folder_of(job.clips)
        voices = {clip.item: clip.voice for clip in read_clips(clips).clips}
    views = with_controls(job.views)
    longest = job.source.longest_sound
    samples = sample_items(items, folder, clips, context.say, suffix=job.suffix, views=views, longest_s=longest)
    if job.condition is None and DESCRIBED_VIEWS & {*job.asked}:
        samples = described(context, job.descriptions, samples, folder)
    return samples, voices


def _askable(
    context: StageContext, job: PredictJob, samples: list[Sample], family: Family
) -> tuple[list[Sample], list[str]]:
    """Samples that can be asked under all views of the benchmark, and the other items."""
    if all(view_spec(view).context != "image" for view in job.asked):
        return samples, []
    fit = that_can_be_shown(samples, family, context.say)
    return fit, sorted({sample.key for sample in samples} - {sample.key for sample in fit})


def evaluate(context: StageContext, job: EvaluateJob) -> None:
    """Score every answer of a model."""
    with Store(context.folder / SCORES, Score) as store:
        for source, predictions in zip(job.benchmarks, job.predictions, strict=True):
            items = {item.id: item for item in benchmark_items(source, data_folder(context, job.data))}
            for found in read_store(context.folder_of(predictions) / PREDICTIONS, Prediction):
                if found.key not in store:
                    store.append(scored(found, items[found.item], job.profile))
