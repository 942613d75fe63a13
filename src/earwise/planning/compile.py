"""From a recipe to its jobs: what the recipe names is looked up once, here, and nothing below knows a recipe."""

from __future__ import annotations

from earwise.planning.compile_data import benchmark_of, once
from earwise.planning.compile_report import report_job
from earwise.planning.compile_training import FromTraining
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import FrozenLayers
from earwise.recipe.uses import (
    analysed_benchmarks,
    analysed_models,
    answering,
    answering_models,
    asked_views,
    attention_baseline,
    by_start,
    measured_models,
    spoken_views,
)
from earwise.stages.jobs.attention import AttentionJob, PoolAttentionJob
from earwise.stages.jobs.evaluation import EvaluateJob, PredictJob
from earwise.stages.jobs.likelihood import LikelihoodJob
from earwise.stages.jobs.report import AskedBenchmark, ConditionResults
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.views import DESCRIBED_VIEWS, TRANSCRIPT_VIEWS, View
from earwise.work.job import Job


def compile_recipe(recipe: Recipe) -> list[Job]:
    """The jobs of a recipe in the order in which they run.

    Raises `InputError` for what a recipe's tables and corpora contradict each other in.
    """
    made = Compiler(recipe)
    jobs: list[Job] = [made.data, made.media, *made.clips.values()]
    jobs += [clips for by_benchmark in made.condition_clips.values() for clips in by_benchmark.values()]
    jobs += [*made.transcripts.values(), *made.gates.values(), *made.recognised.values()]
    jobs += [*made.descriptions.values(), *filter(None, (made.traces, made.verify))]
    for seed in recipe.seeds:
        jobs += made.of_seed(seed)
    if recipe.attention is not None:
        jobs.append(made.pooled_attention())
    jobs = list({job.name: job for job in jobs}.values())
    if recipe.evaluate is not None:
        jobs.append(report_job(made, jobs))
    return jobs


