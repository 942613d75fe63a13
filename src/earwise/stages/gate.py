"""Stages `gate.transcripts` and `gate`: every clip is written down, then judged; what the results are without failures.

They are two, so that other thresholds do not listen again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earwise.data.items import read_items
from earwise.evaluate.summary import ScoreTable, summarise_models
from earwise.io.messages import counted
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Gate
from earwise.records import Item, Score, View
from earwise.speech.clips import load_clip, read_clips
from earwise.speech.gate import Check, Heard, check, count, listen
from earwise.speech.recovered import RoundTrip
from earwise.stages.data import benchmark_items
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.gate import NAME, TRANSCRIPTS, gate_needed
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.speech import clip_folder, spoken_files
from earwise.stages.speech import telling_how_to_repair
from earwise.work.run import StageContext
from earwise.work.store import Store, read_json, read_store, write_atomic

HEARD, CHECKS, COUNTS = "heard.jsonl", "checks.jsonl", "gate.json"
SPELLING = "spelling.json"
"""British to American spelling, as the recogniser brings it."""


def _judged(recipe: Recipe, folder: Path) -> dict[str, Sequence[Item]]:
    """Items by the place of their clips: each benchmark, and the training files where they are asked for."""
    assert recipe.gate is not None
    files = {f"benchmarks/{name}": items for name, items in benchmark_items(recipe, folder).items()}
    named = spoken_files(recipe) if recipe.gate.train != "off" else []
    return {**{name: read_items(folder / f"{name}.jsonl") for name in named}, **files}


def failures(context: StageContext, recipe: Recipe, name: str) -> dict[str, tuple[str, ...]]:
    """Reasons by item for the clips that item file `name` is not trained on; empty where a training takes all."""
    if not gate_needed(recipe):
        return {}
    checks = clip_folder(context.folder_of(NAME), name) / CHECKS
    return {one.item: one.reasons for one in read_store(checks, Check) if not one.passed}


def transcribe(context: StageContext, recipe: Recipe) -> None:
    """Write down every clip."""
    # Opening a recogniser imports torch and loads a model; a gate that looks at samples only should not wait for it.
    from earwise.speech.transcriber import HuggingFaceTranscriber

    assert recipe.gate is not None
    assert recipe.gate.asr is not None
    transcriber = HuggingFaceTranscriber(recipe.gate.asr)
    write_atomic(context.folder / SPELLING, json.dumps(transcriber.spelling, indent=1) + "\n")
    for place in _judged(recipe, data_folder(recipe, context.folder_of(DATA))):
        folder = clip_folder(context.folder_of(SPEECH), place)
        clips = read_clips(folder).clips
        with telling_how_to_repair(context.folder_of(SPEECH)), Store(context.folder / place / HEARD, Heard) as store:
            done = listen(clips, folder, transcriber, recipe.gate.asr.batch_size, store)
            for _ in context.track(done, -(-len(clips) // recipe.gate.asr.batch_size), f"listening to {place}"):
                pass


def judge(context: StageContext, recipe: Recipe) -> None:
    """Judge every clip, and count what failed."""
    gate = recipe.gate
    assert gate is not None
    listened = context.folder_of(TRANSCRIPTS) if gate.asr else None
    trip = RoundTrip(read_json(listened / SPELLING) if listened else {})
    counts = {}
    for place, items in _judged(recipe, data_folder(recipe, context.folder_of(DATA))).items():
        heard = {one.item: one.text for one in read_store(listened / place / HEARD, Heard)} if listened else None
        checks = _check_all(context, place, items, heard, trip, gate)
        counts[place] = count(checks)
        context.say(f"gate: {place}: {_in_words(counts[place])}")
    write_atomic(context.folder / COUNTS, json.dumps(counts, indent=2) + "\n")


def _check_all(
    context: StageContext,
    place: str,
    items: Sequence[Item],
    heard: Mapping[str, str] | None,
    trip: RoundTrip,
    gate: Gate,
) -> list[Check]:
    """Judge every clip of one place that is not judged yet; the checks of all of them."""
    folder = clip_folder(context.folder_of(SPEECH), place)
    item_of = {item.id: item for item in items}
    clips = read_clips(folder).clips
    path = context.folder / place / CHECKS
    with telling_how_to_repair(context.folder_of(SPEECH)), Store(path, Check) as store:
        for clip in context.track(clips, len(clips), f"judging {place}"):
            if clip.item not in store:
                text = heard[clip.item] if heard is not None else None
                store.append(check(clip, item_of[clip.item], load_clip(clip, folder), text, trip, gate))
    return read_store(path, Check)


def _in_words(found: Mapping[str, Any]) -> str:
    """`300 clips, 12 failed (wer 9, numbers 5), word error rate 2.1 %`."""
    why = ", ".join(f"{reason} {clips}" for reason, clips in found["reasons"].items())
    wer = "" if found["wer"] is None else f", word error rate {100 * found['wer']:.1f} %"
    return f"{counted(found['clips'], 'clip')}, {found['failed']} failed{f' ({why})' if why else ''}{wer}"


def summarise_gate(
    context: StageContext, recipe: Recipe, scores: Mapping[int, Sequence[Score]], text: View, speech: View
) -> dict[str, Any] | None:
    """What `summary.json` says about the gate: counts by place, and all results on the items whose clips passed.

    A benchmark of which less than two clusters are left has no interval and is left out. None without `[gate]`.
    """
    if recipe.gate is None or recipe.evaluate is None:
        return None
    folder = context.folder_of(NAME)
    passed = {
        (name, one.item)
        for name in recipe.evaluate.benchmarks
        for one in read_store(folder / "benchmarks" / name / CHECKS, Check)
        if one.passed
    }
    kept = {seed: [score for score in many if (score.source, score.item) in passed] for seed, many in scores.items()}
    clusters = {(score.source, score.cluster) for many in kept.values() for score in many}
    enough = {name for name, _ in clusters if sum(source == name for source, _ in clusters) > 1}
    kept = {seed: [score for score in many if score.source in enough] for seed, many in kept.items()}
    models = summarise_models(ScoreTable.of(kept, BASE), text, speech) if enough else {}
    return {"clips": _counts(recipe, folder), "models": models}


def _counts(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Counts by place; those of training files with how many of their clips the trainings left out."""
    counts: dict[str, Any] = read_json(folder / COUNTS)
    for name in spoken_files(recipe):
        if name in counts:
            counts[name]["left_out"] = counts[name]["failed"] if gate_needed(recipe) else 0
    return counts
