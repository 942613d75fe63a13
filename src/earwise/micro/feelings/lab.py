"""Write a laboratory of feelings: sounds, and speech whose words are independent of the feeling in the voice.

Descriptions answer questions about sounds and words, but mislead a text model about feelings, because the description
of speech has only the words.
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
from earwise.micro.sounds.benchmarks import MMAU_SOUNDS, mmau_record, write_json
from earwise.micro.sounds.chains import claim_of
from earwise.micro.sounds.clips import Clip, Group, questions_about, spelled_out, write_clips, write_lines
from earwise.micro.sounds.lab import events_item, question_item
from earwise.micro.sounds.questions import ask
from earwise.micro.sounds.sounding import AWAY
from earwise.micro.sounds.words import END
from earwise.micro.sounds.world import USUAL, Event, draw_scene
from earwise.micro.splits import Split
from earwise.records import Item
from earwise.work.store import write_jsonl

WRITE_SPEECH: Final = "write down what is said"
"""Request for the words of an utterance."""
_AUDIO: Final = "audios"
_SOURCE: Final = "what is true of it"


@dataclass(frozen=True)
class FeelingsLabSize:
    """Amounts to write. A clip has sounds, an utterance has speech."""

    train_clips: int = 1_000
    train_utterances: int = 2_000
    validation_clips: int = 40
    validation_utterances: int = 120
    test_clips: int = 250
    test_utterances: int = 500
    """Utterances of each of the two speech benchmarks, words and feelings."""
    listen_clips: int = 2_000
    event_clips: int = 2_000
    talk_utterances: int = 2_000
    say_utterances: int = 2_000
    read_texts: int = 4_000
    """Descriptions for training a reader: half of sounds, half of speech."""
    questions_per_clip: int = 2
    feeling_share: float = 0.4
    """Share of the questions about utterances in `train` and `validation` that ask for the feeling."""
    neutral_words: float = 0.4
    """Share of the utterances with neutral words. Others suggest any feeling, independently of the voice."""


def write_feelings_lab(folder: Path, seed: int = 0, size: FeelingsLabSize = FeelingsLabSize()) -> None:
    """Write a laboratory into `folder`; the same arguments give the same bytes.

    Item files, with their options inside the question and answers in words:

    - `train.jsonl`, `validation.jsonl`: questions about sounds, and about the words or the feeling of utterances
    - `listen.jsonl`, `talk.jsonl`: the same for other clips and utterances, to train a student from scratch
    - `events.jsonl`, `say.jsonl`: requests to write down the sounds, and the words
    - `read.jsonl`: the same questions about texts, without a sound; the words fit the right feeling

    `descriptions.jsonl` has every sound of these files as text, `benchmarks/descriptions.jsonl` those of the
    benchmarks: `mmau-test-mini.json` (tasks sound, in the shifted domain, and speech) and session 5 of an IEMOCAP
    release, with the feeling that the words of each turn suggest in `benchmarks/words.jsonl`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, str] = {}
    mixtures: tuple[tuple[Split, int, int], ...] = (
        ("train", size.train_clips, size.train_utterances),
        ("validation", size.validation_clips, size.validation_utterances),
    )
    for split, clips, count in mixtures:
        asked = [*_sounds(folder, Group(split, clips, split, video=None), seed, size.questions_per_clip, texts)]
        spoken = _utterances(folder, f"{split}-speech", split, seed, count, size.neutral_words, texts)
        write_jsonl(folder / f"{split}.jsonl", [*asked, *_one_question_each(spoken, seed, size.feeling_share)])
    listen = _sounds(folder, Group("listen", size.listen_clips, video=None), seed, size.questions_per_clip, texts)
    write_jsonl(folder / "listen.jsonl", listen)
    events = write_clips(folder, Group("events", size.event_clips, video=None), seed)
    write_jsonl(folder / "events.jsonl", map(events_item, events))
    talk = _utterances(folder, "talk", "train", seed, size.talk_utterances, size.neutral_words, texts)
    write_jsonl(folder / "talk.jsonl", [item for one in talk for item in _both_questions(one, seed)])
    say = _utterances(folder, "say", "train", seed, size.say_utterances, size.neutral_words, texts)
    write_jsonl(folder / "say.jsonl", map(_written_down, say))
    write_jsonl(folder / "read.jsonl", _read(seed, size, texts))
    _write_descriptions(folder, texts)
    _write_benchmarks(folder / "benchmarks", seed, size)


