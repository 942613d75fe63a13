"""The schema of `[data]`: a laboratory, a folder of one's own, or public corpora in their own formats."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from earwise.io.limits import MAX_COUNT
from earwise.recipe.table import Count, Name, Seed, Session, Settings, Share, unique
from earwise.records import NonEmpty

SceneQuestion = Literal["existence", "count", "attribute", "position", "relation", "reading", "choice", "description"]
"""A kind of question about a scene (`micro.questions`)."""


class MicroData(Settings):
    """Scenes, questions and benchmarks made by the micro laboratory."""

    item_files: ClassVar[tuple[str, ...]] = ("train", "train_other", "validation", "scan", "transcribe")

    source: Literal["micro"]
    seed: Seed = 0
    """Of the scenes; the seeds at the top of a recipe are those of training."""
    train_images: Count
    validation_images: Count
    test_images: Count
    turns_per_image: Count
    """Questions asked about each training image."""
    transcribe_items: int = Field(ge=0, le=MAX_COUNT)
    """Sentences to write down, without an image: what ears are aligned on."""
    random_share: Share = 0.4
    """Of these, how many are random strings of words; the others are questions."""
    random_words: Count = 24
    """Words in the longest random string."""
    emphasis: dict[SceneQuestion, Annotated[float, Field(gt=0)]] = Field(default={})
    """Kinds of questions about training and validation scenes, and how many times as often they are asked as else. The
    benchmarks ask what they ask."""
    label_noise: Share = 0.0
    """Share of the other annotator's answers (`train_other`) that are replaced by a wrong one."""


class MicroSounds(Settings):
    """Clips of sounding things, questions, guards and benchmarks made by the micro laboratory of sounds."""

    item_files: ClassVar[tuple[str, ...]] = (
        "train", "validation", "seen", "listen", "events", "noted", "read", "replay", "transcribe",
    )  # fmt: skip

    source: Literal["micro_sounds"]
    seed: Seed = 0
    """Of the clips; the seeds at the top of a recipe are those of training."""
    train_clips: Count
    """Clips with sound and video that `train` asks about."""
    validation_clips: Count
    test_clips: Count
    """Clips of the training domain, of the shifted domain, and of each guard, in the benchmarks."""
    seen_clips: Count
    """Silent videos with which a teacher is trained from nothing (`seen`)."""
    listen_clips: Count
    """Sounds with which a student is trained from nothing (`listen`)."""
    event_clips: Count
    """Sounds that are to be written down (`events`)."""
    known_clips: Count
    """Sounds with true chains, to measure checkers with (`known`)."""
    guard_items: int = Field(ge=2, le=MAX_COUNT)
    """Training items of the guards (`replay`): half speech, half music."""
    questions_per_clip: Count
    silent_share: Share = 0.15
    """Of the things, how many are seen and not heard."""
    unseen_share: Share = 0.10
    """Of the things, how many are heard and not seen."""
    read_clips: Count = 2
    """Clips of which only the text is written, to teach a student to answer from what it reads (`read`)."""

    @model_validator(mode="after")
    def _something_is_both(self) -> Self:
        if self.silent_share + self.unseen_share >= 1:
            raise ValueError("silent_share and unseen_share leave nothing that is both seen and heard")
        return self


class MicroFeelings(Settings):
    """Sounds, and speech with a feeling in the voice, made by the micro laboratory of feelings."""

    item_files: ClassVar[tuple[str, ...]] = ("train", "validation", "listen", "events", "talk", "say", "read")

    source: Literal["micro_feelings"]
    seed: Seed = 0
    """Of the clips; the seeds at the top of a recipe are those of training."""
    train_clips: Count
    """Clips of sounds that `train` asks about."""
    train_utterances: Count
    """Utterances that `train` asks about, one question each: about the words or about the feeling."""
    validation_clips: Count
    validation_utterances: Count
    test_clips: Count
    """Clips of sounds in the benchmarks, of the shifted domain."""
    test_utterances: Count
    """Utterances in each benchmark of speech: words (`mmau_speech`) and feelings (`iemocap`)."""
    listen_clips: Count
    """Clips of sounds with which a student is trained from nothing (`listen`)."""
    event_clips: Count
    """Sounds that are to be written down (`events`)."""
    talk_utterances: Count
    """Utterances with which a student is trained from nothing, two questions each (`talk`)."""
    say_utterances: Count
    """Utterances that are to be written down (`say`)."""
    read_texts: int = Field(ge=2, le=MAX_COUNT)
    """Descriptions with which a reader is trained from nothing (`read`): half of sounds, half of speech."""
    questions_per_clip: Count
    """About each clip of sounds."""
    feeling_share: Share = 0.4
    """Of the questions about utterances in `train` and `validation`, how many are about the feeling."""
    neutral_words: Share = 0.4
    """Of the utterances, how many have words that say no feeling; those of the others say one that has nothing to do
    with the voice's."""


class FolderData(Settings):
    """A folder with `train.jsonl`, `transcribe.jsonl`, `validation.jsonl` and any other item file (one `Item` per
    line), and `benchmarks/`.
    """

    item_files: ClassVar[None] = None
    """Any: the folder is looked into when the recipe is compiled."""

    source: Literal["folder"]
    path: NonEmpty


class _Part(Settings):
    name: Name | None = None
    """Begins the ids of its items; the format when absent."""
    path: NonEmpty
    """File or folder that lists the records."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the draws, relative to the other parts."""


