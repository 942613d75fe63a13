"""Write a laboratory of feelings: sounds, and speech whose words are independent of the feeling in the voice.

A text model can answer questions about sounds and words from descriptions, and is misled about feelings, because a
description of speech has only the words.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from earwise.data.choices import LETTERS
from earwise.data.descriptions import FILE as DESCRIPTIONS
from earwise.data.descriptions import Description
from earwise.data.emotions import OPTIONS, QUESTION
from earwise.data.iemocap import read_iemocap
from earwise.data.media import save_wav
from earwise.data.mmau import read_mmau
from earwise.micro.feelings.corpus import RELEASE, Spoken, write_session
from earwise.micro.feelings.speaking import Actor
from earwise.micro.feelings.utterances import Utterance, ask_word, draw_utterance
from earwise.micro.sounds.benchmarks import MMAU_SOUNDS, write_json
from earwise.micro.sounds.chains import claim_of
from earwise.micro.sounds.clips import Clip, Group, questions_about, spelled_out, write_clips, write_lines
from earwise.micro.sounds.lab import events_item, question_item
from earwise.micro.sounds.questions import ask
from earwise.micro.sounds.sounding import AWAY
from earwise.micro.sounds.words import END
from earwise.micro.sounds.world import USUAL, Event, Split, draw_scene
from earwise.records import Item
from earwise.work.store import write_jsonl

WRITE_SPEECH: Final = "write down what is said"
"""Asks for the words of an utterance."""
_AUDIO: Final = "audios"
_SOURCE: Final = "what is true of it"


@dataclass(frozen=True)
class FeelingsLabSize:
    """How much to write. A clip is of sounds, an utterance is of speech."""

    train_clips: int = 1_000
    train_utterances: int = 2_000
    validation_clips: int = 40
    validation_utterances: int = 120
    test_clips: int = 250
    test_utterances: int = 500
    """For each of the two benchmarks of speech: words and feelings."""
    listen_clips: int = 2_000
    event_clips: int = 2_000
    talk_utterances: int = 2_000
    say_utterances: int = 2_000
    read_texts: int = 4_000
    """Descriptions for training a reader, half of sounds, half of speech."""
    questions_per_clip: int = 2
    feeling_share: float = 0.4
    """Share of the questions about utterances in `train` and `validation` that ask for the feeling."""
    neutral_words: float = 0.4
    """Share of the utterances with neutral words; the words of the others suggest any feeling, independently of the
    voice."""


def write_feelings_lab(folder: Path, seed: int = 0, size: FeelingsLabSize = FeelingsLabSize()) -> None:
    """Write a laboratory into `folder`; the same arguments give the same bytes.

    Item files, with their options inside the question and answers in words:

    - `train.jsonl`, `validation.jsonl`: questions about sounds, and about the words or the feeling of utterances
    - `listen.jsonl`, `talk.jsonl`: the same of other clips and utterances, to train a student from nothing
    - `events.jsonl`, `say.jsonl`: ask to write down the sounds, and the words
    - `read.jsonl`: the same questions about texts, without a sound; what is said fits the feeling that is asked for

    `descriptions.jsonl` has every sound of these files as text, `benchmarks/descriptions.jsonl` those of the
    benchmarks: `mmau-test-mini.json` (tasks sound, in the shifted domain, and speech) and an IEMOCAP tree with session
    5, for each turn of which `benchmarks/words.jsonl` has what the words say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, str] = {}
    mixtures: tuple[tuple[Split, int, int], ...] = (
        ("train", size.train_clips, size.train_utterances),
        ("validation", size.validation_clips, size.validation_utterances),
    )
    for split, clips, count in mixtures:
        asked = [*_sounds(folder, Group(split, clips, split, video=None), seed, size.questions_per_clip, told)]
        spoken = _utterances(folder, f"{split}-speech", split, seed, count, size.neutral_words, told)
        write_jsonl(folder / f"{split}.jsonl", [*asked, *_one_question_each(spoken, seed, size.feeling_share)])
    listen = _sounds(folder, Group("listen", size.listen_clips, video=None), seed, size.questions_per_clip, told)
    write_jsonl(folder / "listen.jsonl", listen)
    events = write_clips(folder, Group("events", size.event_clips, video=None), seed)
    write_jsonl(folder / "events.jsonl", map(events_item, events))
    talk = _utterances(folder, "talk", "train", seed, size.talk_utterances, size.neutral_words, told)
    write_jsonl(folder / "talk.jsonl", [item for one in talk for item in _both_questions(one, seed)])
    say = _utterances(folder, "say", "train", seed, size.say_utterances, size.neutral_words, told)
    write_jsonl(folder / "say.jsonl", map(_written_down, say))
    write_jsonl(folder / "read.jsonl", _read(seed, size, told))
    _write_told(folder, told)
    _write_benchmarks(folder / "benchmarks", seed, size)


