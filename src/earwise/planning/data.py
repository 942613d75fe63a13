"""Material of a plan: a few items of each item file with their clips, and the dropped items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.items import read_items
from earwise.data.llava import TYPED
from earwise.data.media import Waveform
from earwise.models.sample import Sample
from earwise.planning.descriptions import planned_descriptions
from earwise.recipe.checks import part_views, questions_file
from earwise.recipe.data import CorporaData, FolderData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.model import SOUND_S
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import EspeakSettings, Speech
from earwise.recipe.uses import used_item_files
from earwise.records import SAMPLE_RATE_HZ, Item, View
from earwise.speech.clips import make_clips
from earwise.speech.drop import Drop
from earwise.speech.engine import SpeechEngine, open_engine
from earwise.speech.perturbed import opener
from earwise.speech.spoken_form import spoken_form
from earwise.speech.voices import split_voices
from earwise.stages.corpora import open_pool
from earwise.stages.data import write_micro, write_micro_feelings, write_micro_sounds
from earwise.stages.samples import sample_items
from earwise.views import DESCRIBED_VIEWS

SAMPLED: Final = 24
"""Conversations per item file from which lengths are measured."""
READ: Final = 2_000
"""Items per file whose spoken form is made, to find unspeakable texts."""
_SMALL: Final = "a small laboratory with the same settings stands for the whole one"


@dataclass(frozen=True)
class Material:
    """The part of an item file that a plan uses."""

    name: str
    total: int
    """Items in it (conversations, of corpora)."""
    unit: str
    samples: list[Sample]
    notes: list[str]
    """Notes on dropped items, and on the source of lengths."""


class Estimate:
    """An engine that only estimates durations."""

    name, waits = "estimate", False

    def voices(self) -> list[str]:
        """Any name will do."""
        return []

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """Noise with the duration of the words at `rate`."""
        seconds = 60 * max(1, len(spoken.split())) / rate
        noise = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE_HZ)) * 0.1
        return noise.astype(np.float32)


def look(recipe: Recipe, folder: Path) -> dict[str, Material]:
    """Sample every item file of the recipe's training runs; temporary files are in `folder`."""
    names = used_item_files(recipe)
    source = recipe.data
    if isinstance(source, MicroData):
        return _look_at_lab(recipe, source, names, folder)
    if isinstance(source, MicroSounds):
        return _look_at_sounds(recipe, source, names, folder)
    if isinstance(source, MicroFeelings):
        return _look_at_feelings(recipe, source, names, folder)
    if isinstance(source, FolderData):
        root = Path(source.path)
        found = {name: read_items(root / f"{name}.jsonl") for name in names}
        return {name: _material(recipe, name, items, len(items), [], root, folder) for name, items in found.items()}
    return _look_at_corpora(recipe, source, names, folder)


def _look_at_lab(recipe: Recipe, source: MicroData, names: Sequence[str], folder: Path) -> dict[str, Material]:
    lab = folder / "lab"
    small = {"train_images": SAMPLED, "validation_images": 1, "test_images": 30, "transcribe_items": SAMPLED}
    sizes = {key: min(getattr(source, key), most) for key, most in small.items()}
    write_micro(lab, source.model_copy(update=sizes))
    totals = dict.fromkeys(("train", "train_other"), source.train_images * source.turns_per_image)
    totals["validation"] = source.validation_images * source.turns_per_image
    totals |= {"scan": source.train_images, "transcribe": source.transcribe_items}
    return {
        name: _material(recipe, name, read_items(lab / f"{name}.jsonl"), totals[name], [_SMALL], lab, folder)
        for name in names
    }


def _look_at_sounds(recipe: Recipe, source: MicroSounds, names: Sequence[str], folder: Path) -> dict[str, Material]:
    lab = folder / "lab"
    sizes = {key: min(getattr(source, key), SAMPLED) for key in MicroSounds.model_fields if key.endswith("_clips")}
    write_micro_sounds(lab, source.model_copy(update={**sizes, "guard_items": min(source.guard_items, SAMPLED)}))
    clips = {name: getattr(source, f"{name}_clips") for name in ("train", "validation", "seen", "listen")}
    totals = {name: count * source.questions_per_clip for name, count in clips.items()}
    totals |= {"events": source.event_clips, "replay": source.guard_items}
    totals |= {"noted": totals["listen"] + source.listen_clips, "read": source.read_clips * source.questions_per_clip}
    totals["transcribe"] = 2 * totals["train"]  # an upper bound: a repeated question is spoken once
    return {
        name: _material(recipe, name, read_items(lab / f"{name}.jsonl"), totals[name], [_SMALL], lab, folder)
        for name in names
    }


