"""A language model, or a vision-language model, with ears: a Whisper encoder, a projector and two learned vectors.

This file stands beside the weights and needs torch, numpy and transformers only. Speech enters as embeddings in the
place of `<|audio|>` tokens, pictures as in the base model.

Shapes: B prompts, L tokens, C clips, S samples, M mel bins, F frames, T tokens of a clip, E encoder width, H width.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    BatchFeature,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    WhisperConfig,
    WhisperFeatureExtractor,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.whisper.modeling_whisper import WhisperEncoder

RATE_HZ = 16_000
HOP = 160
"""Samples between frames: 10 ms."""
FULL_FRAMES = 3_000
"""Of Whisper's 30 s, the longest clip."""
AUDIO = "<|audio|>"
"""Stands for one token of a clip."""
_ANSWER = "\ue001"
"""Private use: no template and no message contains it."""


class HearingConfig(PreTrainedConfig):
    """`base_config` is the base model's configuration, `ears` describes the rest (`Ears`)."""

    model_type = "earwise_hearing"

    def __init__(
        self,
        base_config: dict[str, Any] | None = None,
        ears: dict[str, Any] | None = None,
        audio_token_id: int = 0,
        image_tokens: list[str] | None = None,
        instruction: str = "",
        **kwargs: Any,
    ) -> None:
        self.base_config, self.ears, self.audio_token_id = base_config or {}, ears or {}, audio_token_id
        self.image_tokens = image_tokens or ["", "", ""]
        """What stands before the places of a picture, in each of them, and behind them."""
        self.instruction = instruction
        """Typed before a clip that is to be written down."""
        super().__init__(**kwargs)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Any:
        """The decoder's configuration, from which generation makes its cache."""
        if not self.base_config:
            return self
        return AutoConfig.for_model(**self.base_config).get_text_config(decoder=True)


class Ears(nn.Module):
    """Waveforms to embeddings. A clip's output does not depend on the rest of the batch."""

    def __init__(self, ears: dict[str, Any]) -> None:
        super().__init__()
        config = WhisperConfig(**ears["encoder"])
        config._attn_implementation = "eager"
        self.encoder = WhisperEncoder(config)
        self.stack, self.tail = ears["stack"], ears.get("tail", 0.0)
        stacked = self.stack * config.d_model
        self.projector = nn.Sequential(
            nn.LayerNorm(stacked), nn.Linear(stacked, ears["hidden"]), nn.GELU(),
            nn.Linear(ears["hidden"], ears["width"]),
        )  # fmt: skip
        self.markers = nn.Parameter(torch.zeros(2, ears["width"])) if ears["markers"] else None
        self.extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(sum of T, H) embeddings of (C, S) clips of `lengths` samples, clip after clip."""
        counts = lengths.tolist()
        clips = [row[:count].float().cpu() for row, count in zip(waveforms, counts, strict=True)]
        weight: Tensor = self.projector[1].weight  # type: ignore[assignment]
        mels, frames = log_mels(clips, self.extractor, self.tail)
        states = self._encode(mels.to(weight.device, weight.dtype), frames.to(weight.device))
        length = states.shape[1]
        padded = nn.functional.pad(states, (0, 0, 0, -length % self.stack))
        tokens = self.projector(padded.reshape(len(clips), -1, self.stack * states.shape[2]))
        return torch.cat([self._mark(row, count) for row, count in zip(tokens, counts, strict=True)])

    def _encode(self, mels: Tensor, frames: Tensor) -> Tensor:
        """(C, F / 2, E) states, at the clips' real length; nothing attends to padding."""
        encoder = self.encoder
        inside = torch.arange(mels.shape[-1], device=mels.device) < frames[:, None]
        hidden = nn.functional.gelu(encoder.conv1(mels)) * inside[:, None]
        hidden = nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        outside = (torch.arange(hidden.shape[1], device=mels.device) * 2 >= frames[:, None])[:, None, None]
        mask = torch.zeros_like(outside, dtype=hidden.dtype).masked_fill(outside, torch.finfo(hidden.dtype).min)
        for layer in encoder.layers:
            hidden = layer(hidden, mask)
        return encoder.layer_norm(hidden)

    def _mark(self, tokens: Tensor, samples: int) -> Tensor:
        spoken = tokens[: num_stacked(samples, self.stack)]
        return spoken if self.markers is None else torch.cat([self.markers[:1], spoken, self.markers[1:]])


