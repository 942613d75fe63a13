"""The sound laboratory's benchmarks in the formats of the public files: AVQA, MMAU and MUSIC-AVQA.

AVQA is the training domain. MMAU's three tasks are the shifted domain (`sound`) and the two guards (`music`, `speech`).
MUSIC-AVQA asks about the instruments in AVQA's clips, with that benchmark's cells and closed vocabulary.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earwise.data.media import save_wav
from earwise.micro.sounds.clips import Clip, Group, chain_line, questions_about, write_clips, write_lines
from earwise.micro.sounds.guards import Guard, Speaker, ask_melody
from earwise.micro.sounds.questions import Kind, Question
from earwise.micro.sounds.sounding import AWAY
from earwise.micro.sounds.words import INSTRUMENTS, NUMBERS
from earwise.micro.sounds.world import Shares, kinds_of, times
from earwise.work.store import write_atomic

if TYPE_CHECKING:
    from earwise.micro.feelings.utterances import WordQuestion

AVQA_TYPES: Final[dict[Kind, str]] = {
    "existence": "Which",
    "order": "Before Next",
    "count": "Happening",
    "comparison": "When",
}
"""Question type of AVQA for each kind of question; results are reported by type."""

MMAU_SOUNDS: Final = "test-mini-audios"
"""Folder of MMAU's sounds."""

Json = dict[str, Any]


def write_benchmarks(folder: Path, seed: int, clips: int, questions: int, shares: Shares) -> None:
    """Write `val_qa.json`, `avqa-test.json` and `mmau-test-mini.json` with their media, and `truth.jsonl`.

    Args:
        folder: the folder `benchmarks`.
        seed: seed of the clips.
        clips: number of clips of AVQA, of MMAU's sounds, and of each guard.
        questions: number of questions about each clip; guards have one.
        shares: shares of things that are only seen or only heard.

    `truth.jsonl` has the true chain of every clip of AVQA and of MMAU's sounds under the item's cluster,
    `visible.jsonl` the events that AVQA's videos show.
    """
    test = list(write_clips(folder, Group("test", clips, "test", shares), seed))
    write_json(folder / "val_qa.json", avqa_records(questions_about(test, questions)))
    write_json(folder / "avqa-test.json", _music_avqa(test))
    away = Group("away", clips, "test", shares, AWAY, audio=MMAU_SOUNDS, video=None)
    sounds = list(write_clips(folder, away, seed))
    rows = [
        mmau_record(key, str(clip.audio), "sound", question.kind, question.form, question)
        for clip, key, question in questions_about(sounds, questions)
    ]
    write_json(folder / "mmau-test-mini.json", [*rows, *_mmau_guards(folder, seed, clips)])
    truth = [chain_line(clip.name, str(clip.audio), clip.scene.heard) for clip in test]
    truth += [chain_line(str(clip.audio), str(clip.audio), clip.scene.heard) for clip in sounds]
    write_lines(folder / "truth.jsonl", truth)
    write_lines(folder / "visible.jsonl", (chain_line(c.name, str(c.audio), c.scene.seen) for c in test))


def avqa_records(asked: Iterable[tuple[Clip, str, Question]]) -> Iterator[Json]:
    """Records of an AVQA file."""
    for clip, key, question in asked:
        yield {
            "id": key,
            "video_name": clip.name,
            "question_text": question.text,
            "question_type": AVQA_TYPES[question.kind],
            "question_relation": "Sound",
            "multi_choice": list(question.options),
            "answer": question.options.index(question.right),
        }


def write_json(path: Path, records: Iterable[Json]) -> None:
    """Write a JSON array with one record per line."""
    write_atomic(path, "[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n")


def guards(seed: int, side: str, count: int) -> Iterator[tuple[str, Guard]]:
    """`count` items of each guard with names, in turn; the sides `train` and `test` have different voices."""
    speaker = Speaker("test" if side == "test" else "train")
    for index in range(count):
        for task, make in (("speech", speaker.ask), ("music", ask_melody)):
            name = f"{task}-{side}-{index:06d}"
            yield name, make(random.Random(f"{seed}/{name}"))


def _mmau_guards(folder: Path, seed: int, count: int) -> Iterator[Json]:
    for name, guard in guards(seed, "test", count):
        audio = f"{MMAU_SOUNDS}/{name}.wav"
        save_wav(folder / audio, guard.samples)
        yield mmau_record(name, audio, guard.task, guard.form, guard.voice or guard.form, guard)


def mmau_record(
    key: str, audio: str, task: str, category: str, sub_category: str, asked: Question | Guard | WordQuestion
) -> Json:
    """A record of an MMAU file."""
    return {
        "id": key,
        "audio_id": f"./{audio}",
        "question": asked.text,
        "choices": list(asked.options),
        "answer": asked.right,
        "dataset": "earwise",
        "task": task,
        "split": "test-mini",
        "category": category,
        "sub-category": sub_category,
        "difficulty": "medium",
    }


def _music_avqa(clips: Iterable[Clip]) -> Iterator[Json]:
    """One question for each clip with an instrument, from the four cells in turn, as far as the clip allows."""
    turn = 0
    for clip in clips:
        makers = [_MUSIC[(turn + step) % len(_MUSIC)] for step in range(len(_MUSIC))]
        asked = next((made for make in makers if (made := make(clip)) is not None), None)
        if asked is None:
            continue
        cell, text, values, answer = asked
        yield {
            "video_id": clip.name,
            "question_id": turn,
            "type": json.dumps(cell),
            "question_content": text,
            "templ_values": json.dumps(values),
            "question_deleted": 0,
            "anser": answer,
        }
        turn += 1


_Asked = tuple[list[str], str, list[str], str]


def _existential(clip: Clip) -> _Asked | None:
    if not _played(clip):
        return None
    kind = clip.rng.choice(INSTRUMENTS)
    answer = "yes" if kind in _played(clip) else "no"
    return ["Audio-Visual", "Existential"], "Is the <Object> in the video heard?", [kind], answer


def _counting(clip: Clip) -> _Asked | None:
    played = _played(clip)
    text = "How many different instruments are heard in the video?"
    return (["Audio", "Counting"], text, [], NUMBERS[len(played)]) if played else None


def _comparative(clip: Clip) -> _Asked | None:
    if len(_played(clip)) < 2:
        return None
    one, two = clip.rng.sample(_played(clip), 2)
    counts = times(clip.scene.heard)
    text = "Is the <Object> heard more often than the <Object>?"
    return ["Audio", "Comparative"], text, [one, two], "yes" if counts[one] > counts[two] else "no"


def _temporal(clip: Clip) -> _Asked | None:
    """Clips of this domain have one event per slot, so exactly one instrument is first."""
    played = _played(clip)
    text = "Which instrument is heard first in the video?"
    return (["Audio-Visual", "Temporal"], text, [], played[0]) if len(played) > 1 else None


_MUSIC: Final[tuple[Callable[[Clip], _Asked | None], ...]] = (_existential, _counting, _comparative, _temporal)


def _played(clip: Clip) -> list[str]:
    """The heard instruments, in order of time."""
    return [kind for kind in kinds_of(clip.scene.heard) if kind in INSTRUMENTS]
