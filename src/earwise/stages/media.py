"""Stage `data.media`: checks everything that the recipe shows, before hours of work."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from earwise.data.descriptions import FILE as DESCRIPTIONS
from earwise.data.descriptions import read_descriptions
from earwise.data.media import load_image, resolve
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.recipe.data import CorporaData, FolderData
from earwise.records import Item
from earwise.stages.data import BENCHMARKS, SEEN, benchmark_items, data_folder, items_of
from earwise.stages.jobs.data import MediaJob, ShownFile
from earwise.views import DESCRIBED_VIEWS, HEARD, View, view_spec
from earwise.work.job import StageContext
from earwise.work.store import read_json


def work(context: StageContext, job: MediaJob) -> None:
    """Read every item file and benchmark, and check that its items have the media that its views show."""
    folder = data_folder(context, job.data)
    images: dict[Path, str] = {}
    for file in job.files:
        items = items_of(context, job.data, file.name)
        context.say(f"data: {file.name}: {counted(len(items), 'item')}")
        _check(job, file, items, folder / f"{file.name}.jsonl", folder)
        images |= _images(items, folder)
    for source, file in zip(job.benchmarks, job.shown, strict=True):
        items = benchmark_items(source, folder, job.profile)
        context.say(f"data: benchmark {file.name}: {counted(len(items), 'item')}")
        _check(job, file, items, folder / BENCHMARKS / file.name, folder / BENCHMARKS)
        images |= _images(items, folder / BENCHMARKS)
    if isinstance(job.data.source, FolderData | CorporaData):
        _check_images(context, images, _seen(context, job, images))


def _check(job: MediaJob, shown: ShownFile, items: Sequence[Item], file: Path, folder: Path) -> None:
    for key, views in shown.views.items():
        _check_media(views, key, items, file)
        if job.bring_descriptions and DESCRIBED_VIEWS & {*views}:
            check_described(items, folder)


def _seen(context: StageContext, job: MediaJob, images: Iterable[Path]) -> set[Path]:
    """Those of `images` that were decoded while mixing corpora."""
    folder = context.folder_of(job.data)
    seen = {*read_json(folder / SEEN)} if (folder / SEEN).is_file() else set()
    return {path for path in images if os.path.relpath(path, folder) in seen}


def _check_media(views: Sequence[View], key: str, items: Iterable[Item], file: Path) -> None:
    """Check that items have the sounds and videos of the views that the recipe names at `key`."""
    for view in views:
        context = view_spec(view).context
        for item in items:
            if (context in HEARD and not (item.audio or item.video)) or (context == "video" and not item.video):
                lacking = "sound" if context in HEARD else "video"
                remedy = f"leave {view!r} out of {key}, or name the item's media"
                raise InputError(
                    f"the item has no {lacking} for view {view!r}", file=file, record=item.id, remedy=remedy
                )


def check_described(items: Iterable[Item], folder: Path) -> None:
    """Check that the items' own file has descriptions of all items, when no stage describes sounds."""
    remedy = "describe the sounds there, or by a table [descriptions]"
    if not (folder / DESCRIPTIONS).is_file():
        raise InputError("no such file, but a view shows descriptions", file=folder / DESCRIPTIONS, remedy=remedy)
    texts = read_descriptions(folder / DESCRIPTIONS)
    for item in items:
        if item.id not in texts:
            raise InputError("no description of this item", file=folder / DESCRIPTIONS, record=item.id, remedy=remedy)


def _images(items: Iterable[Item], folder: Path) -> dict[Path, str]:
    """Every image, with the id of an item that shows it."""
    return {resolve(folder, item.image): item.id for item in items if item.image is not None}


def _check_images(context: StageContext, images: dict[Path, str], seen: Collection[Path]) -> None:
    """Decode every image once. All are decoded before the first broken one is reported, to report their number."""
    unseen = {path: item for path, item in images.items() if path not in seen}
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
