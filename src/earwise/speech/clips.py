"""Items to clips: made in parallel, cached by content, resumed after a killed run.

A clip folder holds

    clips.jsonl     a store of `Clip`s, in the order of the items
    dropped.jsonl   a store of `Drop`s: items that cannot be spoken, with the reason
    wav/AB/ABCDEF...wav   mono 16-bit 16 kHz, named by the hash of everything that decides the samples
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from earwise.data.asr import recording_of
from earwise.data.media import MAX_CLIP_S, Waveform, check_waveform, load_audio, save_wav, waveform_sha256
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.recipe.speech import Perturb
from earwise.records import SAMPLE_RATE_HZ, Clip, Item, Record
from earwise.speech.cast import Cast, Delivery, cast_of, draw_delivery
from earwise.speech.drop import TOO_LONG, Drop
from earwise.speech.engine import SpeechEngine, check_voice
from earwise.speech.recorded import Cut, check_suffixes, cut_all
from earwise.speech.spoken_form import FORM_VERSION, spoken_form
from earwise.work.parallel import ProcessPool, Workers, map_in_threads
from earwise.work.progress import track
from earwise.work.store import Store, read_store

CLIPS: Final = "clips.jsonl"
DROPPED: Final = "dropped.jsonl"

JOBS_WORTH_A_WORKER: Final = 64
"""Starting a process takes as long as speaking about a hundred questions."""

log = logging.getLogger(__name__)

J = TypeVar("J", "_Job", Cut)


@dataclass(frozen=True)
class ClipSet:
    """The clips of a folder, and the items without one, both in the order of the items."""

    folder: Path
    clips: list[Clip]
    dropped: list[Drop]


@dataclass(frozen=True)
class _Job:
    item: Item
    delivery: Delivery
    speak_suffix: bool
    key: str


def make_clips(
    items: Sequence[Item],
    folder: str | Path,
    engine: Callable[[], SpeechEngine],
    *,
    voices: Sequence[str],
    rates: tuple[float, float],
    pitches: tuple[float, float],
    seed: int = 0,
    workers: int = 1,
    pool: Callable[[int], Workers] = ProcessPool,
    speak_suffix: bool = False,
    audio: Path | None = None,
    perturbation: Perturb | None = None,
    others: Sequence[Cast] = (),
) -> ClipSet:
    """Speak the question and the options of every item; afterwards `folder` holds exactly these clips.

    The clip of an item with a recording (`earwise.data.asr.recording_of`) is cut out of it. Existing clips are kept;
    clips of other items or settings leave the store, and their WAV files stay as a cache. Items that cannot be spoken,
    silent clips and clips that are too long are dropped with their reason.

    Args:
        items: items with distinct ids.
        folder: the clip folder; made if needed.
        engine: opens the engine in each worker process; must be picklable for more than one worker
            (`functools.partial(open_engine, settings)`). A script that uses several workers needs the usual
            `if __name__ == "__main__"`.
        voices: one voice is drawn for each item.
        rates: range in words per minute.
        pitches: range on espeak's scale of 0 to 99.
        seed: seed of the draws.
        workers: number of processes, or of threads for an engine that waits for a server.
        pool: makes the worker processes, if there are enough jobs for more than one.
        speak_suffix: whether an item's answer-format request is spoken after its query.
        audio: folder of the audio paths of recorded items.
        perturbation: perturbation of recorded clips; engines perturb their own clips.
        others: engines that speak a share of the items in place of `engine`.

    Raises `InputError` for an unknown voice, duplicate ids, a recording without the suffix that should be spoken, and
    if no item can be spoken.
    """
    folder = Path(folder)
    if speak_suffix:
        check_suffixes(items, audio or folder)
    cuts = _cuts(items, folder, perturbation, seed) if audio is not None else {}
    to_speak = [item for item in items if item.id not in cuts]
    _check_ids(items)
    casts = [Cast(engine, voices, rates, pitches), *others]
    parts = _share_out(to_speak, casts, seed, speak_suffix) if to_speak or not items else []
    jobs = [job for part in parts for job in part.jobs]
    every: list[_Job | Cut] = [*jobs, *cuts.values()]
    keys = {job.key for job in every}
    _forget_others(folder / CLIPS, Clip, keys)
    _forget_others(folder / DROPPED, Drop, keys)
    with Store(folder / CLIPS, Clip) as clips, Store(folder / DROPPED, Drop) as dropped:
        stores = _Stores(clips, dropped)
        for part in parts:
            if new := stores.missing(part.jobs):
                stores.keep(new, _speak_all(new, folder, part, workers, pool), "speaking")
        if audio is not None and (uncut := stores.missing(cuts.values())):
            useful = _worth(workers, uncut)
            done = cut_all(uncut, folder, audio, None if useful == 1 else pool(useful))
            stores.keep(uncut, done, "cutting recordings")
    return _finished(folder, items)


@dataclass(frozen=True)
class _Part:
    engine: Callable[[], SpeechEngine]
    opened: SpeechEngine
    jobs: list[_Job]


def _share_out(items: Sequence[Item], casts: Sequence[Cast], seed: int, speak_suffix: bool) -> list[_Part]:
    parts = [_Part(cast.engine, cast.engine(), []) for cast in casts]
    for cast, part in zip(casts, parts, strict=True):
        _check_voices(cast.voices, part.opened)
    for item in items:
        number = cast_of(item.id, [cast.share for cast in casts[1:]], seed)
        cast, part = casts[number], parts[number]
        how = draw_delivery(item.id, cast.voices, cast.rates, cast.pitches, seed)
        part.jobs.append(_Job(item, how, speak_suffix, _job_key(item, how, speak_suffix, part.opened.name)))
    return parts


@dataclass(frozen=True)
class _Stores:
    clips: Store[Clip]
    dropped: Store[Drop]

    def missing(self, jobs: Iterable[J]) -> list[J]:
        return [job for job in jobs if job.key not in self.clips and job.key not in self.dropped]

    def keep(self, jobs: Sequence[_Job | Cut], results: Iterator[Clip | Drop], doing: str) -> None:
        """Write each result under its job's key as soon as it is ready."""
        for job, result in track(zip(jobs, results, strict=True), len(jobs), doing):
            if isinstance(result, Clip):
                self.clips.append(result, key=job.key)
            else:
                self.dropped.append(result, key=job.key)


