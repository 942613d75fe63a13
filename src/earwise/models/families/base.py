"""The interface of a family: everything that earwise must know about one Hugging Face architecture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, PreTrainedTokenizerBase

from earwise.data.media import load_image
from earwise.errors import InputError
from earwise.models.kept import digest_of
from earwise.models.layout import Layout
from earwise.models.text import TextEncoder

if TYPE_CHECKING:
    from earwise.models.ears import Ears
    from earwise.models.families.own_ears import OwnEars

_FINAL_NORMS = ("norm", "ln_f", "norm_f", "final_layernorm", "final_layer_norm")
"""Names of the final norm in transformers' decoders."""
_PLACEHOLDERS = ("image_token_id", "video_token_id", "audio_token_id", "audio_token_index")
"""Config keys of the ids that features of media replace."""
_NO_PREFIX = {
    "sliding_attention": "sliding-window layers forget keys, and a ragged prefix would shift their window",
    "linear_attention": "linear-attention layers keep a state, which the padding of a ragged prefix would change",
}
"""By kind of decoder layer, why views cannot share a prefix."""
_OTHER = "some layers do not see every earlier token"
_AFTER_THE_HEAD = {"final_logit_softcapping": None, "logit_scale": 1.0, "logits_scaling": 1.0}
"""Config keys of changes to the logits after the head, and the value without an effect."""
_CACHE_BYTES = 512 * 2**20
"""Memory for preprocessed images, for the turns and epochs that use an image again."""


@dataclass(frozen=True)
class ImageInput:
    """One preprocessed image: the input tensors of the vision tower, and its number of LM tokens."""

    tensors: dict[str, Tensor]
    num_tokens: int

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    @cached_property
    def digest(self) -> str:
        """Hash of the tensors."""
        return digest_of(self.tensors)