class Compiler(FromTraining):
    """The jobs of one recipe."""

    def of_seed(self, seed: int) -> list[Job]:
        """The jobs of one seed, in order."""
        recipe = self.recipe
        jobs: list[Job | None] = [self.base(seed), self.encoder(seed)]
        if recipe.answers is not None and (recipe.base is not None or seed == recipe.seeds[0]):
            jobs.append(self.answers(seed))
        jobs.append(self.align(seed))
        jobs += [self.train(name, seed) for name in by_start(recipe)]
        jobs += [self.choose(name, seed) for name in recipe.choose]
        if recipe.evaluate is not None:
            for one in (*self.evaluations(seed), *self.condition_evaluations(seed)):
                jobs += [*one.predictions, one]
        jobs += self.likelihoods(seed)
        jobs += [one for name in self.condition_clips for one in self.likelihoods(seed, name)]
        if recipe.attention is not None:
            jobs.append(self.attention(seed))
        return [job for job in jobs if job is not None]

    @once
    def evaluations(self, seed: int) -> list[EvaluateJob]:
        """One for the base, whose typed answers all models share, and one for each model that hears."""
        return [one for name in answering(self.recipe) if (one := self._evaluation(name, seed)) is not None]

    @once
    def condition_evaluations(self, seed: int) -> list[EvaluateJob]:
        """One for each condition and model that is to answer under it."""
        named = [(name, model) for name in self.condition_clips for model in answering_models(self.recipe, name)]
        found = [self._evaluation(model, seed, condition=name) for name, model in named]
        return [one for one in found if one is not None]

    @once
    def _evaluation(self, model: str, seed: int, condition: str | None = None) -> EvaluateJob | None:
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        predictions = []
        for name in evaluate.benchmarks if condition is None else self.condition_clips[condition]:
            if shown := self._own_views(model, name, condition):
                predictions.append(self._prediction(model, name, shown, seed, condition))
        if not predictions:
            return None
        return EvaluateJob(
            model=model,
            data=self.data,
            predictions=tuple(predictions),
            benchmarks=tuple(benchmark_of(evaluate, one.benchmark.name, scored=True) for one in predictions),
            profile=evaluate.profile,
            condition=condition,
            seed=seed,
            check=self.folder_check,
        )

    def _prediction(
        self, model: str, name: str, shown: tuple[View, ...], seed: int, condition: str | None
    ) -> PredictJob:
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        asked, trained = evaluate.asked(name), self.trained(model, seed)
        clips = self.clips.get(f"benchmarks/{name}") if condition is None else self.condition_clips[condition][name]
        return PredictJob(
            model=model,
            source=self.source(seed) if trained is not None else self._without_ears(seed),
            trained=trained,
            data=self.data,
            benchmark=self.benchmarks[name],
            views=shown,
            asked=asked,
            suffix=evaluate.suffix,
            max_new_tokens=evaluate.max_new_tokens,
            clips=clips,
            transcripts=self.recognised.get((condition, name)) if model == BASE else None,
            descriptions=self.described(name) if condition is None else None,
            condition=condition,
            batch_size=evaluate.batch_size,
            frozen_layers=self._frozen_layers,
            seed=seed,
            check=self.model_check,
        )

    def described(self, benchmark: str) -> DescriptionsJob | None:
        """What describes the sounds of a benchmark, where a view of it shows descriptions."""
        assert self.recipe.evaluate is not None
        shown = DESCRIBED_VIEWS & {*self.recipe.evaluate.asked(benchmark)}
        return self.descriptions.get(f"benchmarks/{benchmark}") if shown else None

    def conditions(self) -> dict[str, ConditionResults]:
        """What the report reads of each condition."""
        by_seed = {seed: self.condition_evaluations(seed) for seed in self.recipe.seeds}
        return {
            name: ConditionResults(
                clips=tuple(clips.values()),
                evaluations={seed: tuple(e for e in all_of if e.condition == name) for seed, all_of in by_seed.items()},
                likelihoods={seed: tuple(self.likelihoods(seed, name)) for seed in self.recipe.seeds},
            )
            for name, clips in self.condition_clips.items()
        }

    def asked_benchmarks(self) -> tuple[AskedBenchmark, ...]:
        """What the report reads of each benchmark."""
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        return tuple(
            AskedBenchmark(
                source=benchmark_of(evaluate, name, scored=True),
                views=evaluate.views_of.get(name),
                asked=evaluate.asked(name),
                clips=self.clips.get(f"benchmarks/{name}"),
                descriptions=self.described(name),
                gate=self.gates.get(f"benchmarks/{name}"),
            )
            for name in self.benchmarks
        )

    @once
    def likelihoods(self, seed: int, condition: str | None = None) -> list[LikelihoodJob]:
        """One for each measured model and benchmark, on the clips of the test or of a condition."""
        settings, evaluate = self.recipe.likelihood, self.recipe.evaluate
        if settings is None or evaluate is None:
            return []
        clips = {name: self.clips[f"benchmarks/{name}"] for name in evaluate.benchmarks}
        if condition is not None:
            clips = self.condition_clips[condition]
        return [
            self._likelihood(model, name, spoken, seed, condition)
            for model in measured_models(self.recipe, condition)
            for name, spoken in clips.items()
            if settings.benchmarks == "all" or name in settings.benchmarks
        ]

    def _likelihood(self, model: str, name: str, clips: SpeechJob, seed: int, condition: str | None) -> LikelihoodJob:
        settings, evaluate = self.recipe.likelihood, self.recipe.evaluate
        assert settings is not None
        assert evaluate is not None
        trained = self.trained(model, seed)
        return LikelihoodJob(
            model=model,
            source=self.source(seed) if trained is not None else self._without_ears(seed),
            trained=trained,
            data=self.data,
            benchmark=self.benchmarks[name],
            answers=self._prediction(BASE, name, self._own_views(BASE, name), seed, None),
            clips=clips,
            transcripts=self.recognised.get((condition, name)) if model == BASE else None,
            text_view=evaluate.text_view,
            speech_view=evaluate.speech_view,
            transcript_view=next((view for view in evaluate.asked(name) if view in TRANSCRIPT_VIEWS), None),
            suffix=evaluate.suffix,
            condition=condition,
            batch_size=settings.batch_size,
            frozen_layers=self._frozen_layers,
            seed=seed,
            check=self.model_check,
        )

    @property
    def _frozen_layers(self) -> FrozenLayers:
        """Of the encoders of trained models: what they compute for a clip is the same for all of them."""
        return self.recipe.training.frozen_layers if self.recipe.training is not None else 0

    def _own_views(self, model: str, benchmark: str, condition: str | None = None) -> tuple[View, ...]:
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        own = asked_views(self.recipe, model) if condition is None else spoken_views(self.recipe, model)
        return tuple(view for view in own if view in evaluate.asked(benchmark))

    @once
    def attention(self, seed: int) -> AttentionJob:
        """The job of `[attention]` for one seed."""
        settings, evaluate = self.recipe.attention, self.recipe.evaluate
        assert settings is not None
        assert evaluate is not None
        named = analysed_benchmarks(self.recipe)
        clips = tuple(self.clips[f"benchmarks/{name}"] for name in named) if self.clips else ()
        base = self._evaluation(BASE, seed) if settings.response == BASE else None
        return AttentionJob(
            attention=settings.model_copy(update={"models": "all", "benchmarks": "all"}),
            data=self.data,
            source=self.source(seed),
            models={name: self.trained(name, seed) for name in analysed_models(self.recipe)},
            benchmarks=tuple(self.benchmarks[name] for name in named),
            clips=clips,
            answers=base,
            suffix=evaluate.suffix,
            baseline=attention_baseline(self.recipe),
            seed=seed,
            check=self.model_check,
        )

    def pooled_attention(self) -> PoolAttentionJob:
        """The job that pools the attention of all seeds."""
        settings = self.recipe.attention
        assert settings is not None
        return PoolAttentionJob(
            seeds=tuple(self.attention(seed) for seed in self.recipe.seeds),
            attention=settings.model_copy(update={"models": "all", "benchmarks": "all"}),
            benchmarks=analysed_benchmarks(self.recipe),
            baseline=attention_baseline(self.recipe),
            views=settings.views,
            check=self.folder_check,
        )
