"""The schema of `[model]`: the base, its ears, and other trained parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticKnownError

from earwise.io import plugins
from earwise.recipe.table import ENCODER, MODEL, Count, Settings, unique
from earwise.records import NonEmpty

BASE = "base"
"""Name of the untrained vision-language model: a `start`, an evaluated model, and `[model] base`."""

SOUND_S: Final = 30.0
"""Seconds of a sound that a model hears if nothing is said of it: a window of Whisper's encoder."""

ALIGNED = "aligned"
"""Name of the result of `[align]`: a `start` and an evaluated model."""


FAMILIES: Final[Mapping[str, str]] = {
    "internvl": "earwise.models.families.internvl:InternVL",
    "qwen2_vl": "earwise.models.families.qwen2_vl:Qwen2VL",
    "qwen2_5_vl": "earwise.models.families.qwen2_5_vl:Qwen2_5VL",
    "qwen3_vl": "earwise.models.families.qwen3_vl:Qwen3VL",
    "qwen3_5": "earwise.models.families.qwen3_5:Qwen3_5",
    "gemma3": "earwise.models.families.gemma3:Gemma3",
    "smolvlm": "earwise.models.families.smolvlm:SmolVLM",
    "qwen2_audio": "earwise.models.families.qwen2_audio:Qwen2Audio",
    "qwen2_5_omni": "earwise.models.families.qwen2_5_omni:Qwen2_5Omni",
    "qwen3_omni": "earwise.models.families.qwen3_omni:Qwen3Omni",
    "audioflamingo3": "earwise.models.families.audioflamingo3:AudioFlamingo3",
    "voxtral": "earwise.models.families.voxtral:Voxtral",
}
"""The adapter of each built-in family; installed packages register more in `FAMILY_GROUP`."""
AUTO: Final = "auto"
FAMILY_GROUP: Final = "earwise.families"


def _known_family(name: str) -> str:
    """`name`, if it is a family. Imports no plugin."""
    if name == AUTO or name in FAMILIES or name in (installed := plugins.names(FAMILY_GROUP)):
        return name
    raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, (AUTO, *FAMILIES, *installed)))})


Tail = Annotated[float, Field(ge=0, le=30)] | Literal["full"]
"""Seconds of silence behind a clip, at least; `full` fills up Whisper's 30 s."""


class _Ears(Settings):
    stack: Count
    """Encoder frames (20 ms each) stacked into one token."""
    hidden: Count
    """Width of the projector's hidden layer."""
    markers: bool = True
    """Learned begin and end vectors around the speech."""


class FreshEars(_Ears):
    """A new, randomly initialised Whisper encoder."""

    encoder: Literal["fresh"]
    tail: Tail = 0.0
    """Silence that the encoder hears behind a clip."""
    layers: Count
    width: Count
    heads: Count
    mel_bins: Count = 80

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class EncoderLora(Settings):
    """Low-rank updates in the encoder, merged into its weights when ears are saved."""

    rank: Count
    alpha: Count
    """The updates are multiplied by alpha / rank."""
    targets: Annotated[tuple[NonEmpty, ...], Field(min_length=1), AfterValidator(unique)] = (
        "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2",
    )  # fmt: skip
    """Names of the linear layers that are updated."""


class PretrainedEars(_Ears):
    """The encoder of a Whisper checkpoint."""

    encoder: Literal["pretrained"]
    path: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None
    tail: Tail | Literal["auto"] = "auto"
    """`auto` is none for an encoder that earwise trained, which heard none, and some for a public Whisper."""
    train: Literal["projector", "lora", "all"] = "all"
    """What is trained: projector and markers; these and updates of the encoder; or these and the encoder."""
    lora: EncoderLora | None = None
    """Needed by `train = "lora"`."""

    @model_validator(mode="after")
    def _lora_where_it_is_trained(self) -> Self:
        if self.train == "lora" and self.lora is None:
            raise ValueError("train is 'lora', and there is no table lora: give its rank and alpha")
        if self.train != "lora" and self.lora is not None:
            raise ValueError(f"lora has no effect where train is {self.train!r}: leave it out, or set train to 'lora'")
        return self


class NativeEars(Settings):
    """The audio tower of a base that hears natively."""

    encoder: Literal["native"]
    train: Literal["none", "projector", "tower"] = "projector"
    """The trained part: nothing, the projection into the language model, or everything."""


class Lora(Settings):
    """Low-rank updates in the language model, trained with the ears. Teachers are computed without them."""

    rank: Count
    alpha: Count
    """The updates are multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Annotated[tuple[NonEmpty, ...], Field(min_length=1), AfterValidator(unique)] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip
    """Names of the updated linear layers."""


class Model(Settings):
    """The base model, its ears, and other trained parts."""

    base: Annotated[NonEmpty, MODEL]
    """A shipped model (`internvl-micro`), a folder or a hub id; `base` is the model of the `[base]` table."""
    revision: str | None = None
    family: Annotated[str, AfterValidator(_known_family)] = AUTO
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the frozen weights."""
    trust_remote_code: bool = False
    ears: Annotated[FreshEars | PretrainedEars | NativeEars, Field(discriminator="encoder")]
    longest_sound: Annotated[float, Field(gt=0, le=2400)] = SOUND_S
    """Seconds of a longer sound that are heard, from its beginning."""
    lora: Lora | None = None
    decoder: Literal["frozen", "full"] = "frozen"
    """`full` trains the whole decoder with the ears: embeddings, layers, norm and head."""

    @model_validator(mode="after")
    def _one_way_to_train_the_decoder(self) -> Self:
        if self.lora is not None and self.decoder == "full":
            raise ValueError("lora updates a frozen decoder: leave it out where decoder is 'full'")
        return self

    def for_stage(self) -> dict[str, JsonValue]:
        """As in `Settings`; for a plugin's family also its package and version, which may change its states."""
        mine = super().for_stage()
        own = self.family == AUTO or self.family in FAMILIES
        return mine if own else {**mine, "plugin": plugins.origin(FAMILY_GROUP, self.family)}

    @property
    def trains_decoder(self) -> bool:
        """Whether training can change typed answers; otherwise they are the base's."""
        return self.lora is not None or self.decoder == "full"
