"""Stages `predict.MODEL/BENCHMARK` and `evaluate.MODEL`: answers under every view, and what they are worth."""

from __future__ import annotations

from functools import cache

from earwise.evaluate.controls import with_controls
from earwise.evaluate.runner import Asker, run_benchmark, scored
from earwise.models.ears import Ears
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import Item, Prediction, Score
from earwise.speech.clips import read_clips
from earwise.stages.data import BENCHMARKS, benchmark_items, data_folder, transcribe_instruction
from earwise.stages.descriptions import described
from earwise.stages.jobs.evaluation import EvaluateJob, PredictJob
from earwise.stages.models import load_base, load_start
from earwise.stages.samples import sample_items
from earwise.stages.speech import telling_how_to_repair
from earwise.views import DESCRIBED_VIEWS
from earwise.work.job import StageContext
from earwise.work.store import Store, read_store

PREDICTIONS, SCORES = "predictions.jsonl", "scores.jsonl"


class _Loaded:
    """The model that answered last: the jobs of one model follow each other, and loading it takes longer than they do.

    It is forgotten before another one is loaded, so that there is never memory for two.
    """

    def __init__(self) -> None:
        self._key: object = None
        self._model: OmniModel | None = None

    def __call__(self, context: StageContext, job: PredictJob) -> OmniModel:
        """The job's model, loaded if it is not the last one."""
        key = (context.run_folder, job.seed, job.trained.name if job.trained is not None else None)
        if self._model is None or key != self._key:
            self._key, self._model = None, None
            self._model = _load(context, job)
            self._key = key
        return self._model

    def forget(self) -> None:
        """Keep no model."""
        self._key, self._model = None, None


@cache
def loaded() -> _Loaded:
    """Of this process."""
    return _Loaded()


def _load(context: StageContext, job: PredictJob) -> OmniModel:
    trained = job.trained
    model = load_start(context, job.source, trained) if trained is not None else load_base(context, job.source)
    model.eval()
    if isinstance(model.ears, Ears):
        model.ears.freeze_encoder(job.frozen_layers or "all")  # Models trained behind the same layers share them.
    return model


def predict(context: StageContext, job: PredictJob) -> None:
    """Have one model answer one benchmark under every view that is its own."""
    model, folder = loaded()(context, job), data_folder(context, job.data)
    instruction = transcribe_instruction(folder) if "image_transcript" in job.views else ""
    samples, voices = _samples(context, job, benchmark_items(job.benchmark, folder))
    ask = Asker(job.views, job.batch_size, job.max_new_tokens, instruction, voices, context.seed)
    clips = context.run_folder / "stages" / "speech" if job.clips is None else context.folder_of(job.clips)
    with Store(context.folder / PREDICTIONS, Prediction) as store, telling_how_to_repair(clips):
        run_benchmark(model, job.model, job.benchmark.name, samples, ask, store)


def _samples(context: StageContext, job: PredictJob, items: list[Item]) -> tuple[list[Sample], dict[str, str]]:
    """Samples of a benchmark, only of items that every view can be asked about, and the voice of each."""
    folder, clips, voices = data_folder(context, job.data) / BENCHMARKS, None, {}
    if job.clips is not None:
        clips = context.folder_of(job.clips)
        voices = {clip.item: clip.voice for clip in read_clips(clips).clips}
    views = with_controls(job.views)
    samples = sample_items(items, folder, clips, context.say, suffix=job.suffix, views=views)
    if DESCRIBED_VIEWS & {*job.asked}:
        samples = described(context, job.descriptions, samples, folder)
    return samples, voices


def evaluate(context: StageContext, job: EvaluateJob) -> None:
    """Score every answer of a model."""
    loaded().forget()
    with Store(context.folder / SCORES, Score) as store:
        for source, predictions in zip(job.benchmarks, job.predictions, strict=True):
            items = {item.id: item for item in benchmark_items(source, data_folder(context, job.data))}
            for found in read_store(context.folder_of(predictions) / PREDICTIONS, Prediction):
                if found.key not in store:
                    store.append(scored(found, items[found.item], job.profile))
