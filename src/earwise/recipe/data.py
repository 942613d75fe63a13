"""The schema of `[data]`: a laboratory, the user's own folder, or public corpora in their own formats."""

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
    """Sentences to transcribe, without an image, for alignment."""
    random_share: Share = 0.4
    """Share of them that are random strings of words; the others are questions."""
    random_words: Count = 24
    """Words in the longest random string."""
    emphasis: dict[SceneQuestion, Annotated[float, Field(gt=0)]] = Field(default={})
    """How many times as often as usual a kind of question is asked about training and validation scenes; benchmarks are
    unchanged.
    """
    label_noise: Share = 0.0
    """Share of the other annotator's answers (`train_other`) that are replaced by wrong ones."""


class MicroSounds(Settings):
    """Clips of sounding things, questions, guards and benchmarks from the micro laboratory of sounds."""

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
    """Silent videos for training a teacher from scratch (`seen`)."""
    listen_clips: Count
    """Sounds for training a student from scratch (`listen`)."""
    event_clips: Count
    """Sounds that are to be written down (`events`)."""
    known_clips: Count
    """Sounds with true chains, for measuring checkers (`known`)."""
    guard_items: int = Field(ge=2, le=MAX_COUNT)
    """Training items of the guards (`replay`): half speech, half music."""
    questions_per_clip: Count
    silent_share: Share = 0.15
    """Share of the things that are seen and not heard."""
    unseen_share: Share = 0.10
    """Share of the things that are heard and not seen."""
    read_clips: Count = 2
    """Clips that exist only as text, for training a student to answer from text (`read`)."""

    @model_validator(mode="after")
    def _something_is_both(self) -> Self:
        if self.silent_share + self.unseen_share >= 1:
            raise ValueError("silent_share and unseen_share leave nothing that is both seen and heard")
        return self


class MicroFeelings(Settings):
    """Sounds, and speech with emotion in the voice, from the micro laboratory of feelings."""

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
    """Clips of sounds for training a student from scratch (`listen`)."""
    event_clips: Count
    """Sounds that are to be written down (`events`)."""
    talk_utterances: Count
    """Utterances for training a student from scratch, two questions each (`talk`)."""
    say_utterances: Count
    """Utterances that are to be written down (`say`)."""
    read_texts: int = Field(ge=2, le=MAX_COUNT)
    """Descriptions for training a reader from scratch (`read`): half of sounds, half of speech."""
    questions_per_clip: Count
    """Questions about each clip of sounds."""
    feeling_share: Share = 0.4
    """Share of the questions about utterances in `train` and `validation` that are about the feeling."""
    neutral_words: Share = 0.4
    """Share of the utterances with neutral words; the others express a feeling that is independent of the voice's."""


class FolderData(Settings):
    """A folder with `train.jsonl`, `transcribe.jsonl`, `validation.jsonl` and any other item file (one `Item` per
    line), and `benchmarks/`.
    """

    item_files: ClassVar[None] = None
    """Any: the folder is listed when the recipe is compiled."""

    source: Literal["folder"]
    path: NonEmpty


class _Part(Settings):
    name: Name | None = None
    """Prefix of its items' ids; the format when absent."""
    path: NonEmpty
    """File or folder with the records."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the draws, relative to the other parts."""


class LlavaPart(_Part):
    """A JSON file of LLaVA-style conversations."""

    format: Literal["llava"]
    images: NonEmpty
    """Folder that image paths are relative to."""
    text_only: bool = True
    """Whether conversations without an image are kept."""
    max_turns: Count | None = None
    """Questions of a conversation, from the first; all of them when absent."""
    spoken: Literal["all", "first", "last"] | Share = "all"
    """Which questions of a conversation are spoken, or a random share of them; the others are typed."""


class ItemsPart(_Part):
    """A file of `Item`s, one per line, with media paths relative to the file."""

    format: Literal["items"]


class AvqaPart(_Part):
    """A question file of AVQA, such as `train_qa.json`, with `videos/` and perhaps `audios/` beside it."""

    format: Literal["avqa"]
    wording: Literal["audio", "video"] = "audio"
    """Which word questions use: `audio` replaces "video", as published."""


