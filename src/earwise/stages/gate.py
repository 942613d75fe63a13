"""Stages `gate.transcripts/FILE` and `gate/FILE`: clips are transcribed, then judged; also results without the
failures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from earwise.evaluate.summary import ScoreTable, summarise_models
from earwise.io.messages import counted
from earwise.recipe.model import BASE
from earwise.records import Item, Score
from earwise.speech.clips import load_clip, read_clips
from earwise.speech.gate import Check, Heard, check, count, listen
from earwise.speech.recovered import RoundTrip
from earwise.stages.data import shown_items
from earwise.stages.jobs.gate import GateJob, TranscriptsJob
from earwise.stages.jobs.report import ReportJob
from earwise.stages.speech import telling_how_to_repair
from earwise.work.job import StageContext
from earwise.work.store import Store, read_json, read_store, write_atomic

HEARD, CHECKS, COUNTS = "heard.jsonl", "checks.jsonl", "gate.json"
SPELLING = "spelling.json"
"""British to American spelling, from the recogniser."""


def failures(context: StageContext, gate: GateJob | None) -> dict[str, tuple[str, ...]]:
    """Reasons by item for the clips that a training run leaves out; empty without a gate."""
    if gate is None:
        return {}
    return {one.item: one.reasons for one in read_store(context.folder_of(gate) / CHECKS, Check) if not one.passed}


def transcribe(context: StageContext, job: TranscriptsJob) -> None:
    """Transcribe every clip."""
    # Imported here because it needs torch and a model, and a gate that only checks the signal does not.
    from earwise.speech.transcriber import HuggingFaceTranscriber

    transcriber = HuggingFaceTranscriber(job.asr)
    write_atomic(context.folder / SPELLING, json.dumps(transcriber.spelling, indent=1) + "\n")
    folder = context.folder_of(job.clips)
    clips = read_clips(folder).clips
    with telling_how_to_repair(folder), Store(context.folder / HEARD, Heard) as store:
        done = listen(clips, folder, transcriber, job.asr.batch_size, store)
        for _ in context.track(done, -(-len(clips) // job.asr.batch_size), f"listening to {job.clips.file}"):
            pass


def heard_by_item(context: StageContext, job: TranscriptsJob) -> dict[str, str]:
    """The transcripts of a recogniser, by item."""
    return {one.item: one.text for one in read_store(context.folder_of(job) / HEARD, Heard)}


def judge(context: StageContext, job: GateJob) -> None:
    """Judge every clip, and count the failures."""
    listened = context.folder_of(job.transcripts) if job.transcripts is not None else None
    trip = RoundTrip(read_json(listened / SPELLING) if listened else {})
    heard = heard_by_item(context, job.transcripts) if job.transcripts is not None else None
    items = shown_items(context, job.data, job.clips.file, job.clips.benchmark)
    counts = count(_check_all(context, job, items, heard, trip))
    context.say(f"gate: {job.clips.file}: {_in_words(counts)}")
    write_atomic(context.folder / COUNTS, json.dumps(counts, indent=2) + "\n")


def _check_all(
    context: StageContext, job: GateJob, items: Sequence[Item], heard: Mapping[str, str] | None, trip: RoundTrip
) -> list[Check]:
    """Judge every clip that is not judged yet; returns the checks of all clips."""
    folder = context.folder_of(job.clips)
    item_of = {item.id: item for item in items}
    clips = read_clips(folder).clips
    path = context.folder / CHECKS
    with telling_how_to_repair(folder), Store(path, Check) as store:
        for clip in context.track(clips, len(clips), f"judging {job.clips.file}"):
            if clip.item not in store:
                text = heard[clip.item] if heard is not None else None
                store.append(check(clip, item_of[clip.item], load_clip(clip, folder), text, trip, job.gate))
    return read_store(path, Check)


def _in_words(found: Mapping[str, Any]) -> str:
    """`300 clips, 12 failed (wer 9, numbers 5), word error rate 2.1 %`."""
    why = ", ".join(f"{reason} {clips}" for reason, clips in found["reasons"].items())
    wer = "" if found["wer"] is None else f", word error rate {100 * found['wer']:.1f} %"
    return f"{counted(found['clips'], 'clip')}, {found['failed']} failed{f' ({why})' if why else ''}{wer}"


def summarise_gate(
    context: StageContext, job: ReportJob, scores: Mapping[int, Sequence[Score]]
) -> dict[str, Any] | None:
    """The entry `gate` of `summary.json`: counts by place, and all results on the items whose clips passed. Benchmarks
    with fewer than two clusters left have no interval and are left out. None without `[gate]`.
    """
    tested = {one.source.name: one.gate for one in job.benchmarks if one.gate is not None}
    if not tested:
        return None
    passed = {
        (name, one.item)
        for name, gate in tested.items()
        for one in read_store(context.folder_of(gate) / CHECKS, Check)
        if one.passed
    }
    kept = {seed: [score for score in many if (score.source, score.item) in passed] for seed, many in scores.items()}
    clusters = {(score.source, score.cluster) for many in kept.values() for score in many}
    enough = {name for name, _ in clusters if sum(source == name for source, _ in clusters) > 1}
    kept = {seed: [score for score in many if score.source in enough] for seed, many in kept.items()}
    models = summarise_models(ScoreTable.of(kept, BASE), job.text_view, job.speech_view) if enough else {}
    return {"clips": _counts(context, job, tested), "models": models}


def _counts(context: StageContext, job: ReportJob, tested: Mapping[str, GateJob]) -> dict[str, Any]:
    """Counts by place; for training files also how many clips the training runs left out."""
    counts: dict[str, Any] = {}
    for gate in job.gated:
        found = read_json(context.folder_of(gate) / COUNTS)
        counts[gate.clips.file] = found | {"left_out": found["failed"] if job.leaves_out else 0}
    return counts | {gate.clips.file: read_json(context.folder_of(gate) / COUNTS) for gate in tested.values()}
