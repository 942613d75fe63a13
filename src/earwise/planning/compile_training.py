"""The jobs that train, and what they start from and learn from."""

from __future__ import annotations

from dataclasses import replace

from earwise.planning.check_jobs import check_views
from earwise.planning.compile_data import once
from earwise.planning.compile_speech import FromSpeech
from earwise.planning.inputs import folder, teacher_folders
from earwise.recipe.checks import described_file, part_views, questions_file
from earwise.recipe.model import ALIGNED, BASE, NativeEars
from earwise.recipe.train import WRITTEN_BY
from earwise.recipe.uses import (
    rewards_claims,
    spoken_file,
)
from earwise.stages.jobs.evaluation import Trained
from earwise.stages.jobs.models import AnswersJob, BaseJob, EncoderJob, ModelSource
from earwise.stages.jobs.teach import TracesJob, VerifyJob
from earwise.stages.jobs.training import AlignJob, ChooseJob, Material, TrainJob
from earwise.views import CLIP_VIEWS, DESCRIBED_VIEWS, View
from earwise.work.job import Input


class FromTraining(FromSpeech):
    """The jobs of `[base]`, `[encoder]`, `[answers]`, `[align]`, `[train]` and `[choose]`."""

    @once
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

    @once
    def source(self, seed: int) -> ModelSource:
        """Where models of one seed come from."""
        model = self.recipe.model
        folders: list[Input | None] = []
        if model is not None:
            folders = [folder("model.base", model.base), self._heard_before()]
        return ModelSource(model=model, base=self.base(seed), folders=tuple(one for one in folders if one is not None))

    @once
    def _without_ears(self, seed: int) -> ModelSource:
        """The base alone. Ears that it is given, and what else is trained of it, do not count."""
        source = self.source(seed)
        if source.model is None or isinstance(source.model.ears, NativeEars):
            return source
        typed = {"ears": None, "lora": None, "decoder": "frozen"}
        folders = tuple(one for one in source.folders if one.key == "model.base")
        return replace(source, model=source.model.model_copy(update=typed), folders=folders)

    @once
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

    @once
    def align(self, seed: int) -> AlignJob | None:
        """The job of `[align]`."""
        settings = self.recipe.align
        if settings is None:
            return None
        material = self._material(settings.data, seed, (settings.view,))
        return AlignJob(source=self.source(seed), align=settings, material=material, seed=seed, check=self.model_check)

    @once
    def train(self, name: str, seed: int) -> TrainJob:
        """One training run of `[train]`."""
        own = self.recipe.train[name]
        seed = 0 if own.once else seed
        check_views(name, own)
        settings = self.recipe.optimisation(name)
        select = settings.select
        return TrainJob(
            title=name,
            source=self.source(seed),
            start=self.trained(own.start, seed),
            train=own,
            training=settings,
            parts=tuple(self._material(part.data, seed, part_views(part)) for part in own.mixture.values()),
            held_out=self._material(select.items, seed, (own.view,)) if select is not None else None,
            heard=self.verify if rewards_claims(own) else None,
            teachers=teacher_folders(name, own),
            seed=seed,
            check=self.model_check,
        )

    @once
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

    @once
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