def _cuts(items: Sequence[Item], file: Path, perturbation: Perturb | None, seed: int) -> dict[str, Cut]:
    recorded = {item.id: (item, recording) for item in items if (recording := recording_of(item, file)) is not None}
    return {
        name: Cut(item, recording, perturbation, draw_delivery(name, ["-"], (1, 1), (1, 1), seed).seed)
        for name, (item, recording) in recorded.items()
    }


def _worth(workers: int, jobs: Sequence[object]) -> int:
    """The number of workers that this many jobs justify, at most `workers`."""
    return min(workers, len(jobs) // JOBS_WORTH_A_WORKER + 1)


def _speak_all(
    jobs: Sequence[_Job], folder: Path, part: _Part, workers: int, pool: Callable[[int], Workers]
) -> Iterator[Clip | Drop]:
    workers = _worth(workers, jobs)
    if workers == 1:
        return map(_Speaker(part.opened, folder), jobs)
    if part.opened.waits:
        return map_in_threads(_Speaker(part.opened, folder), jobs, workers)
    return pool(workers).map(functools.partial(_open_speaker, part.engine, folder), jobs)


def read_clips(folder: str | Path) -> ClipSet:
    """The clips and drops of a folder that `make_clips` filled. Raises `InputError` if there are none."""
    folder = Path(folder)
    return ClipSet(folder, read_store(folder / CLIPS, Clip), read_store(folder / DROPPED, Drop))


def load_clip(clip: Clip, folder: str | Path) -> Waveform:
    """The samples of `clip`, from `folder`. Raises `InputError` naming the file if they differ from its record."""
    path = Path(folder) / clip.path
    samples = load_audio(path)
    remedy = "delete the file and run again"
    if len(samples) != clip.num_samples:
        what = f"has {len(samples)} samples, the clip has {clip.num_samples}"
        raise InputError(what, file=path, record=clip.key, remedy=remedy)
    if waveform_sha256(samples) != clip.sha256:
        raise InputError("has other samples than when it was made", file=path, record=clip.key, remedy=remedy)
    return samples


def _check_voices(voices: Sequence[str], engine: SpeechEngine) -> None:
    if not voices:
        raise InputError("no voice to speak with")
    known = engine.voices()
    for voice in voices if known else ():
        check_voice(voice, known, engine.name)


def _check_ids(items: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError("duplicate item id", record=item.id, remedy="give each item its own id")
        seen.add(item.id)


def _finished(folder: Path, items: Sequence[Item]) -> ClipSet:
    """The records of the folder in the order of `items`; a store is in the order of its writing."""
    done = read_clips(folder)
    place = {item.id: number for number, item in enumerate(items)}
    done.clips.sort(key=lambda clip: place[clip.item])
    done.dropped.sort(key=lambda drop: place[drop.item])
    if items and not done.clips:
        first = done.dropped[0]
        raise InputError(f"none of {counted(len(items), 'item')} can be spoken: {first.reason}", record=first.item)
    if done.dropped:
        log.warning("%s: %d of %d items have no clip, see %s", folder, len(done.dropped), len(items), DROPPED)
    return done


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _job_key(item: Item, how: Delivery, speak_suffix: bool, engine: str) -> str:
    """The item's id, and a hash of everything that decides its clip."""
    suffix = item.suffix if speak_suffix else None
    text = (item.question, item.choices, suffix, FORM_VERSION)
    return f"{item.id}@{_digest(text, engine, how.voice, how.rate, how.pitch, how.seed)[:24]}"


def _forget_others(path: Path, model: type[Record], keys: set[str]) -> None:
    """Delete a store with records outside of `keys`; wanted clips are listed again from their WAV files."""
    if not path.exists():
        return
    with Store(path, model) as store:
        others = sum(key not in keys for key in store.keys())  # noqa: SIM118 - a store iterates over records
    if others:
        log.info("%s: %d records of other items or settings, listed anew", path, others)
        path.unlink()


class _Speaker:
    def __init__(self, engine: SpeechEngine, folder: Path) -> None:
        self._engine, self._folder = engine, folder

    def __call__(self, job: _Job) -> Clip | Drop:
        item, how, engine = job.item, job.delivery, self._engine
        form = spoken_form(item.question, item.choices, suffix=item.suffix if job.speak_suffix else "")
        if form.unspeakable:
            return Drop(item=item.id, text=item.question, reason=form.unspeakable)
        name = _digest(form.text, form.version, engine.name, how.voice, how.rate, how.pitch, how.seed)
        relative = f"wav/{name[:2]}/{name}.wav"
        samples = _cached(self._folder / relative)
        if samples is None:
            samples = engine.speak(form.text, how.voice, how.rate, how.pitch, how.seed)
            try:
                check_waveform(samples, relative)
            except InputError as error:
                reason = f"{engine.name} with voice {how.voice}: {error.what}"
                return Drop(item=item.id, text=item.question, reason=reason)
            save_wav(self._folder / relative, samples)
        if len(samples) > MAX_CLIP_S * SAMPLE_RATE_HZ:
            return Drop(item=item.id, text=item.question, reason=TOO_LONG)
        return Clip(
            item=item.id,
            spoken=form.text,
            form_version=form.version,
            engine=engine.name,
            voice=how.voice,
            rate=how.rate,
            pitch=how.pitch,
            seed=how.seed,
            path=relative,
            num_samples=len(samples),
            sha256=waveform_sha256(samples),
        )


def _open_speaker(engine: Callable[[], SpeechEngine], folder: Path) -> _Speaker:
    return _Speaker(engine(), folder)


def _cached(path: Path) -> Waveform | None:
    """The samples of a file from an earlier run; None if there is none, or a power cut left it broken."""
    if not path.is_file():
        return None
    try:
        return load_audio(path)
    except InputError as error:
        log.warning("%s, spoken again", error)
        return None