def describe_sounds(events: Iterable[Event]) -> str:
    """The sounds of a clip, in the form that `[descriptions]` gives an item's tags: `Sounds: bell at one, dog at
    three`."""
    return "Sounds: " + ", ".join(claim_of(event).removesuffix(END).strip() for event in sorted(events))


def describe_speech(utterance: Utterance) -> str:
    """The words, in the form that `[descriptions]` gives a transcript, without the tone of voice: `Speech: "they lost
    the keys"`."""
    return f'Speech: "{utterance.text}"'


def _sounds(folder: Path, group: Group, seed: int, count: int, told: dict[str, str]) -> Iterator[Item]:
    """Questions about clips, spelled out."""
    for clip, key, question in questions_about(write_clips(folder, group, seed), count):
        told[key] = describe_sounds(clip.scene.heard)
        yield question_item(clip, key, question)


def _utterances(
    folder: Path, name: str, split: Split, seed: int, count: int, neutral: float, told: dict[str, str]
) -> Iterator[Spoken]:
    """`count` utterances on disk; each can be asked for its word and for its feeling."""
    actor = Actor("train")
    (folder / _AUDIO).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        key = f"{name}-{index:06d}"
        rng = random.Random(f"{seed}/{key}")
        utterance = draw_utterance(split, rng, neutral)
        samples, voice = actor.say(utterance, rng)
        save_wav(folder / _AUDIO / f"{key}.wav", samples)
        told |= dict.fromkeys((f"{key}-word", f"{key}-feeling"), describe_speech(utterance))
        yield Spoken(key, utterance, voice, f"{_AUDIO}/{key}.wav")


def _one_question_each(spoken: Iterable[Spoken], seed: int, feelings: float) -> Iterator[Item]:
    for one in spoken:
        yield _feeling(one) if random.Random(f"{seed}/{one.name}/what").random() < feelings else _word(one, seed)


def _both_questions(spoken: Spoken, seed: int) -> tuple[Item, Item]:
    return _word(spoken, seed), _feeling(spoken)


def _word(spoken: Spoken, seed: int) -> Item:
    question = ask_word(spoken.utterance, random.Random(f"{seed}/{spoken.name}/word"))
    meta = {"form": question.form}
    return _item(spoken, "word", question.text, question.options, question.right, meta)


def _feeling(spoken: Spoken) -> Item:
    utterance = spoken.utterance
    meta = {"words": utterance.words, "said": utterance.said}
    return _item(spoken, "feeling", QUESTION, OPTIONS["iemocap"], utterance.feeling, meta)


def _item(spoken: Spoken, kind: str, question: str, options: Sequence[str], right: str, meta: dict[str, Any]) -> Item:
    item = Item(
        id=f"{spoken.name}-{kind}",
        source=spoken.name.partition("-")[0],
        question=question,
        answers=(LETTERS[options.index(right)],),
        choices=tuple(options),
        audio=spoken.audio,
        cluster=spoken.name,
        kind=kind,
        meta={**meta, "voice": spoken.voice} if spoken.voice else meta,
    )
    return spelled_out(item)


