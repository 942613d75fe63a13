"""The jobs that speak, filter clips, and generate what teachers say."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from earwise.planning.compile_data import FromData
from earwise.planning.inputs import folder, generator_folders
from earwise.recipe.model import PretrainedEars
from earwise.recipe.speech import Speech
from earwise.recipe.teach import ByModel
from earwise.recipe.uses import (
    benchmarks_are_described,
    speaks_suffix,
    spoken_benchmarks,
    spoken_files,
)
from earwise.stages.jobs.data import BenchmarkSource
from earwise.stages.jobs.gate import GateJob, TranscriptsJob
from earwise.stages.jobs.speech import Delivery, Speakers, SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob, TracesJob, VerifyJob
from earwise.views import TRANSCRIPT_VIEWS
from earwise.work.job import Input


class FromSpeech(FromData):
    """The jobs of `[speech]`, `[conditions]`, `[gate]`, `[descriptions]`, `[traces]` and `[verify]`."""

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
    def recognised(self) -> dict[tuple[str | None, str], TranscriptsJob]:
        """What the recogniser of the cascade hears, by condition (None for the test itself) and benchmark."""
        evaluate = self.recipe.evaluate
        asr = evaluate.recogniser if evaluate is not None else None
        if evaluate is None or asr is None:
            return {}
        model = folder("evaluate.recogniser.model", asr.model)
        asked = [name for name in evaluate.benchmarks if TRANSCRIPT_VIEWS & {*evaluate.asked(name)}]
        spoken: list[tuple[str | None, dict[str, SpeechJob]]] = [*self.condition_clips.items()]
        spoken.append((None, {name: self.clips[f"benchmarks/{name}"] for name in asked if self.clips}))
        return {
            (condition, name): TranscriptsJob(
                reader="evaluate", clips=clips, asr=asr, model=model, check=self.folder_check
            )
            for condition, by_name in spoken
            for name, clips in by_name.items()
            if name in asked
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
