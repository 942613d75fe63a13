"""Stage `data`: items, media and benchmarks, made by a micro laboratory, read from a folder or from corpora."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from earwise.data.aro import Draw
from earwise.data.broken_media import MediaCheck
from earwise.data.descriptions import FILE as DESCRIPTIONS
from earwise.data.descriptions import read_descriptions
from earwise.data.items import read_items
from earwise.data.media import load_image, resolve
from earwise.errors import InputError
from earwise.evaluate.benchmarks.asked import load_asked
from earwise.io.messages import counted
from earwise.micro.feelings.lab import FeelingsLabSize, write_feelings_lab
from earwise.micro.lab import LabSize, write_lab
from earwise.micro.sounds.lab import SoundLabSize, write_sound_lab
from earwise.recipe.checks import keyed_parts, part_views, questions_file
from earwise.recipe.data import CorporaData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.evaluate import Iemocap, MMAlign
from earwise.recipe.recipe import Recipe
from earwise.records import Item, View
from earwise.stages.corpora import write_corpora
from earwise.stages.declared.data import data_folder, used_item_files
from earwise.views import DESCRIBED_VIEWS, HEARD, view_spec
from earwise.work.run import StageContext


def work(context: StageContext, recipe: Recipe) -> None:
    """Write the items, or read those that are there, and check what the recipe reads of them."""
    seen: list[MediaCheck] = []
    if isinstance(recipe.data, MicroData):
        write_micro(context.folder, recipe.data)
    elif isinstance(recipe.data, MicroSounds):
        write_micro_sounds(context.folder, recipe.data)
    elif isinstance(recipe.data, MicroFeelings):
        write_micro_feelings(context.folder, recipe.data)
    elif isinstance(recipe.data, CorporaData):
        seen = write_corpora(context, recipe.data)
    folder = data_folder(recipe, context.folder)
    images: dict[Path, str] = {}
    for name in used_item_files(recipe):
        items = read_items(folder / f"{name}.jsonl")
        context.say(f"data: {name}: {counted(len(items), 'item')}")
        for train, own in recipe.train.items():
            for key, part in keyed_parts(f"train.{train}", own):
                if questions_file(recipe, part.data) == name:
                    _check_media(part_views(part), key, items, folder / f"{name}.jsonl")
                    _check_described(recipe, part_views(part), items, folder)
        images |= _images(items, folder)
    for name, items in benchmark_items(recipe, folder).items():
        context.say(f"data: benchmark {name}: {counted(len(items), 'item')}")
        assert recipe.evaluate is not None
        shown, key = recipe.evaluate.asked(name), "evaluate.views"
        key = f"{key}_of.{name}" if name in recipe.evaluate.views_of else key
        _check_media(shown, key, items, folder / "benchmarks" / name)
        _check_described(recipe, shown, items, folder / "benchmarks")
        images |= _images(items, folder / "benchmarks")
    if not isinstance(recipe.data, MicroData | MicroSounds | MicroFeelings):
        _check_images(context, images, seen)


def _check_media(views: Sequence[View], key: str, items: Iterable[Item], file: Path) -> None:
    """Views of sounds and videos, which the recipe names at `key`, need items that have them: found here, not when they
    are shown.
    """
    for view in views:
        context = view_spec(view).context
        for item in items:
            if (context in HEARD and not (item.audio or item.video)) or (context == "video" and not item.video):
                lacking = "sound" if context in HEARD else "video"
                remedy = f"leave {view!r} out of {key}, or name the item's media"
                raise InputError(
                    f"the item has no {lacking} for view {view!r}", file=file, record=item.id, remedy=remedy
                )


def _check_described(recipe: Recipe, views: Sequence[View], items: Iterable[Item], folder: Path) -> None:
    """Where no stage describes sounds, items that are shown by description bring a file of their own."""
    if recipe.descriptions is not None or not DESCRIBED_VIEWS & {*views}:
        return
    remedy = "describe the sounds there, or by a table [descriptions]"
    if not (folder / DESCRIPTIONS).is_file():
        raise InputError("no such file, and a view shows descriptions", file=folder / DESCRIPTIONS, remedy=remedy)
    texts = read_descriptions(folder / DESCRIPTIONS)
    for item in items:
        if item.id not in texts:
            raise InputError("no description of this item", file=folder / DESCRIPTIONS, record=item.id, remedy=remedy)


def _images(items: Iterable[Item], folder: Path) -> dict[Path, str]:
    """Every image that items show, with the id of one that does."""
    return {resolve(folder, item.image): item.id for item in items if item.image is not None}


def _check_images(context: StageContext, images: dict[Path, str], seen: Sequence[MediaCheck]) -> None:
    """Decode every image once: a broken one must be found before hours of training, not after.

    All of them are looked at before the first broken one is named, so that it is known how many there are.
    """
    unseen = {path: item for path, item in images.items() if not any(check.was_seen(path) for check in seen)}
    broken: list[tuple[str, InputError]] = []
    for path, item in context.track(unseen.items(), len(unseen), "data: images"):
        try:
            load_image(path)
        except InputError as error:
            broken.append((item, InputError(error.what, file=path, remedy=error.remedy)))
    if broken:
        item, first = broken[0]
        more = f"; {len(broken)} images are broken, `earwise audit` names them all" if broken[1:] else ""
        raise InputError(first.what + more, file=first.file, record=item, remedy=first.remedy)
    context.say(f"data: {counted(len(images), 'image is', 'images are')} whole")


def write_micro(folder: Path, settings: MicroData) -> None:
    """The laboratory that `settings` describe."""
    size = LabSize(
        train_images=settings.train_images,
        validation_images=settings.validation_images,
        test_images=settings.test_images,
        turns_per_image=settings.turns_per_image,
        transcribe_items=settings.transcribe_items,
        random_share=settings.random_share,
        random_words=settings.random_words,
        emphasis={str(kind): times for kind, times in settings.emphasis.items()},
    )
    write_lab(folder, seed=settings.seed, size=size, label_noise=settings.label_noise)


def write_micro_sounds(folder: Path, settings: MicroSounds) -> None:
    """The laboratory of sounds that `settings` describe."""
    write_sound_lab(folder, settings.seed, SoundLabSize(**settings.model_dump(exclude={"source", "seed"})))


def write_micro_feelings(folder: Path, settings: MicroFeelings) -> None:
    """The laboratory of feelings that `settings` describe."""
    write_feelings_lab(folder, settings.seed, FeelingsLabSize(**settings.model_dump(exclude={"source", "seed"})))


def benchmark_items(recipe: Recipe, folder: Path) -> dict[str, list[Item]]:
    """Items of every benchmark that the recipe evaluates on, cut to `[evaluate] limit`."""
    if recipe.evaluate is None:
        return {}
    loaded = {}
    asked = recipe.evaluate.mmalign or MMAlign()
    draw = Draw(None if asked.count == "all" else asked.count, asked.seed, asked.crop, asked.symmetric)
    chosen = {"mmalign": draw, "iemocap": (recipe.evaluate.iemocap or Iemocap()).sessions}
    for name in recipe.evaluate.benchmarks:
        items = load_asked(name, folder / "benchmarks", chosen, recipe.evaluate.own, recipe.evaluate.profile)
        items = items[: recipe.evaluate.limit]
        if len({item.cluster for item in items}) < 2:
            what = f"{counted(len(items), 'item')} of one cluster: no interval can be given"
            remedy = "a benchmark needs items about two images at least"
            raise InputError(what, file=folder / "benchmarks", record=name, remedy=remedy)
        loaded[name] = items
    return loaded


def transcribe_instruction(folder: Path) -> str:
    """The typed request that a model is aligned on and that asks it for a transcript."""
    path = folder / "transcribe.jsonl"
    instructions = {item.instruction for item in read_items(path)}
    if len(instructions) != 1:
        raise InputError(
            f"{counted(len(instructions), 'different instruction')}, one is needed to ask for a transcript", file=path
        )
    return instructions.pop()
