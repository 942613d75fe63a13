"""From a recipe to its jobs: what the recipe names is looked up once, here, and nothing below knows a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from earwise.planning.check_jobs import check_pools, check_views
from earwise.planning.compile_report import report_job
from earwise.planning.inputs import corpora_files, folder, generator_folders, teacher_folders
from earwise.recipe.checks import described_file, questions_file, train_views
from earwise.recipe.data import CorporaData, FolderData
from earwise.recipe.evaluate import Evaluate
from earwise.recipe.model import ALIGNED, BASE, NativeEars, PretrainedEars
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Speech
from earwise.recipe.teach import ByModel
from earwise.recipe.train import WRITTEN_BY
from earwise.recipe.uses import (
    analysed_benchmarks,
    analysed_models,
    answering,
    answering_models,
    asked_views,
    attention_baseline,
    benchmarks_are_described,
    by_start,
    mixed_in,
    rewards_claims,
    shown_of,
    speaks_suffix,
    spoken_benchmarks,
    spoken_file,
    spoken_files,
    spoken_views,
    used_item_files,
)
from earwise.stages.jobs.attention import AttentionJob, PoolAttentionJob
from earwise.stages.jobs.data import BenchmarkSource, DataJob, MediaJob, ShownFile
from earwise.stages.jobs.evaluation import EvaluateJob, PredictJob, Trained
from earwise.stages.jobs.gate import GateJob, TranscriptsJob
from earwise.stages.jobs.models import AnswersJob, BaseJob, EncoderJob, ModelSource
from earwise.stages.jobs.report import AskedBenchmark, ConditionResults
from earwise.stages.jobs.speech import Delivery, Speakers, SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob, TracesJob, VerifyJob
from earwise.stages.jobs.training import AlignJob, ChooseJob, Material, TrainJob
from earwise.views import CLIP_VIEWS, DESCRIBED_VIEWS, View
from earwise.work.job import Input, Job, imported

Check = Callable[[], None]
P = ParamSpec("P")
T = TypeVar("T")


def compile_recipe(recipe: Recipe) -> list[Job]:
    """The jobs of a recipe in the order in which they run.

    Raises `InputError` for what a recipe's tables and corpora contradict each other in.
    """
    made = Compiler(recipe)
    jobs: list[Job] = [made.data, made.media, *made.clips.values()]
    jobs += [clips for by_benchmark in made.condition_clips.values() for clips in by_benchmark.values()]
    jobs += [*made.transcripts.values(), *made.gates.values()]
    jobs += [*made.descriptions.values(), *filter(None, (made.traces, made.verify))]
    for seed in recipe.seeds:
        jobs += made.of_seed(seed)
    if recipe.attention is not None:
        jobs.append(made.pooled_attention())
    jobs = list({job.name: job for job in jobs}.values())
    if recipe.evaluate is not None:
        jobs.append(report_job(made, jobs))
    return jobs


def _once(make: Callable[P, T]) -> Callable[P, T]:
    """A method that makes a job once for the same arguments: many jobs name it."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> T:
        known: dict[object, T] = args[0].made  # type: ignore[attr-defined]  # a Compiler
        key = (make.__name__, args[1:], tuple(kwargs.items()))
        if key not in known:
            known[key] = make(*args, **kwargs)
        return known[key]

    return made


