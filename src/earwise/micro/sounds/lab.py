"""Write a sound laboratory: clips with known truth, questions about them, and benchmarks in public formats."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from earwise.data.avqa import read_avqa
from earwise.data.choices import LETTERS
from earwise.data.descriptions import FILE as DESCRIPTIONS
from earwise.data.descriptions import Description
from earwise.data.items import read_items
from earwise.data.media import save_wav
from earwise.micro.lab import spoken_words
from earwise.micro.sounds.benchmarks import avqa_records, guards, write_benchmarks, write_json
from earwise.micro.sounds.chains import chain_of, target
from earwise.micro.sounds.clips import (
    Clip,
    Group,
    chain_line,
    questions_about,
    spelled_out,
    write_clips,
    write_lines,
)
from earwise.micro.sounds.guards import Guard
from earwise.micro.sounds.questions import Question
from earwise.micro.sounds.words import SOUND_VOCABULARY
from earwise.micro.sounds.world import Shares
from earwise.records import Item
from earwise.work.store import write_jsonl

WRITE_DOWN = "write down what you hear"
"""Request for the true chain of a sound."""
WRITE_WORDS = "Write down what is said:"
"""Typed before words to transcribe."""
_RANDOM_WORDS = 6
"""Words of the longest random string to transcribe."""


@dataclass(frozen=True)
class SoundLabSize:
    """Amounts to write, and shares of things that are only seen or only heard."""

    train_clips: int = 2_000
    validation_clips: int = 200
    test_clips: int = 500
    """Clips of the training domain, of the shifted domain, and of each guard."""
    seen_clips: int = 2_000
    listen_clips: int = 2_000
    event_clips: int = 2_000
    known_clips: int = 300
    guard_items: int = 1_000
    """Training items of the guards: half speech, half music."""
    questions_per_clip: int = 3
    silent_share: float = 0.15
    """Share of the things that are seen and not heard."""
    unseen_share: float = 0.10
    """Share of the things that are heard and not seen."""
    read_clips: int = 2
    """Clips that exist only as text."""


def write_sound_lab(folder: Path, seed: int = 0, size: SoundLabSize = SoundLabSize()) -> None:
    """Write a laboratory into `folder`; the same arguments give the same bytes.

    Item files, with their options inside the question and answers in words:

    - `train.jsonl`, `validation.jsonl`: sound and video, from `train_qa.json` and `validation_qa.json` in AVQA's format
    - `seen.jsonl`: video only, of clips in which everything seen is heard; answers are chains with the answer
    - `listen.jsonl`: sound only, answers without a chain
    - `events.jsonl`: sound only, requests for the true chains
    - `noted.jsonl`: for each sound of `listen.jsonl`, the request for its chain, then its questions
    - `read.jsonl`: text only, the true chain of a clip before or after the question, answers without a chain
    - `replay.jsonl`: training items of the guards, `speech` and `music`
    - `transcribe.jsonl`: text only, words to transcribe

    `descriptions.jsonl`: the sounds of `seen` as text, for a text model.

    Files of chains: `known.jsonl`, true chains of clips without another use; `truth.jsonl`, the true chains of train
    and validation, by cluster; `visible.jsonl`, the chains that their videos show. `benchmarks/`: see `benchmarks`; and
    `spoken.jsonl`, AVQA's questions with their options inside, for spoken questions about the silent videos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shares = Shares(size.silent_share, size.unseen_share)
    asked = size.questions_per_clip
    train = _write_avqa(folder, Group("train", size.train_clips, "train", shares), seed, asked)
    validation = _write_avqa(folder, Group("validation", size.validation_clips, "validation", shares), seed, asked)
    both = [*train, *validation]
    write_lines(folder / "truth.jsonl", (chain_line(c.name, str(c.audio), c.scene.heard) for c in both))
    write_lines(folder / "visible.jsonl", (chain_line(c.name, str(c.audio), c.scene.seen) for c in both))

    seen = write_clips(folder, Group("seen", size.seen_clips, "train", replace(shares, honest=True), audio=None), seed)
    shown = list(questions_about(seen, asked))
    write_jsonl(folder / "seen.jsonl", _seen(shown))
    write_jsonl(folder / DESCRIPTIONS, (_described(clip, key) for clip, key, _ in shown))
    listen = write_clips(folder, Group("listen", size.listen_clips, "train", shares, video=None), seed)
    listened = list(questions_about(listen, asked))
    write_jsonl(folder / "listen.jsonl", (question_item(*one) for one in listened))
    write_jsonl(folder / "noted.jsonl", _noted(listened))
    events = write_clips(folder, Group("events", size.event_clips, "train", shares, video=None), seed)
    write_jsonl(folder / "events.jsonl", map(events_item, events))
    read = write_clips(folder, Group("read", size.read_clips, "train", shares, audio=None, video=None), seed)
    write_jsonl(folder / "read.jsonl", _read(questions_about(read, asked)))
    known = write_clips(folder, Group("known", size.known_clips, "train", shares, video=None), seed)
    write_lines(folder / "known.jsonl", (chain_line(c.name, str(c.audio), c.scene.heard) for c in known))
    write_jsonl(folder / "replay.jsonl", _replay(folder, seed, size.guard_items // 2))
    write_benchmarks(folder / "benchmarks", seed, size.test_clips, asked, shares)
    write_jsonl(folder / "benchmarks/spoken.jsonl", map(spelled_out, read_avqa(folder / "benchmarks/val_qa.json")))
    write_jsonl(folder / "transcribe.jsonl", _transcribe(read_items(folder / "train.jsonl"), seed))


def _write_avqa(folder: Path, group: Group, seed: int, questions: int) -> list[Clip]:
    """Write `NAME_qa.json` with its media, and `NAME.jsonl`, its items from AVQA's reader, spelled out."""
    clips = list(write_clips(folder, group, seed))
    asked = list(questions_about(clips, questions))
    path = folder / f"{group.name}_qa.json"
    write_json(path, avqa_records(asked))
    items = []
    for item, (_, _, question) in zip(read_avqa(path), asked, strict=True):
        meta = {**item.meta, "kind": question.kind, "form": question.form}
        items.append(spelled_out(item.model_copy(update={"meta": meta})))
    write_jsonl(folder / f"{group.name}.jsonl", items)
    return clips


def question_item(clip: Clip, key: str, question: Question) -> Item:
    """A question with its media, spelled out."""
    item = Item(
        id=key,
        source=clip.name.partition("-")[0],
        question=question.text,
        answers=(LETTERS[question.options.index(question.right)],),
        choices=question.options,
        audio=clip.audio,
        video=clip.video,
        cluster=clip.name,
        kind=question.kind,
        meta={"form": question.form},
    )
    return spelled_out(item)


def _seen(asked: Iterable[tuple[Clip, str, Question]]) -> Iterator[Item]:
    """Items whose answers are the visible chain, with the answer that follows from it."""
    for clip, key, question in asked:
        answer = question.answer_for(clip.scene.seen)
        assert answer is not None, "in these clips, every heard thing is seen"
        written = target(chain_of(clip.scene.seen), answer)
        yield question_item(clip, key, question).model_copy(update={"answers": (written,)})


def _described(clip: Clip, key: str) -> Description:
    """The transcript of a perfect checker, for training a text model."""
    return Description(item=key, text=chain_of(clip.scene.heard), source="what is true of it")


def _transcribe(train: Sequence[Item], seed: int) -> Iterator[Item]:
    """Words to transcribe: each question of `train` once, with its options, and as many random strings of words, so
    that ears cannot rely on grammar.
    """
    rng = random.Random(f"{seed}/transcribe")
    texts = list(dict.fromkeys(item.question for item in train))
    texts += [" ".join(rng.choices(SOUND_VOCABULARY, k=rng.randint(1, _RANDOM_WORDS))) for _ in texts]
    for index, text in enumerate(texts):
        yield Item(
            id=f"transcribe-{index:06d}",
            source="transcribe",
            question=text,
            answers=(spoken_words(text),),
            cluster=f"transcribe-{index:06d}",
            kind="words",
            instruction=WRITE_WORDS,
        )


def events_item(clip: Clip) -> Item:
    """The request for the true chain of a clip."""
    return Item(
        id=clip.name,
        source="events",
        question=WRITE_DOWN,
        answers=(chain_of(clip.scene.heard),),
        audio=clip.audio,
        cluster=clip.name,
        kind="events",
    )


def _read(asked: Iterable[tuple[Clip, str, Question]]) -> Iterator[Item]:
    """Questions with a typed chain, in turn before and after the question."""
    for number, (clip, key, question) in enumerate(asked):
        item, chain = question_item(clip, key, question), chain_of(clip.scene.heard)
        both = [item.question, chain] if number % 2 else [chain, item.question]
        yield item.model_copy(update={"question": " ".join(both)})


def _noted(asked: Iterable[tuple[Clip, str, Question]]) -> Iterator[Item]:
    """For each clip, the request for its chain, then its questions: a dialogue about the chain."""
    for clip, group in itertools.groupby(asked, key=lambda one: one[0]):
        yield events_item(clip)
        yield from (question_item(*one) for one in group)


def _replay(folder: Path, seed: int, count: int) -> Iterator[Item]:
    for name, guard in guards(seed, "train", count):
        audio = f"audios/{name}.wav"
        save_wav(folder / audio, guard.samples)
        yield spelled_out(_guard_item(name, audio, guard))


def _guard_item(name: str, audio: str, guard: Guard) -> Item:
    return Item(
        id=name,
        source=guard.task,
        question=guard.text,
        answers=(LETTERS[guard.options.index(guard.right)],),
        choices=guard.options,
        audio=audio,
        cluster=name,
        kind=guard.task,
        meta={"form": guard.form, "voice": guard.voice},
    )