def num_stacked(samples: int, stack: int) -> int:
    """T of a clip without its begin and end: one for `stack` states of 20 ms, rounded up."""
    return -(-samples // (2 * HOP * stack))


def log_mels(clips: Sequence[Tensor], extractor: WhisperFeatureExtractor, tail: float | str) -> tuple[Tensor, Tensor]:
    """(C, M, F) log-mels as Whisper's, of clips padded with silence to whole seconds and their `tail`, and (C,) the
    frames of each.
    """
    frames = []
    for clip in clips:
        padded = FULL_FRAMES if tail == "full" else -(-(len(clip) + round(float(tail) * RATE_HZ)) // RATE_HZ) * 100
        frames.append(min(padded, FULL_FRAMES))
    longest, window = max(frames), torch.hann_window(extractor.n_fft)
    samples = torch.zeros(len(clips), longest * HOP + 2 * extractor.n_fft)
    for row, clip in zip(samples, clips, strict=True):
        row[: len(clip)] = clip
    spectrum = torch.stft(samples, extractor.n_fft, HOP, window=window, return_complex=True)[..., :longest]
    power = spectrum.real.square() + spectrum.imag.square()
    mels = (torch.as_tensor(extractor.mel_filters, dtype=torch.float32).T @ power).clamp(min=1e-10).log10()
    mels = torch.maximum(mels, mels.amax(dim=(1, 2), keepdim=True) - 8.0)
    counts = torch.tensor(frames)
    inside = torch.arange(longest) < counts[:, None]
    return torch.where(inside[:, None], (mels + 4.0) / 4.0, 0.0), counts


class HearingModel(PreTrainedModel, GenerationMixin):
    """The base model in `base`, and `ears`. Positions follow from the attention mask; padding stands before prompts."""

    config_class = HearingConfig
    base_model_prefix = "base"
    _supports_sdpa = True

    def __init__(self, config: HearingConfig) -> None:
        super().__init__(config)
        base = AutoConfig.for_model(**config.base_config)
        kind = AutoModelForImageTextToText if config.image_tokens[1] else AutoModelForCausalLM
        self.base = kind.from_config(base, attn_implementation="eager")
        self.ears = Ears(config.ears)
        self._offset: Tensor | None = None
        self.post_init()

    @property
    def decoder(self) -> PreTrainedModel:
        """The language model without its head."""
        return getattr(self.base.model, "language_model", self.base.model)

    def get_input_embeddings(self) -> nn.Module:
        """Those of the base."""
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The head of the base."""
        return self.base.get_output_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        waveforms: Tensor | None = None,
        waveform_samples: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of (B, L) `input_ids`. Pictures and clips are read with the prompt, not with later tokens."""
        known = past_key_values.get_seq_length() if past_key_values is not None else 0
        if attention_mask is None:
            attention_mask = torch.ones(len(input_ids), known + input_ids.shape[1], device=input_ids.device).long()
        embeds = self._embed(input_ids, pixel_values, image_grid_thw, waveforms, waveform_samples, prompt=known == 0)
        out = self.decoder(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=self._positions(input_ids, attention_mask, image_grid_thw, known),
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        logits = self.get_output_embeddings()(out.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, past_key_values=out.past_key_values)

    def _embed(
        self, ids: Tensor, pixels: Tensor | None, grid: Tensor | None, waveforms: Tensor | None,
        samples: Tensor | None, *, prompt: bool,
    ) -> Tensor:  # fmt: skip
        heard = (ids == self.config.audio_token_id) & prompt  # A padded head can draw this id: then it is no clip.
        embeds = self.get_input_embeddings()(ids.masked_fill(heard, 0))
        if prompt and pixels is not None:
            given = (pixels,) if grid is None else (pixels, grid)
            found = self.base.model.get_image_features(*given).pooler_output
            features = torch.cat([*found]) if grid is not None else found.flatten(0, 1)
            seen = ids == self.base.config.image_token_id
            embeds = embeds.masked_scatter(seen[..., None], features.to(embeds.dtype))
        if prompt and waveforms is not None:
            embeds = embeds.masked_scatter(heard[..., None], self.ears(waveforms, samples).to(embeds.dtype))
        return embeds

    def _positions(self, ids: Tensor, mask: Tensor, grid: Tensor | None, known: int) -> Tensor:
        """(B, L) positions, or (3, B, L) where the base counts a picture in three dimensions."""
        if not hasattr(self.base.model, "get_rope_index"):
            return (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if known:
            assert self._offset is not None
            return (known + self._offset + torch.arange(ids.shape[1], device=ids.device)).expand(3, -1, -1)
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0).expand(3, -1, -1)
        if grid is not None:
            kinds = (ids == self.base.config.image_token_id).int()
            text = ids.masked_fill(ids == self.config.audio_token_id, 0)
            positions, _ = self.base.model.get_rope_index(
                text, mm_token_type_ids=kinds, image_grid_thw=grid, attention_mask=mask
            )
        self._offset = (positions.amax((0, 2)) + 1 - ids.shape[1])[:, None]
        return positions


class HearingProcessor:
    """Conversations to the model's inputs.

    Parts of a message are `{"type": "text", "text": ...}`, `{"type": "image", "image": PIL image or path}` and
    `{"type": "audio", "audio": 16 kHz float array or path of a WAV file}`. Pictures stand before the first text.
    """

    def __init__(self, tokenizer: Any, image_processor: Any, config: HearingConfig) -> None:
        self.tokenizer, self.image_processor, self.config = tokenizer, image_processor, config

    @classmethod
    def from_pretrained(cls, folder: str, **kwargs: Any) -> HearingProcessor:
        """From a folder or hub id."""
        kept: dict[str, Any] = {name: kwargs[name] for name in ("revision", "token", "cache_dir") if name in kwargs}
        config = HearingConfig.from_pretrained(folder, **kept)
        kept["trust_remote_code"] = True  # this code, which is running
        images = AutoImageProcessor.from_pretrained(folder, **kept) if config.image_tokens[1] else None
        return cls(AutoTokenizer.from_pretrained(folder, padding_side="left", **kept), images, config)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Nothing to do: the folder's `auto_map` names this class."""

    def apply_chat_template(self, conversations: Any, **kwargs: Any) -> BatchFeature:
        """The inputs of one conversation or of several, ready for `generate`."""
        many = conversations if isinstance(conversations[0], list) else [conversations]
        texts, images, clips = [], [], []
        for messages in many:
            shown, heard = media(messages, "image"), [waveform(clip) for clip in media(messages, "audio")]
            pictures = [self._picture(image) for image in shown]
            text = self._render(messages)
            text = self._fill(text, self.config.image_tokens[1], [self._places(one) for one in pictures])
            texts.append(self._fill(text, AUDIO, [AUDIO * self._num_tokens(len(clip)) for clip in heard]))
            images += pictures
            clips += heard
        inputs = self.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        found = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        for name in ("pixel_values", "image_grid_thw"):
            if images and name in images[0]:
                found[name] = torch.cat([image[name] for image in images])
        if clips:
            found["waveforms"] = nn.utils.rnn.pad_sequence(clips, batch_first=True)
            found["waveform_samples"] = torch.tensor([len(clip) for clip in clips])
        return BatchFeature(found)

    def batch_decode(self, ids: Tensor) -> list[str]:
        """The texts of generated tokens."""
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def _render(self, messages: list[dict[str, Any]]) -> str:
        """The template's text up to the answer, as in training: some templates write more before an answer than their
        generation prompt.
        """
        asked = [*messages, {"role": "assistant", "content": _ANSWER}]
        parts = [{"role": message["role"], "content": self._content(message["content"])} for message in asked]
        return str(self.tokenizer.apply_chat_template(parts, tokenize=False)).rpartition(_ANSWER)[0]

    def _content(self, content: Any) -> Any:
        """A message's content in the form that the base's template takes."""
        given = [{"type": "text", "text": content}] if isinstance(content, str) else content
        plain = [{"type": "text", "text": AUDIO} if part["type"] == "audio" else part for part in given]
        if self.image_processor is None:
            return "".join(part["text"] for part in plain)
        return [{"type": "image"} if part["type"] == "image" else part for part in plain]

    def _picture(self, image: Any) -> dict[str, Tensor]:
        from PIL import Image, ImageOps

        opened = image if isinstance(image, Image.Image) else Image.open(image)
        upright = ImageOps.exif_transpose(opened).convert("RGB")
        options = {"crop_to_patches": True} if "crop_to_patches" in self.image_processor.to_dict() else {}
        return dict(self.image_processor(images=[upright], return_tensors="pt", **options))

    def _places(self, picture: dict[str, Tensor]) -> str:
        before, each, behind = self.config.image_tokens
        if "image_grid_thw" in picture:
            count = int(picture["image_grid_thw"].prod()) // self.image_processor.merge_size**2
        else:
            count = len(picture["pixel_values"]) * self.config.base_config["image_seq_length"]
        return before + each * count + behind

    def _num_tokens(self, samples: int) -> int:
        if not 0 < samples <= FULL_FRAMES * HOP:
            raise ValueError(f"a clip of {samples / RATE_HZ:.1f} s: give one of at most 30 s")
        return num_stacked(samples, self.config.ears["stack"]) + 2 * bool(self.config.ears["markers"])

    @staticmethod
    def _fill(text: str, mark: str, places: list[str]) -> str:
        """`text` with the n-th `mark` replaced by the n-th of `places`."""
        parts = text.split(mark) if mark else [text]
        if len(parts) != len(places) + 1:
            raise ValueError(f"{len(places)} media for {len(parts) - 1} times {mark!r} in the conversation")
        return "".join(part + place for part, place in zip(parts, [*places, ""], strict=True))


def media(messages: list[dict[str, Any]], kind: str) -> list[Any]:
    """The pictures or clips of a conversation, in order."""
    content = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part[kind] for parts in content for part in parts if part["type"] == kind]


def waveform(clip: Any) -> Tensor:
    """A clip as samples: an array of 16 kHz, or the path of a 16-bit mono WAV file of 16 kHz."""
    if not isinstance(clip, str | Path):
        return torch.as_tensor(np.asarray(clip), dtype=torch.float32)
    with wave.open(str(clip), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise ValueError(f"{clip}: not a 16-bit mono WAV file of {RATE_HZ} Hz: give its samples")
        raw = file.readframes(file.getnframes())
    return torch.from_numpy(np.frombuffer(raw, dtype="<i2").astype(np.float32) / 32768)