class _Later:
    """A check of a recipe that is imported when it is made. Two are equal if they check the same."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        self._name, self._recipe = name, recipe

    def __call__(self) -> None:
        imported(self._name)(self._recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Later) and (self._name, self._recipe) == (other._name, other._recipe)

    def __hash__(self) -> int:
        return hash(self._name)


class Compiler:
    """The jobs of one recipe. Each is made once, so that all that read a stage name the same job."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        folders = _Later("earwise.planning.folders:check_folders", recipe)
        models = _Later("earwise.planning.model_checks:check_all_models", recipe)
        self.folder_check: tuple[Check, ...] = (folders,)
        self.model_check: tuple[Check, ...] = (folders, models)
        self.made: dict[object, Any] = {}

    @cached_property
    def data(self) -> DataJob:
        """The job of `[data]`."""
        source, files = self.recipe.data, tuple[Input, ...]()
        if isinstance(source, FolderData):
            files = (Input("data.path", source.path, Path(source.path)),)
        elif isinstance(source, CorporaData):
            check_pools(self.recipe, source, used_item_files(self.recipe))
            files = corpora_files(source)
        return DataJob(source=source, files=files, check=self.folder_check)

    @cached_property
    def media(self) -> MediaJob:
        """A look at all that is shown."""
        evaluate, recipe = self.recipe.evaluate, self.recipe
        shown = []
        for source in self.benchmarks.values():
            assert evaluate is not None
            key = f"evaluate.views_of.{source.name}" if source.name in evaluate.views_of else "evaluate.views"
            shown.append(ShownFile(name=source.name, views={key: evaluate.asked(source.name)}))
        return MediaJob(
            data=self.data,
            files=tuple(ShownFile(name=name, views=shown_of(recipe, name)) for name in used_item_files(recipe)),
            benchmarks=tuple(self.benchmarks.values()),
            shown=tuple(shown),
            profile=evaluate.profile if evaluate is not None else None,
            bring_descriptions=recipe.descriptions is None,
            check=self.folder_check,
        )

    @cached_property
    def benchmarks(self) -> dict[str, BenchmarkSource]:
        """What is tested, by name."""
        evaluate = self.recipe.evaluate
        return {name: _benchmark(evaluate, name) for name in evaluate.benchmarks} if evaluate is not None else {}

    @cached_property
    def clips(self) -> dict[str, SpeechJob]:
        """Clips of every item file and benchmark, by item file and `benchmarks/NAME`.

        Benchmarks come first: what is wrong with the test is found before hours are spent on training clips.
        """
        speech = self.recipe.speech
        if speech is None:
            return {}
        heard = self._heard_before()
        train, test = (_delivery(speech, perturb) for perturb in (speech.perturb, speech.test_perturb))
        jobs = {}
        for name, source in self.benchmarks.items():
            jobs[f"benchmarks/{name}"] = self._clips(
                speech, file=f"benchmarks/{name}", benchmark=source, side="test", delivery=test, heard=heard
            )
        for name in spoken_files(self.recipe):
            jobs[name] = self._clips(speech, file=name, side="train", delivery=train, others=speech.others)
        return jobs

    def _clips(self, speech: Speech, **fields: object) -> SpeechJob:
        fields = {"suffix": fields["side"] == "test" and speaks_suffix(self.recipe), **fields}
        return SpeechJob(
            data=self.data,
            speakers=_speakers(speech),
            scale=self.recipe.scale,
            workers=speech.workers,
            check=self.model_check,
            **fields,  # type: ignore[arg-type]  # names and types are those of SpeechJob, above
        )

    def _heard_before(self) -> Input | None:
        ears = self.recipe.model.ears if self.recipe.model is not None else None
        return folder("model.ears.path", ears.path) if isinstance(ears, PretrainedEars) else None

    @cached_property
    def condition_clips(self) -> dict[str, dict[str, SpeechJob]]:
        """Clips of each condition, by name and benchmark."""
        speech, found = self.recipe.speech, dict[str, dict[str, SpeechJob]]()
        for name, condition in self.recipe.conditions.items() if speech is not None else ():
            assert speech is not None
            delivery = Delivery(
                rates_wpm=condition.rates_wpm or speech.rates_wpm,
                pitches=condition.pitches or speech.pitches,
                perturb=condition.perturb,
            )
            changed = condition.model_copy(update={"models": "all", "benchmarks": "all"})  # neither decides a clip
            found[name] = {
                benchmark: self._clips(
                    speech,
                    file=f"benchmarks/{benchmark}",
                    benchmark=self.benchmarks[benchmark],
                    side="test",
                    delivery=delivery,
                    others=speech.others if condition.engine is not None else (),
                    heard=self._heard_before(),
                    condition=name,
                    other=changed,
                )
                for benchmark in spoken_benchmarks(self.recipe, name)
            }
        return found

    @cached_property
    def transcripts(self) -> dict[str, TranscriptsJob]:
        """What a recogniser hears, by item file and `benchmarks/NAME`."""
        gate = self.recipe.gate
        if gate is None or gate.asr is None:
            return {}
        model = folder("gate.asr.model", gate.asr.model)
        return {
            name: TranscriptsJob(clips=clips, asr=gate.asr, model=model, check=self.folder_check)
            for name, clips in self.clips.items()
            if clips.side == "test" or gate.train != "off"
        }

    @cached_property
    def gates(self) -> dict[str, GateJob]:
        """What is judged, by item file and `benchmarks/NAME`."""
        gate = self.recipe.gate
        if gate is None:
            return {}
        bars = gate.model_copy(update={"asr": None, "train": "off"})
        return {
            name: GateJob(
                data=self.data,
                clips=clips,
                transcripts=self.transcripts.get(name),
                gate=bars,
                check=self.folder_check,
            )
            for name, clips in self.clips.items()
            if clips.side == "test" or gate.train != "off"
        }

    @property
    def leaves_out(self) -> bool:
        """Whether training runs leave out clips that fail the gate."""
        return self.recipe.gate is not None and self.recipe.gate.train == "leave_out"

    @cached_property
    def descriptions(self) -> dict[str, DescriptionsJob]:
        """Described sounds, by item file and `benchmarks/NAME`."""
        settings = self.recipe.descriptions
        if settings is None:
            return {}
        described: dict[str, BenchmarkSource | None] = dict.fromkeys(settings.items)
        if benchmarks_are_described(self.recipe):
            described |= {f"benchmarks/{name}": source for name, source in self.benchmarks.items()}
        folders = generator_folders("descriptions.model", settings.model) if isinstance(settings, ByModel) else ()
        alone = settings.model_copy(update={"items": ()})
        return {
            name: DescriptionsJob(
                data=self.data,
                file=name,
                benchmark=source,
                settings_of=alone,
                folders=folders,
                scale=self.recipe.scale,
                check=self.folder_check,
            )
            for name, source in described.items()
        }

    @cached_property
    def traces(self) -> TracesJob | None:
        """The job of `[traces]`."""
        settings = self.recipe.traces
        if settings is None:
            return None
        folders = generator_folders("traces.teacher", settings.teacher)
        return TracesJob(
            data=self.data, traces=settings, folders=folders, scale=self.recipe.scale, check=self.folder_check
        )

    @cached_property
    def verify(self) -> VerifyJob | None:
        """The job of `[verify]`."""
        settings, drawn = self.recipe.verify, self.traces
        if settings is None or drawn is None:
            return None
        known = Path(settings.known)
        files = (Input("verify.known", settings.known, known),) if known.is_file() else ()
        return VerifyJob(
            data=self.data,
            drawn=drawn,
            verify=settings,
            items=drawn.traces.items,
            folders=(*generator_folders("verify.checker", settings.checker), *files),
            scale=self.recipe.scale,
            check=self.folder_check,
        )

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
        if recipe.attention is not None:
            jobs.append(self.attention(seed))
        return [job for job in jobs if job is not None]

    @_once
    def base(self, seed: int) -> BaseJob | None:
        """The base that the recipe trains."""
        settings = self.recipe.base
        if settings is None:
            return None
        tower = folder("base.tower", settings.tower) if settings.tower is not None else None
        return BaseJob(data=self.data, base=settings, tower=tower, seed=seed, check=self.model_check)

    def encoder(self, seed: int) -> EncoderJob | None:
        """The encoder that the recipe trains."""
        settings = self.recipe.encoder
        if settings is None:
            return None
        return EncoderJob(
            data=self.data,
            clips=self.clips["transcribe"],
            gate=self.gates["transcribe"] if self.leaves_out else None,
            encoder=settings,
            start=folder("encoder.start", settings.start) if settings.start is not None else None,
            seed=seed,
            check=self.model_check,
        )

    @_once
    def source(self, seed: int) -> ModelSource:
        """Where models of one seed come from."""
        model = self.recipe.model
        folders: list[Input | None] = []
        if model is not None:
            folders = [folder("model.base", model.base), self._heard_before()]
        return ModelSource(model=model, base=self.base(seed), folders=tuple(one for one in folders if one is not None))

    @_once
    def _without_ears(self, seed: int) -> ModelSource:
        """The base alone. Ears that it is given, and what else is trained of it, do not count."""
        source = self.source(seed)
        if source.model is None or isinstance(source.model.ears, NativeEars):
            return source
        typed = {"ears": None, "lora": None, "decoder": "frozen"}
        folders = tuple(one for one in source.folders if one.key == "model.base")
        return replace(source, model=source.model.model_copy(update=typed), folders=folders)

    @_once
    def answers(self, seed: int) -> AnswersJob:
        """The job of `[answers]`; it depends on a seed only where each seed has a base of its own."""
        settings, source = self.recipe.answers, self._without_ears(seed)
        assert settings is not None
        own = settings.model == BASE
        return AnswersJob(
            data=self.data,
            answers=settings,
            source=source if own else replace(source, folders=()),
            folder=None if own else folder("answers.model", settings.model),
            descriptions=self.descriptions.get(settings.items) if settings.view in DESCRIBED_VIEWS else None,
            seed=seed if source.base is not None else 0,
            check=self.model_check,
        )

    @_once
    def align(self, seed: int) -> AlignJob | None:
        """The job of `[align]`."""
        settings = self.recipe.align
        if settings is None:
            return None
        material = self._material(settings.data, seed, (settings.view,))
        return AlignJob(source=self.source(seed), align=settings, material=material, seed=seed, check=self.model_check)

    @_once
    def train(self, name: str, seed: int) -> TrainJob:
        """One training run of `[train]`."""
        own = self.recipe.train[name]
        seed = 0 if own.once else seed
        check_views(name, own)
        views, settings = train_views(own), self.recipe.optimisation(name)
        select = settings.select
        return TrainJob(
            title=name,
            source=self.source(seed),
            start=self.trained(own.start, seed),
            train=own,
            training=settings,
            parts=tuple(self._material(part.data, seed, views) for part in own.each),
            mixed={file: self._material(file, seed, views) for file in mixed_in(own)},
            held_out=self._material(select.items, seed, (own.view,)) if select is not None else None,
            heard=self.verify if rewards_claims(own) else None,
            teachers=teacher_folders(name, own),
            seed=seed,
            check=self.model_check,
        )

    @_once
    def choose(self, name: str, seed: int) -> ChooseJob:
        """One choice of `[choose]`."""
        choice = self.recipe.choose[name]
        of = tuple(self.train(one, seed) for one in choice.of)
        reads = {job.name: job for one in of for job in one.needed.values()}
        return ChooseJob(
            title=name, choice=choice, of=of, reads=tuple(reads.values()), seed=seed, check=self.model_check
        )

    def trained(self, name: str, seed: int) -> Trained | None:
        """The job that leaves the ears of model `name`; None for the base, which has none."""
        if name == BASE:
            return None
        if name == ALIGNED:
            return self.align(seed)
        return self.choose(name, seed) if name in self.recipe.choose else self.train(name, seed)

    @_once
    def _material(self, file: str, seed: int, views: tuple[View, ...]) -> Material:
        """What a training run reads of item file `file` to show it under `views`."""
        asked = spoken_file(questions_file(self.recipe, file))
        speaks = any(view in CLIP_VIEWS for view in views)
        described = bool(DESCRIBED_VIEWS & {*views})
        writer: TracesJob | VerifyJob | AnswersJob | None = None
        if file in WRITTEN_BY:
            writer = {"traces": self.traces, "verify": self.verify}.get(WRITTEN_BY[file]) or self.answers(seed)
        return Material(
            data=self.data,
            file=file,
            writer=writer,
            clips=self.clips.get(asked) if speaks else None,
            gate=self.gates.get(asked) if speaks and self.leaves_out else None,
            descriptions=self.descriptions.get(described_file(self.recipe, file)) if described else None,
        )

    @_once
    def evaluations(self, seed: int) -> list[EvaluateJob]:
        """One for the base, whose typed answers all models share, and one for each model that hears."""
        return [one for name in answering(self.recipe) if (one := self._evaluation(name, seed)) is not None]

    @_once
    def condition_evaluations(self, seed: int) -> list[EvaluateJob]:
        """One for each condition and model that is to answer under it."""
        named = [(name, model) for name in self.condition_clips for model in answering_models(self.recipe, name)]
        found = [self._evaluation(model, seed, condition=name) for name, model in named]
        return [one for one in found if one is not None]

    @_once
    def _evaluation(self, model: str, seed: int, condition: str | None = None) -> EvaluateJob | None:
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        own = asked_views(self.recipe, model) if condition is None else spoken_views(self.recipe, model)
        predictions = []
        for name in evaluate.benchmarks if condition is None else self.condition_clips[condition]:
            if shown := tuple(view for view in own if view in evaluate.asked(name)):
                predictions.append(self._prediction(model, name, shown, seed, condition))
        if not predictions:
            return None
        return EvaluateJob(
            model=model,
            data=self.data,
            predictions=tuple(predictions),
            benchmarks=tuple(_benchmark(evaluate, one.benchmark.name, scored=True) for one in predictions),
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
        training = self.recipe.training
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
            descriptions=self.described(name) if condition is None else None,
            condition=condition,
            batch_size=evaluate.batch_size,
            frozen_layers=training.frozen_layers if training is not None else 0,
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
            )
            for name, clips in self.condition_clips.items()
        }

    def asked_benchmarks(self) -> tuple[AskedBenchmark, ...]:
        """What the report reads of each benchmark."""
        evaluate = self.recipe.evaluate
        assert evaluate is not None
        return tuple(
            AskedBenchmark(
                source=_benchmark(evaluate, name, scored=True),
                views=evaluate.views_of.get(name),
                asked=evaluate.asked(name),
                clips=self.clips.get(f"benchmarks/{name}"),
                descriptions=self.described(name),
                gate=self.gates.get(f"benchmarks/{name}"),
            )
            for name in self.benchmarks
        )

    @_once
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


def _benchmark(evaluate: Evaluate, name: str, *, scored: bool = False) -> BenchmarkSource:
    """A benchmark. Unless it is `scored`, how it is scored does not count."""
    own = evaluate.own.get(name)
    return BenchmarkSource(
        name=name,
        own=own if own is None or scored else own.model_copy(update={"scoring": None}),
        file=Input(f"evaluate.own.{name}.file", own.file, Path(own.file)) if own is not None else None,
        limit=evaluate.limit,
        mmalign=evaluate.mmalign if name.startswith("mmalign") else None,
        iemocap=evaluate.iemocap if name == "iemocap" else None,
    )


def _speakers(speech: Speech) -> Speakers:
    return Speakers(
        engine=speech.engine,
        train=speech.train_voices,
        test=speech.test_voices,
        reserved=speech.reserved_voices,
        seed=speech.seed,
    )


def _delivery(speech: Speech, perturb: object) -> Delivery:
    return Delivery(rates_wpm=speech.rates_wpm, pitches=speech.pitches, perturb=perturb)  # type: ignore[arg-type]