class LlavaPart(_Part):
    """A JSON file of LLaVA-style conversations."""

    format: Literal["llava"]
    images: NonEmpty
    """Folder that image paths start from."""
    text_only: bool = True
    """Whether conversations without an image are kept."""
    max_turns: Count | None = None
    """Questions of a conversation, from the first one on; all of them when absent."""
    spoken: Literal["all", "first", "last"] | Share = "all"
    """Which questions of a conversation are spoken, or a share of them that is drawn; the others are typed."""


class ItemsPart(_Part):
    """A file of `Item`s, one per line, with media paths relative to the file."""

    format: Literal["items"]


class AvqaPart(_Part):
    """A question file of AVQA, such as `train_qa.json`, with `videos/` and perhaps `audios/` beside it."""

    format: Literal["avqa"]
    wording: Literal["audio", "video"] = "audio"
    """What questions are about: `audio` stands in place of "video", as published."""


class CotaPart(_Part):
    """Records of CoTA: sounds with questions whose answers plan, describe, reason and sum up before they respond."""

    format: Literal["cota"]
    audio: NonEmpty | None = None
    """Folder that sounds' paths start from; the file's own when absent."""


class MeldPart(_Part):
    """A table of MELD, such as `train_sent_emo.csv`, with its folder of clips beside it."""

    format: Literal["meld"]


class IemocapPart(_Part):
    """The folder of IEMOCAP's release: the sessions that are learned from."""

    format: Literal["iemocap"]
    sessions: Annotated[tuple[Session, ...], Field(min_length=1), AfterValidator(unique)] = (1, 2, 3, 4)
    """None of which may be tested (`[evaluate.iemocap]`)."""


class _AsrPart(_Part):
    long: Literal["drop", "cut"] = "drop"
    """What happens to a recording of more than 30 s; a cut keeps its first 30 s and as great a share of its words."""
    answer: Literal["words", "written"] = "words"
    """What is to be written down: lower-case words without punctuation, or the transcript as it is."""


class LibriSpeechPart(_AsrPart):
    """A folder of LibriSpeech, or any part of its tree."""

    format: Literal["librispeech"]


class CommonVoicePart(_AsrPart):
    """The folder of one language of Common Voice."""

    format: Literal["common_voice"]
    split: NonEmpty = "validated"


class ManifestPart(_AsrPart):
    """A manifest of Lhotse or NeMo."""

    format: Literal["lhotse", "nemo"]
    audio: NonEmpty | None = None
    """Folder that holds all audio; the manifest's own when absent."""
    recordings: NonEmpty | None = None
    """Lhotse: the manifest of recordings that one of supervisions refers to."""


class DatasetPart(_AsrPart):
    """A Hugging Face audio data set that `save_to_disk` wrote."""

    format: Literal["huggingface"]
    subset: NonEmpty | None = None
    """Split, where there are several."""


TalkPart = LlavaPart | AvqaPart | CotaPart | MeldPart | IemocapPart | ItemsPart
AsrPart = LibriSpeechPart | CommonVoicePart | ManifestPart | DatasetPart

NAMED_POOLS: Final = ("train", "validation", "replay", "transcribe")
"""Item files of corpora that have a table of their own."""


class _Pool(Settings):
    items: Count | None = None
    """Conversations or recordings that are drawn; as many as there are when absent."""
    exhausted: Literal["leave", "stop", "repeat"] = "leave"
    """When a part has been read to its end, it leaves, the mixture stops, or the part is read again."""


class TrainPool(_Pool):
    """What the models learn to answer."""

    parts: Annotated[tuple[Annotated[TalkPart, Field(discriminator="format")], ...], Field(min_length=1)]


class TranscribePool(_Pool):
    """What ears are aligned on."""

    parts: Annotated[
        tuple[Annotated[AsrPart | ItemsPart, Field(discriminator="format")], ...], Field(min_length=1)
    ]  # fmt: skip
    instruction: NonEmpty = "Repeat the speech:"
    """Typed before the words that are to be written down."""


class FilePool(_Pool):
    """One more item file, of questions or of speech to write down."""

    parts: Annotated[
        tuple[Annotated[TalkPart | AsrPart, Field(discriminator="format")], ...], Field(min_length=1)
    ]  # fmt: skip
    instruction: str = ""
    """As in `data.transcribe`; speech to write down needs one."""

    @model_validator(mode="after")
    def _speech_is_asked_for(self) -> Self:
        speech = [part.format for part in self.parts if isinstance(part, AsrPart)]
        if speech and not self.instruction:
            raise ValueError(f"instruction is missing: {speech[0]} is speech to write down")
        return self


Pool = TrainPool | TranscribePool | FilePool


class CorporaData(Settings):
    """Public training data in their own formats, mixed by weight."""

    source: Literal["corpora"]
    seed: Seed = 0
    """Of the order, and of which questions are spoken."""
    train: TrainPool | None = None
    validation: TrainPool | None = None
    replay: TrainPool | None = None
    transcribe: TranscribePool | None = None
    files: dict[Name, FilePool] = Field(default={})
    """Item files of one's own names."""
    benchmarks: NonEmpty | None = None
    """Folder of the public benchmark files."""

    @property
    def pools(self) -> dict[str, Pool]:
        """The item files that are mixed, by name."""
        named: dict[str, Pool | None] = {name: getattr(self, name) for name in NAMED_POOLS}
        return {name: pool for name, pool in named.items() if pool is not None} | self.files

    @property
    def item_files(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.pools)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if taken := sorted({*self.files} & {*NAMED_POOLS}):
            raise ValueError(f"files.{taken[0]} is data.{taken[0]}: write it there")
        names = [part.name or part.format for pool in self.pools.values() for part in pool.parts]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two parts are named {doubled[0]!r}: give each its own name")
        return self
