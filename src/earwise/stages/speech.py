"""Stages `speech/FILE`: speaks the questions of an item file or benchmark; training and test share no voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from earwise.data.llava import TYPED
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.models.shipped import TRAINING
from earwise.recipe.speech import Engine, OtherSpeakers
from earwise.records import Item
from earwise.speech.cast import Cast
from earwise.speech.clips import CLIPS, ClipSet, make_clips, read_clips
from earwise.speech.engine import open_engine
from earwise.speech.perturbed import opener
from earwise.speech.recorded import check_suffixes
from earwise.speech.voices import split_voices, variant
from earwise.stages.data import data_folder, media_folder, shown_items
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.scale import cores, pool_of
from earwise.work.job import StageContext
from earwise.work.progress import duration
from earwise.work.store import read_json


@contextmanager
def telling_how_to_repair(speech_folder: Path) -> Iterator[None]:
    """Adds to an error about a clip in `speech_folder` its item, and how to make it again."""
    try:
        yield
    except InputError as error:
        if error.file is None or speech_folder not in Path(error.file).parents:
            raise
        path = Path(error.file)
        folder = next((parent for parent in path.parents if (parent / CLIPS).is_file()), speech_folder)
        remedy = f"delete the folder {folder} and run again: all clips are made again as they were"
        raise InputError(error.what, file=error.file, record=_owner(folder, path), remedy=remedy) from None


def _owner(folder: Path, path: Path) -> str | None:
    """Id of the item whose clip in `folder` is `path`."""
    clips = read_clips(folder).clips if (folder / CLIPS).is_file() else ()
    return next((clip.item for clip in clips if folder / clip.path == path), None)


def work(context: StageContext, job: SpeechJob) -> None:
    """Speak every question of the job's item file or benchmark."""
    items = shown_items(context, job.data, job.file, job.benchmark)
    media = media_folder(data_folder(context, job.data), job.benchmark)
    voices, others = voices_of(job), other_casts(job)
    if job.heard is not None:
        check_unheard(job.heard.path / TRAINING, voices)
    if job.suffix:
        check_suffixes(items, media)
    for other in others:
        context.say(f"{job.name}: another engine speaks {other.share:.0%}: {', '.join(other.voices)}")
    told = ", ".join(voices) if job.side == "test" else counted(len(voices), "voice")
    context.say(f"{job.name}: {'test voices' if job.side == 'test' else 'training'}: {told}")
    made = _speak(context, job, items, media, voices, others)
    kept = {context.folder / clip.path for clip in made.clips}
    for stale in {*context.folder.rglob("*.wav")} - kept:
        stale.unlink()
    say_made(context, made)


def engine_of(job: SpeechJob) -> Engine:
    """The condition's engine, or that of `[speech]`."""
    return (job.other.engine if job.other is not None else None) or job.speakers.engine


def voices_of(job: SpeechJob) -> list[str]:
    """The voices of the job's side. A condition has the test's voices or its own, never those of training."""
    who, own = job.speakers, job.other.voices if job.other is not None else None
    engine = engine_of(job)
    known = open_engine(engine).voices()
    if engine != who.engine:
        assert own is not None
        heard = [voice for other in job.others if other.engine == engine for voice in _voices_of_other(other, who.seed)]
        return split_voices(known, heard, own, who.seed)[1]
    train, test = split_voices(known, who.train, who.test, who.seed, reserved=who.reserved)
    if own is not None:
        return split_voices(known, train, own, who.seed)[1]
    return train if job.side == "train" else test


def _voices_of_other(other: OtherSpeakers, seed: int) -> list[str]:
    return split_voices(open_engine(other.engine).voices(), other.voices, (), seed)[0]


def check_unheard(path: Path, test: Sequence[str]) -> None:
    """Raise `InputError` if a pretrained encoder was trained on a test speaker, according to the file `path`."""
    if not path.is_file():
        return
    for voice in test:
        if variant(voice) in read_json(path)["speakers"]:
            what = f"the encoder was trained on the speaker {variant(voice)!r}, so {voice!r} cannot be a test voice"
            raise InputError(what, file=path, remedy="draw or name other [speech] test_voices")


def other_casts(job: SpeechJob) -> list[Cast]:
    """The other engines of training with their voices, opened when needed."""
    if job.side == "test":
        return []
    return [
        Cast(
            opener(other.engine, job.delivery.perturb),
            _voices_of_other(other, job.speakers.seed),
            other.rates_wpm or job.delivery.rates_wpm,
            other.pitches or job.delivery.pitches,
            other.share,
        )
        for other in job.others
    ]


def _speak(
    context: StageContext,
    job: SpeechJob,
    items: Sequence[Item],
    media: Path,
    voices: Sequence[str],
    others: Sequence[Cast],
) -> ClipSet:
    """Clips of `items`, whose media paths are relative to `media`; questions that stay typed get none."""
    engine, delivery = engine_of(job), job.delivery
    runs_model = any(one.type == "huggingface" for one in (engine, *(other.engine for other in job.others)))
    return make_clips(
        [item for item in items if not item.meta.get(TYPED)],
        context.folder,
        opener(engine, delivery.perturb),
        voices=voices,
        rates=delivery.rates_wpm,
        pitches=delivery.pitches,
        seed=job.speakers.seed,
        workers=job.workers or cores(job.scale),
        pool=pool_of(job.scale, runs_model=runs_model),
        speak_suffix=job.suffix,
        audio=media,
        perturbation=delivery.perturb,
        others=others,
    )


def say_made(context: StageContext, made: ClipSet) -> None:
    """Print the number and length of the clips, and why items have none."""
    length, name = duration(sum(clip.duration_s for clip in made.clips)), context.stage.name
    context.say(f"{name}: {counted(len(made.clips), 'clip')}, {length} long, {len(made.dropped)} dropped")
    for reason in sorted({drop.reason for drop in made.dropped}):
        context.say(f"{name}: dropped {sum(d.reason == reason for d in made.dropped)}: {reason}")