def describe_sounds(events: Iterable[Event]) -> str:
    """The sounds of a clip, in the format that `[descriptions]` uses for tags: `Sounds: bell at one, dog at three`."""
    return "Sounds: " + ", ".join(claim_of(event).removesuffix(END).strip() for event in sorted(events))


def describe_speech(utterance: Utterance) -> str:
    """The words, in the format that `[descriptions]` uses for transcripts: `Speech: "they lost the keys"`."""
    return f'Speech: "{utterance.text}"'


def _sounds(folder: Path, group: Group, seed: int, count: int, texts: dict[str, str]) -> Iterator[Item]:
    """Questions about clips, spelled out."""
    for clip, key, question in questions_about(write_clips(folder, group, seed), count):
        texts[key] = describe_sounds(clip.scene.heard)
        yield question_item(clip, key, question)


def _utterances(
    folder: Path, name: str, split: Split, seed: int, count: int, neutral: float, texts: dict[str, str]
) -> Iterator[Spoken]:
    """`count` utterances on disk, with descriptions for the question about the word and the one about the feeling."""
    actor = Actor("train")
    (folder / _AUDIO).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        key = f"{name}-{index:06d}"
        rng = random.Random(f"{seed}/{key}")
        utterance = draw_utterance(split, rng, neutral)
        samples, voice = actor.say(utterance, rng)
        save_wav(folder / _AUDIO / f"{key}.wav", samples)
        texts |= dict.fromkeys((f"{key}-word", f"{key}-feeling"), describe_speech(utterance))
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


def _read(seed: int, size: FeelingsLabSize, texts: dict[str, str]) -> Iterator[Item]:
    """Questions about texts, without media."""
    for index in range(size.read_texts // 2):
        name = f"read-sound-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        clip = Clip(name, draw_scene("train", rng, USUAL, AWAY.overlap * (index % 2)), None, None, rng)
        for number, question in enumerate(ask(clip.scene, rng, 2 * size.questions_per_clip)):
            texts[f"{name}-{number}"] = describe_sounds(clip.scene.heard)
            yield question_item(clip, f"{name}-{number}", question)
    for index in range(size.read_texts // 2):
        name = f"read-speech-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        spoken = Spoken(name, draw_utterance("train", rng, size.neutral_words, fitting=True), "", None)
        texts |= dict.fromkeys((f"{name}-word", f"{name}-feeling"), describe_speech(spoken.utterance))
        yield from _both_questions(spoken, seed)


def _write_benchmarks(folder: Path, seed: int, size: FeelingsLabSize) -> None:
    by_sound: dict[str, str] = {}
    group = Group("away", size.test_clips, "test", USUAL, AWAY, audio=MMAU_SOUNDS, video=None)
    rows = []
    for clip, key, question in questions_about(write_clips(folder, group, seed), size.questions_per_clip):
        by_sound[str(clip.audio)] = describe_sounds(clip.scene.heard)
        rows.append(mmau_record(key, str(clip.audio), "sound", question.kind, question.kind, question))
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
        rows.append(mmau_record(name, audio, "speech", word.form, word.form, word))
    write_json(folder / "mmau-test-mini.json", rows)
    by_sound |= _write_emotion(folder, seed, size)
    items = [*read_mmau(folder / "mmau-test-mini.json"), *read_iemocap(folder / RELEASE)]
    _write_descriptions(folder, {item.id: by_sound[str(item.audio)] for item in items})


def _write_emotion(folder: Path, seed: int, size: FeelingsLabSize) -> dict[str, str]:
    """Write a session of emotional speech, and `words.jsonl` with the feeling of each turn's words."""
    spoken = write_session(folder, seed, size.test_utterances, size.neutral_words)
    truth = [
        {"id": f"iemocap-{one.name}", "words": one.utterance.words, "said": one.utterance.said, "voice": one.voice}
        for one in spoken
    ]
    write_lines(folder / "words.jsonl", truth)
    return {str(one.audio): describe_speech(one.utterance) for one in spoken}


def _write_descriptions(folder: Path, texts: dict[str, str]) -> None:
    descriptions = [Description(item=key, text=text, source=_SOURCE) for key, text in texts.items()]
    write_jsonl(folder / DESCRIPTIONS, descriptions)