class CotaPart(_Part):
    """Records of CoTA: sounds with questions whose answers plan, describe, reason and summarise before they respond."""

    format: Literal["cota"]
    audio: NonEmpty | None = None
    """Folder that sounds' paths are relative to; the file's own when absent."""


class MeldPart(_Part):
    """A table of MELD, such as `train_sent_emo.csv`, with its folder of clips beside it."""

    format: Literal["meld"]


class IemocapPart(_Part):
    """The folder of IEMOCAP's release, with the sessions for training."""

    format: Literal["iemocap"]
    sessions: Annotated[tuple[Session, ...], Field(min_length=1), AfterValidator(unique)] = (1, 2, 3, 4)
    """None of which may be tested (`[evaluate.iemocap]`)."""


class _AsrPart(_Part):
    long: Literal["drop", "cut"] = "drop"
    """What happens to a recording of more than 30 s; a cut keeps its first 30 s and the same share of its words."""
    answer: Literal["words", "written"] = "words"
    """The transcript: lower-case words without punctuation, or the text as it is."""


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
    """Lhotse: the manifest of recordings for a manifest of supervisions."""


class DatasetPart(_AsrPart):
    """A Hugging Face audio data set that `save_to_disk` wrote."""

    format: Literal["huggingface"]
    subset: NonEmpty | None = None
    """Split, if there are several."""


TalkPart = LlavaPart | AvqaPart | CotaPart | MeldPart | IemocapPart | ItemsPart
AsrPart = LibriSpeechPart | CommonVoicePart | ManifestPart | DatasetPart

NAMED_POOLS: Final = ("train", "validation", "replay", "transcribe")
"""Item files of corpora with a table of their own."""


class _Pool(Settings):
    items: Count | None = None
    """Number of drawn conversations or recordings; all when absent."""
    exhausted: Literal["leave", "stop", "repeat"] = "leave"
    """What happens at the end of a part: it leaves, the mixture stops, or the part is read again."""


class TrainPool(_Pool):
    """What the models learn to answer."""

    parts: Annotated[tuple[Annotated[TalkPart, Field(discriminator="format")], ...], Field(min_length=1)]


class TranscribePool(_Pool):
    """What ears are aligned on."""

    parts: Annotated[
        tuple[Annotated[AsrPart | ItemsPart, Field(discriminator="format")], ...], Field(min_length=1)
    ]  # fmt: skip
    instruction: NonEmpty = "Repeat the speech:"
    """Typed request before the words to transcribe."""


class FilePool(_Pool):
    """Another item file, of questions or of speech to transcribe."""

    parts: Annotated[
        tuple[Annotated[TalkPart | AsrPart, Field(discriminator="format")], ...], Field(min_length=1)
    ]  # fmt: skip
    instruction: str = ""
    """As in `data.transcribe`; required for speech to transcribe."""

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
    """Seed of the order, and of which questions are spoken."""
    train: TrainPool | None = None
    validation: TrainPool | None = None
    replay: TrainPool | None = None
    transcribe: TranscribePool | None = None
    files: dict[Name, FilePool] = Field(default={})
    """Item files with other names."""
    benchmarks: NonEmpty | None = None
    """Folder of the public benchmark files."""

    @property
    def pools(self) -> dict[str, Pool]:
        """The mixed item files, by name."""
        named: dict[str, Pool | None] = {name: getattr(self, name) for name in NAMED_POOLS}
        return {name: pool for name, pool in named.items() if pool is not None} | self.files

    @property
    def item_files(self) -> tuple[str, ...]:
        """The names of the item files."""
        return tuple(self.pools)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if taken := sorted({*self.files} & {*NAMED_POOLS}):
            raise ValueError(f"files.{taken[0]} is data.{taken[0]}: write it there")
        names = [part.name or part.format for pool in self.pools.values() for part in pool.parts]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two parts are named {doubled[0]!r}: give each its own name")
        return self
