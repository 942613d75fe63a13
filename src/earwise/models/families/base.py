"""What earwise must know about a vision-language architecture. One adapter per Hugging Face architecture, one file
each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from earwise.data.media import load_image
from earwise.errors import InputError
from earwise.models.layout import Layout

_CACHE_BYTES = 512 * 2**20
"""Preprocessed images that are kept in memory: the turns and epochs that come back to an image find it here."""


@dataclass(frozen=True)
class ImageInput:
    """One preprocessed image: the tensors the vision tower takes and the number of LM tokens it becomes."""

    tensors: dict[str, Tensor]
    num_tokens: int

    @property
    def num_bytes(self) -> int:
        """Memory that the tensors take."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())


class Family(ABC):
    """Adapter of one architecture around a loaded base model.

    Args:
        model: the base, a `...ForConditionalGeneration`.
        tokenizer: its tokenizer, with a chat template.
        image_processor: its image processor.
    """

    name: ClassVar[str]
    model_type: ClassVar[str]
    """`model_type` in the checkpoint's config.json."""
    image_placeholder: ClassVar[str]
    """What the chat template writes for an image part."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, image_processor: Any) -> None:
        if tokenizer.chat_template is None:
            raise InputError("the tokenizer has no chat template", file=tokenizer.name_or_path)
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self._images: OrderedDict[Path, ImageInput] = OrderedDict()
        self._image_bytes = 0

    @property
    def backbone(self) -> PreTrainedModel:
        """The decoder without its head: takes `inputs_embeds`, gives `last_hidden_state` after the final norm."""
        return cast(PreTrainedModel, self.model.model.language_model)

    @property
    def no_shared_prefix(self) -> str | None:
        """Why views cannot share a prefix in this architecture; None where they can."""
        if getattr(self.backbone, "has_sliding_layers", False):
            return "sliding-window layers forget keys, and a ragged prefix would shift their window"
        return None

    @property
    def head_weight(self) -> Tensor:
        """(V, H) output projection."""
        return self.model.get_output_embeddings().weight

    @property
    def vocabulary(self) -> int:
        """Words of the tokenizer; the head may have more rows, which are padding."""
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

    def load_image(self, path: Path) -> ImageInput:
        """Read and preprocess an image; recently used ones are kept in memory."""
        if path in self._images:
            self._images.move_to_end(path)
            return self._images[path]
        image = self.preprocess(load_image(path))
        self._images[path] = image
        self._image_bytes += image.num_bytes
        while self._image_bytes > _CACHE_BYTES and len(self._images) > 1:
            self._image_bytes -= self._images.popitem(last=False)[1].num_bytes
        return image

    def render(self, queries: Sequence[str], answers: Sequence[str], with_image: bool) -> str:
        """The chat template around the given turns; the image, if any, comes before the first query."""
        messages: list[dict[str, Any]] = []
        for n, (query, answer) in enumerate(zip(queries, answers, strict=True)):
            content = [{"type": "image"}] if with_image and n == 0 else []
            messages.append({"role": "user", "content": [*content, {"type": "text", "text": query}]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        text = str(self.tokenizer.apply_chat_template(messages, tokenize=False))
        missing = [part for part in {*queries, *answers} if part not in text]
        if missing:
            raise InputError(
                "the chat template loses the text of a message",
                file=self.tokenizer.name_or_path,
                remedy="give a template that accepts content lists with text parts",
            )
        return text

    @abstractmethod
    def preprocess(self, image: Any) -> ImageInput:
        """Turn an RGB PIL image into the tensors of the vision tower."""

    @abstractmethod
    def image_token_ids(self, image: ImageInput) -> tuple[list[int], int]:
        """Ids that stand for the image in the prompt, and where in them its `num_tokens` placeholders begin."""

    @abstractmethod
    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """(sum of num_tokens, H) features that replace the placeholders, image after image."""

    def positions(self, layout: Layout) -> Tensor:
        """(D, L) position ids; D is 1, or 3 for M-RoPE."""
        return torch.arange(len(layout)).unsqueeze(0)