class Family:
    """Adapter of one architecture around a loaded base model.

    A family that sees implements `preprocess`, `image_token_ids` and `encode_images`; one that hears names `own_ears`.

    Args:
        model: the base, a `...ForConditionalGeneration`.
        tokenizer: its tokenizer, with a chat template.
        image_processor: its image processor; None for a family that does not see.
        feature_extractor: its Whisper feature extractor; None for a family that does not hear.
    """

    name: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]
    """Every `model_type` that checkpoints of this architecture have in config.json."""
    model_class: ClassVar[Any] = AutoModelForImageTextToText
    """The class whose `from_pretrained` loads the checkpoint."""
    sees: ClassVar[bool] = True
    own_ears: ClassVar[type[OwnEars] | None] = None
    """What hears through the architecture's own audio tower; an architecture without one can get `Ears`."""
    image_placeholder: ClassVar[str] = ""
    """The chat template's text for an image part."""
    around_image: ClassVar[tuple[str, str]] = "", ""
    """Text that the processor writes before and after an image's ids. It may join the words around it."""
    looks_ahead: ClassVar[bool] = False
    """Whether the tokens of one image see one another in both directions."""
    audio_placeholder: ClassVar[str] = ""
    """The chat template's text for an audio part; empty if the base puts no markers around clips."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any = None,
        feature_extractor: Any = None,
    ) -> None:
        if tokenizer.chat_template is None:
            raise InputError("the tokenizer has no chat template", file=tokenizer.name_or_path)
        if changes := _changes_after_the_head(model):
            what = f"the model changes its logits after the head ({', '.join(changes)}), and losses here would not"
            raise InputError(
                what, file=tokenizer.name_or_path, remedy="take a model whose logits are those of its head"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.feature_extractor = feature_extractor
        self._around_clips: list[tuple[str, str]] = []
        self._images: OrderedDict[tuple[Path, bool], ImageInput] = OrderedDict()
        self._image_bytes = 0

    @property
    def backbone(self) -> PreTrainedModel:
        """The decoder without its head: takes `inputs_embeds`, returns `last_hidden_state` after the final norm."""
        return cast(PreTrainedModel, self.model.model.language_model)

    @property
    def no_shared_prefix(self) -> str | None:
        """Why views cannot share a prefix in this architecture; None if they can."""
        known = [why for kind, why in _NO_PREFIX.items() if kind in self.layer_kinds]
        return known[0] if known else _OTHER if self.forgets else None

    @property
    def layer_kinds(self) -> frozenset[str]:
        """Kinds of the decoder's layers by transformers' names: `full_attention`, `sliding_attention`, ..."""
        config = self.backbone.config.get_text_config(decoder=True)
        if (kinds := getattr(config, "layer_types", None)) is not None:
            return frozenset(kinds)
        return frozenset({"full_attention" if self.window is None else "sliding_attention"})

    @property
    def window(self) -> int | None:
        """Number of tokens that a sliding-window layer sees, including its own; None without such layers."""
        config = self.backbone.config.get_text_config(decoder=True)
        found: int | None = getattr(config, "sliding_window", None)
        return found

    @property
    def forgets(self) -> bool:
        """Whether some layers do not see every earlier token. Padding between two tokens then counts, too."""
        return self.layer_kinds != {"full_attention"}

    @property
    def head_weight(self) -> Tensor:
        """(V, H) output projection."""
        return self.model.get_output_embeddings().weight

    @property
    def final_norm(self) -> nn.Module:
        """The norm between the last layer and the head."""
        found = [getattr(self.backbone, name) for name in _FINAL_NORMS if hasattr(self.backbone, name)]
        if not found:
            raise InputError(f"no final norm is known in {type(self.backbone).__name__}", file=self.name)
        return cast(nn.Module, found[0])

    @property
    def depth(self) -> int:
        """Number of decoder layers."""
        return int(self.backbone.config.num_hidden_layers)

    @property
    def vocabulary(self) -> int:
        """Size of the tokenizer's vocabulary; further rows of the head are padding."""
        return min(len(self.tokenizer), self.head_weight.shape[0])

    @property
    def embed(self) -> nn.Module:
        """Token ids to input embeddings of width H."""
        return self.model.get_input_embeddings()

    @property
    def width(self) -> int:
        """H, the width of the decoder."""
        return self.head_weight.shape[1]

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return tuple(sorted({i for i in (*ids, self.tokenizer.eos_token_id) if i is not None}))

    @property
    def placeholder_ids(self) -> tuple[int, ...]:
        """Ids that features of media replace; they never stand for text."""
        found = {getattr(self.model.config, name, None) for name in _PLACEHOLDERS}
        return tuple(sorted(one for one in found if one is not None))

    @property
    def image_token_id(self) -> int:
        """The id that an image's features replace."""
        return int(self.model.config.image_token_id)

    @cached_property
    def words(self) -> TextEncoder:
        """Encoder of text that never turns typed text into a special token."""
        return TextEncoder(self.tokenizer, self.placeholder_ids, self.stop_ids)

    def load_image(self, path: Path, *, frame: bool = False) -> ImageInput:
        """Read and preprocess an image, or a `frame` of a video; recent images are cached.

        Raises `InputError` naming the file if it cannot be read, or has a size that the model does not accept.
        """
        key = path, frame
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        picture = load_image(path)
        if (reason := self.refuses_size(*picture.size)) is not None:
            raise InputError(reason, file=path, remedy="cut or pad the picture")
        try:
            image = self.preprocess_frame(picture) if frame else self.preprocess(picture)
        except ValueError as error:
            what = f"the image processor does not take a picture of {picture.width} x {picture.height} pixels: {error}"
            raise InputError(what, file=path, remedy="cut or pad the picture") from None
        self._images[key] = image
        self._image_bytes += image.num_bytes
        while self._image_bytes > _CACHE_BYTES and len(self._images) > 1:
            self._image_bytes -= self._images.popitem(last=False)[1].num_bytes
        return image

    def render(self, queries: Sequence[str], answers: Sequence[str], num_images: int, *, system: str = "") -> str:
        """The rendered chat template for the given turns; images come before the first query. An empty `system` leaves
        the system message to the template.
        """
        messages: list[dict[str, Any]] = []
        if system:
            messages.append({"role": "system", "content": [{"type": "text", "text": system}]})
        for n, (query, answer) in enumerate(zip(queries, answers, strict=True)):
            content = [{"type": "image"}] * num_images if n == 0 else []
            messages.append({"role": "user", "content": [*content, {"type": "text", "text": query}]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        text = str(self.tokenizer.apply_chat_template(messages, tokenize=False))
        missing = [part for part in {*queries, *answers} if part.strip() not in text]
        if missing:
            raise InputError(
                "the chat template loses the text of a message",
                file=self.tokenizer.name_or_path,
                remedy="give a template that accepts content lists with text parts",
            )
        return text

    @cached_property
    def trims(self) -> bool:
        """Whether the chat template removes blanks around the text of a message."""
        return " \ue000 " not in self.render([" \ue000 "], ["\ue001"], 0)

    def around_clip(self, number: int) -> tuple[str, str]:
        """The chat template's text before and after the tokens of a conversation's `number`-th clip, from 1."""
        if not self.audio_placeholder:
            return "", ""
        while len(self._around_clips) < number:
            self._around_clips.append(self._render_clip(len(self._around_clips) + 1))
        return self._around_clips[number - 1]

    def _render_clip(self, number: int) -> tuple[str, str]:
        mark = {"type": "text", "text": "\ue002"}  # private use: no chat template contains it
        content: list[Any] = [mark, *(part for _ in range(number) for part in ({"type": "audio"}, mark))]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        text = str(self.tokenizer.apply_chat_template(messages, tokenize=False))
        around = text.split(mark["text"])[-2].split(self.audio_placeholder)
        if len(around) != 2:
            raise InputError(
                f"the chat template does not write {self.audio_placeholder} for an audio part",
                file=self.tokenizer.name_or_path,
                remedy="give the template that the model was trained with",
            )
        return around[0], around[1]

    @property
    def hears(self) -> bool:
        """Whether the architecture has its own audio tower."""
        return self.own_ears is not None

    def hearing(self, ears: Ears | None) -> Ears | OwnEars | None:
        """The modules that turn clips into embeddings: the given ears, or the base's own audio tower.

        Raises `InputError` for ears that are given to a base that hears natively.
        """
        if self.own_ears is None:
            return ears
        if ears is not None:
            raise InputError(f"{self.name} hears by itself", file=self.tokenizer.name_or_path, remedy="leave out ears")
        return self.own_ears(*self.tower_and_projector, self.feature_extractor)

    @property
    def tower_and_projector(self) -> tuple[PreTrainedModel, nn.Module]:
        """The audio tower of a base that hears natively, and its last projection."""
        return self.model.model.audio_tower, self.model.model.multi_modal_projector

    def preprocess(self, image: Any) -> ImageInput:
        """The vision tower's input for an RGB PIL image."""
        raise NotImplementedError(f"{self.name} does not see")

    def preprocess_frame(self, image: Any) -> ImageInput:
        """As `preprocess`, for a frame of a video; some families show frames differently."""
        return self.preprocess(image)

    def frame_label(self, number: int) -> str:
        """Text before the `number`-th frame of a video, from 1."""
        return ""

    def refuses_size(self, width: int, height: int) -> str | None:
        """Why a picture of this size in pixels cannot be shown; None if it can."""
        return None

    def image_token_ids(self, image: ImageInput) -> list[int]:
        """Ids of the image in the prompt; `num_tokens` of them are `image_token_id`, in one run or in several."""
        raise NotImplementedError(f"{self.name} does not see")

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """(sum of num_tokens, H) features that replace the placeholders, image after image.

        A family with deep features returns (sum of num_tokens, H + deep width): they stand beside the others.
        """
        raise NotImplementedError(f"{self.name} does not see")

    def deep_inputs(self, deep: Tensor) -> dict[str, Any]:
        """The decoder's arguments for (B, L, deep width) features that it adds in its first layers; 0 adds nothing."""
        raise NotImplementedError(f"{self.name} has no deep features")

    def positions(self, layout: Layout) -> Tensor:
        """(D, L) position ids; D is 1, or 3 for M-RoPE."""
        return torch.arange(len(layout)).unsqueeze(0)


def _changes_after_the_head(model: PreTrainedModel) -> list[str]:
    """What the model does to its logits after the head."""
    config = model.config.get_text_config(decoder=True)
    changes = [key for key, nothing in _AFTER_THE_HEAD.items() if getattr(config, key, None) not in (None, nothing)]
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        changes.append("a bias of the head")
    return changes