def _written_down(spoken: Spoken) -> Item:
    return Item(
        id=spoken.name,
        source="say",
        question=WRITE_SPEECH,
        answers=(spoken.utterance.text,),
        audio=spoken.audio,
        cluster=spoken.name,
        kind="say",
    )


def _read(seed: int, size: FeelingsLabSize, told: dict[str, str]) -> Iterator[Item]:
    """Questions about texts, without media."""
    for index in range(size.read_texts // 2):
        name = f"read-sound-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        clip = Clip(name, draw_scene("train", rng, USUAL, AWAY.overlap * (index % 2)), None, None, rng)
        for number, question in enumerate(ask(clip.scene, rng, 2 * size.questions_per_clip)):
            told[f"{name}-{number}"] = describe_sounds(clip.scene.heard)
            yield question_item(clip, f"{name}-{number}", question)
    for index in range(size.read_texts // 2):
        name = f"read-speech-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        spoken = Spoken(name, draw_utterance("train", rng, size.neutral_words, fitting=True), "", None)
        told |= dict.fromkeys((f"{name}-word", f"{name}-feeling"), describe_speech(spoken.utterance))
        yield from _both_questions(spoken, seed)


def _write_benchmarks(folder: Path, seed: int, size: FeelingsLabSize) -> None:
    by_sound: dict[str, str] = {}
    group = Group("away", size.test_clips, "test", USUAL, AWAY, audio=MMAU_SOUNDS, video=None)
    rows = []
    for clip, key, question in questions_about(write_clips(folder, group, seed), size.questions_per_clip):
        by_sound[str(clip.audio)] = describe_sounds(clip.scene.heard)
        rows.append(
            _mmau(key, str(clip.audio), "sound", question.kind, question.text, question.options, question.right)
        )
    actor = Actor("test")
    for index in range(size.test_utterances):
        name = f"speech-test-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        utterance = draw_utterance("test", rng, size.neutral_words)
        samples, _ = actor.say(utterance, rng)
        audio = f"{MMAU_SOUNDS}/{name}.wav"
        save_wav(folder / audio, samples)
        word = ask_word(utterance, rng)
        by_sound[audio] = describe_speech(utterance)
        rows.append(_mmau(name, audio, "speech", word.form, word.text, word.options, word.right))
    write_json(folder / "mmau-test-mini.json", rows)
    by_sound |= _write_emotion(folder, seed, size)
    items = [*read_mmau(folder / "mmau-test-mini.json"), *read_iemocap(folder / RELEASE)]
    _write_told(folder, {item.id: by_sound[str(item.audio)] for item in items})


def _write_emotion(folder: Path, seed: int, size: FeelingsLabSize) -> dict[str, str]:
    """A session of emotional speech, with `words.jsonl`, what the words of each turn say; descriptions by sound."""
    spoken = write_session(folder, seed, size.test_utterances, size.neutral_words)
    truth = [
        {"id": f"iemocap-{one.name}", "words": one.utterance.words, "said": one.utterance.said, "voice": one.voice}
        for one in spoken
    ]
    write_lines(folder / "words.jsonl", truth)
    return {str(one.audio): describe_speech(one.utterance) for one in spoken}


def _mmau(
    key: str, audio: str, task: str, category: str, question: str, options: Sequence[str], right: str
) -> dict[str, Any]:
    return {
        "id": key,
        "audio_id": f"./{audio}",
        "question": question,
        "choices": list(options),
        "answer": right,
        "dataset": "earwise",
        "task": task,
        "split": "test-mini",
        "category": category,
        "sub-category": category,
        "difficulty": "medium",
    }


def _write_told(folder: Path, told: dict[str, str]) -> None:
    write_jsonl(folder / DESCRIPTIONS, [Description(item=key, text=text, source=_SOURCE) for key, text in told.items()])
