"""Answers of a model under several views.

A score under `sound_text` always has its controls (`controls.with_controls`). Views without audio do not depend on the
ears, because the base is never changed: they are answered once for the base and shared by all models built on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from earwise.errors import InputError
from earwise.evaluate.controls import swap_sounds, with_controls
from earwise.io.messages import counted
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import Item, Prediction, Score, View
from earwise.views import TRANSCRIPT_VIEWS, Context, is_spoken, view_spec
from earwise.work.progress import track
from earwise.work.store import Store

log = logging.getLogger(__name__)

_CONTEXTS: Final[tuple[Context, ...]] = (
    "image", "video", "sound", "silence", "other_sound", "description", "none",
)  # fmt: skip
"""Views of one context share a prefix and are answered together."""


@dataclass(frozen=True)
class Asker:
    """How questions are asked. `instruction` asks the model for a transcript, unless `transcripts` has those of a
    recogniser by item; `voices` names the voice of each item's clip; `seed` assigns the sounds of `sound_swapped`.
    """

    views: tuple[View, ...]
    batch_size: int
    max_new_tokens: int
    instruction: str
    voices: dict[str, str]
    seed: int = 0
    transcripts: Mapping[str, str] | None = None


def run_benchmark(
    model: OmniModel, name: str, source: str, samples: Sequence[Sample], ask: Asker, store: Store[Prediction]
) -> None:
    """Answer every sample of benchmark `source` under every view, except answers already in `store`.

    `sound_text` also runs its controls. Batches are cut from the whole benchmark, even if some answers exist, so that a
    resumed run computes the same as an uninterrupted one.

    Args:
        model: with ears if any view is heard.
        name: of the model, in predictions.
        source: name of the benchmark.
        samples: single-turn.
        ask: views, batch size, voices.
        store: receives the predictions.
    """
    # Neighbours of similar length waste little padding.
    ask = replace(ask, views=with_controls(ask.views))
    if "sound_swapped" in ask.views:
        swapped = swap_sounds(samples, ask.seed)
        samples = swapped.samples
        if swapped.same_answer:
            log.warning("%s: %d swapped sounds belong to the same answer", source, swapped.same_answer)
    ordered = sorted(samples, key=lambda sample: (_length(sample), sample.key))
    batches = [ordered[i : i + ask.batch_size] for i in range(0, len(ordered), ask.batch_size)]
    for batch in track(batches, len(batches), f"{name} on {source}"):
        if all(_key(source, sample, view, name) in store for sample in batch for view in ask.views):
            continue
        for sample, view, text, heard in _answers(model, batch, ask):
            if _key(source, sample, view, name) not in store:
                item = sample.turns[0].item.id
                voice = ask.voices.get(item) if is_spoken(view) else None
                found = Prediction(item=item, source=source, model=name, view=view, text=text, voice=voice, heard=heard)
                store.append(found)


def _answers(model: OmniModel, batch: list[Sample], ask: Asker) -> Iterable[tuple[Sample, View, str, str | None]]:
    """Every sample's answer under every view; views about the same image share one prefix."""
    heard: Sequence[str | None] = [None] * len(batch)
    shown = batch
    if TRANSCRIPT_VIEWS & {*ask.views}:
        given = ask.transcripts
        heard = (
            [given[sample.key] for sample in batch]
            if given is not None
            else list(transcribe(model, batch, ask.instruction, ask.max_new_tokens))
        )
        shown = [
            replace(sample, turns=(replace(sample.turns[0], heard=text),))
            for sample, text in zip(batch, heard, strict=True)
        ]
    for context in _CONTEXTS:
        views = [view for view in ask.views if view_spec(view).context == context]
        if not views:
            continue
        answers = model.generate_views(shown, views=views, max_new_tokens=ask.max_new_tokens)
        for view in views:
            for sample, text, transcript in zip(batch, answers[view], heard, strict=True):
                yield sample, view, text, transcript if view in TRANSCRIPT_VIEWS else None


def _length(sample: Sample) -> int:
    """Audio samples of the question and its context."""
    return sample.turns[0].num_samples + (sample.sound.num_samples if sample.sound is not None else 0)


def transcribe(model: OmniModel, samples: Sequence[Sample], instruction: str, max_new_tokens: int) -> list[str]:
    """Transcripts of the samples' clips, asked with the alignment instruction."""
    asked = []
    for sample in samples:
        turn = sample.turns[0]
        item = turn.item.model_copy(update={"instruction": instruction})
        asked.append(replace(sample, turns=(replace(turn, item=item, suffix=""),)))
    # A transcript is as long as its question; an answer is short.
    longest = max(len(model.family.tokenizer.encode(s.turns[0].text)) for s in samples)
    return model.generate(asked, view="speech_only", max_new_tokens=max(max_new_tokens, 2 * longest))


def _key(source: str, sample: Sample, view: View, name: str) -> str:
    return f"{source}|{sample.turns[0].item.id}|{view}|{name}"


def check_pairing(scores: Sequence[Score], items: Sequence[Item], view: View) -> None:
    """Raise `InputError` unless `scores` has exactly one score per item under `view`."""
    scored = [score.item for score in scores if score.view == view]
    missing = {item.id for item in items} - set(scored)
    if missing or len(scored) != len(set(scored)):
        what = "an item is scored twice"
        if missing:
            what = f"{counted(len(missing), 'item has', 'items have')} no answer, e.g. {min(missing)}"
        raise InputError(f"view {view}: {what}", remedy="run the evaluate stage again")
