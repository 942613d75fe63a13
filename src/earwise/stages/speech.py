"""Stage `speech`: every query that is heard in training or in a test is spoken, by voices that the two do not share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from earwise.data.items import read_items
from earwise.data.llava import TYPED
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.models.shipped import TRAINING, model_folder
from earwise.recipe.model import PretrainedEars
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Perturb, Speech
from earwise.records import Item
from earwise.speech.cast import Cast
from earwise.speech.clips import CLIPS, ClipSet, make_clips, read_clips
from earwise.speech.engine import open_engine
from earwise.speech.perturbed import opener
from earwise.speech.recorded import check_suffixes
from earwise.speech.voices import split_voices, variant
from earwise.stages.data import benchmark_items
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.speech import clip_folder, speaks_suffix, spoken_files
from earwise.stages.scale import cores, pool_of
from earwise.work.progress import duration
from earwise.work.run import StageContext
from earwise.work.store import read_json


@contextmanager
def telling_how_to_repair(speech_folder: Path) -> Iterator[None]:
    """Where a clip in `speech_folder` is found to be unusable, say whose it is and how it is made again."""
    try:
        yield
    except InputError as error:
        if error.file is None or speech_folder not in Path(error.file).parents:
            raise
        owner = _owner(speech_folder, Path(error.file))
        remedy = f"delete the folder {speech_folder} and run again: all clips are made again as they were"
        raise InputError(error.what, file=error.file, record=owner, remedy=remedy) from None


def _owner(speech_folder: Path, path: Path) -> str | None:
    """Id of the item whose clip is `path`."""
    folders = [clips.parent for clips in speech_folder.rglob(CLIPS)]
    return next((c.item for folder in folders for c in read_clips(folder).clips if folder / c.path == path), None)


def work(context: StageContext, recipe: Recipe) -> None:
    """Speak every query, by voices that training and test do not share."""
    settings = recipe.speech
    assert settings is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    voices = open_engine(settings.engine).voices()
    train, test = split_voices(voices, settings.train_voices, settings.test_voices, settings.seed)
    check_unheard(recipe, test)
    if speaks_suffix(recipe):  # before hours are spent on training clips
        for items in benchmark_items(recipe, folder).values():
            check_suffixes(items, folder / "benchmarks")
    others = other_casts(settings)
    for other, cast in zip(settings.others, others, strict=True):
        context.say(f"speech: {other.engine.type} speaks {cast.share:.0%} of training: {', '.join(cast.voices)}")
    context.say(f"speech: {counted(len(train), 'voice')} for training; test voices: {', '.join(test)}")
    for name in spoken_files(recipe):
        items = read_items(folder / f"{name}.jsonl")
        _speak(context, recipe, items, folder, name, train, settings.perturb, others=others)
    for name, items in benchmark_items(recipe, folder).items():
        place = f"benchmarks/{name}"
        suffix = speaks_suffix(recipe)
        _speak(context, recipe, items, folder / "benchmarks", place, test, settings.test_perturb, suffix)


def check_unheard(recipe: Recipe, test: Sequence[str]) -> None:
    """A pretrained encoder that says who it was trained on must meet new speakers in the test."""
    ears = recipe.model.ears if recipe.model is not None else None
    path = Path(model_folder(ears.path)) / TRAINING if isinstance(ears, PretrainedEars) else None
    if path is None or not path.is_file():
        return
    for voice in test:
        if variant(voice) in read_json(path)["speakers"]:
            what = f"the encoder was trained on the speaker {variant(voice)!r}, so {voice!r} cannot be a test voice"
            raise InputError(what, file=path, remedy="draw or name other [speech] test_voices")


def other_casts(settings: Speech) -> list[Cast]:
    """The other engines of training, opened when they are needed, with their voices."""
    return [
        Cast(
            opener(other.engine, settings.perturb),
            split_voices(open_engine(other.engine).voices(), other.voices, (), settings.seed)[0],
            other.rates_wpm or settings.rates_wpm,
            other.pitches or settings.pitches,
            other.share,
        )
        for other in settings.others
    ]


def _speak(
    context: StageContext,
    recipe: Recipe,
    items: Sequence[Item],
    folder: Path,
    name: str,
    voices: Sequence[str],
    perturbation: Perturb | None,
    suffix: bool = False,
    others: Sequence[Cast] = (),
) -> None:
    """Clips of `items`, whose media paths are relative to `folder`; a question that stays typed needs none."""
    settings = recipe.speech
    assert settings is not None
    runs_model = any(
        one.type == "huggingface" for one in (settings.engine, *(other.engine for other in settings.others))
    )
    made = make_clips(
        [item for item in items if not item.meta.get(TYPED)],
        clip_folder(context.folder, name),
        opener(settings.engine, perturbation),
        voices=voices,
        rates=settings.rates_wpm,
        pitches=settings.pitches,
        seed=settings.seed,
        workers=settings.workers or cores(recipe.scale),
        pool=pool_of(recipe.scale, runs_model=runs_model),
        speak_suffix=suffix,
        audio=folder,
        perturbation=perturbation,
        others=others,
    )
    say_made(context, name, made)


def say_made(context: StageContext, name: str, made: ClipSet) -> None:
    """Tell how many clips of `name` there are, how long they are, and why items have none."""
    length = duration(sum(clip.duration_s for clip in made.clips))
    context.say(f"speech: {name}: {counted(len(made.clips), 'clip')}, {length} long, {len(made.dropped)} dropped")
    for reason in sorted({drop.reason for drop in made.dropped}):
        context.say(f"speech: {name}: dropped {sum(d.reason == reason for d in made.dropped)}: {reason}")