def _look_at_feelings(recipe: Recipe, source: MicroFeelings, names: Sequence[str], folder: Path) -> dict[str, Material]:
    lab = folder / "lab"
    counted = [key for key in MicroFeelings.model_fields if key.endswith(("_clips", "_utterances", "_texts"))]
    write_micro_feelings(lab, source.model_copy(update={key: min(getattr(source, key), SAMPLED) for key in counted}))
    each = source.questions_per_clip
    totals = {
        "train": source.train_clips * each + source.train_utterances,
        "validation": source.validation_clips * each + source.validation_utterances,
        "listen": source.listen_clips * each,
        "talk": source.talk_utterances * 2,
        "events": source.event_clips,
        "say": source.say_utterances,
        "read": source.read_texts * (each + 1),
    }
    return {
        name: _material(recipe, name, read_items(lab / f"{name}.jsonl"), totals[name], [_SMALL], lab, folder)
        for name in names
    }


def _look_at_corpora(recipe: Recipe, source: CorporaData, names: Sequence[str], folder: Path) -> dict[str, Material]:
    materials = {}
    root = folder / "corpora"
    for name in names:
        pool = open_pool(name, source.pools[name], source.seed, root)
        total = len(pool.mixture)
        items = [item for place in range(min(total, SAMPLED)) for item in pool.conversation(place)]
        notes = [f"{part.name}: {line}" for part in pool.parts for line in part.conversations.drops.lines()]
        materials[name] = _material(recipe, name, items, total, notes, root, folder, unit="conversations")
    return materials


def _material(
    recipe: Recipe,
    name: str,
    items: list[Item],
    total: int,
    notes: list[str],
    root: Path,
    folder: Path,
    unit: str = "items",
) -> Material:
    """`items`, whose media paths are relative to `root`, with clips of the first of them."""
    few = _spread(items, SAMPLED) if unit == "items" else items
    if recipe.speech is None:
        return Material(name, total, unit, _samples(recipe, name, few, root, None, notes.append), notes)
    notes = [*notes, *_unspeakable(_spread(items, READ))]
    clips = folder / "clips" / name
    how, made = _speak(recipe.speech, few, root, clips)
    lost = Counter(drop.reason for drop in made)
    notes += [f"of {len(few)} that were spoken, dropped {count}: {reason}" for reason, count in lost.items()]
    notes += [] if lost else [f"of {len(few)} that were spoken, none is dropped"]
    if recipe.gate is not None and recipe.gate.train == "leave_out":
        notes.append("what fails the gate is left out, too: `earwise gate` says how much")
    return Material(name, total, unit, _samples(recipe, name, few, root, clips, lambda _: None), [*notes, how])


def _samples(
    recipe: Recipe, name: str, items: Sequence[Item], root: Path, clips: Path | None, say: Callable[[str], None]
) -> list[Sample]:
    """Samples of the item file `name`, prepared for every view of a training run."""
    views: set[View] = set()
    for train in recipe.train.values():
        for part in train.mixture.values():
            if questions_file(recipe, part.data) == name:
                views.update(part_views(part))
    longest = recipe.model.longest_sound if recipe.model is not None else SOUND_S
    samples = sample_items(items, root, clips, say, views=views, longest_s=longest)
    return planned_descriptions(recipe, samples, root, say) if DESCRIBED_VIEWS & views else samples


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of `items`, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def _unspeakable(items: Sequence[Item]) -> list[str]:
    """Notes on texts that cannot be spoken."""
    asked = [item for item in items if not item.meta.get(TYPED)]
    reasons = Counter(spoken_form(item.question, item.choices).unspeakable for item in asked)
    return [f"of {len(asked)} texts, dropped {n}: {reason}" for reason, n in reasons.items() if reason is not None]


def _speak(settings: Speech, items: Sequence[Item], root: Path, folder: Path) -> tuple[str, list[Drop]]:
    """Clips of `items` by the recipe's engine if it is available, else noise of about the right length."""
    engine: Callable[[], SpeechEngine] = Estimate
    voices = ["any"]
    low, high = settings.rates_wpm
    how = f"lengths are estimates at {low:g} to {high:g} words per minute"
    if isinstance(settings.engine, EspeakSettings):
        engine = opener(settings.engine, settings.perturb)
        known = open_engine(settings.engine).voices()
        voices = split_voices(
            known, settings.train_voices, settings.test_voices, settings.seed, reserved=settings.reserved_voices
        )[0]
        how = "lengths are those of clips by espeak-ng"
    made = make_clips(
        [item for item in items if not item.meta.get(TYPED)],
        folder,
        engine,
        voices=voices,
        rates=settings.rates_wpm,
        pitches=settings.pitches,
        seed=settings.seed,
        audio=root,
        perturbation=settings.perturb,
    )
    if all(clip.engine == "recording" for clip in made.clips):
        how = "lengths are those of the recordings"
    return how, made.dropped
