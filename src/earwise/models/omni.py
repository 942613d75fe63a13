"""A base model with given ears or its own. The base stays bit-for-bit unchanged. Ears are trained and saved and, if the
recipe asks for it, LoRA in the decoder or the decoder itself.

Shapes: B samples, L tokens, H width, V vocabulary, N response tokens of a batch, K decoder layers + 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Self, cast

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.modeling_outputs import BaseModelOutputWithPast

from earwise.errors import EarwiseError, InputError
from earwise.models.batch import Pass, ViewBatch, collate
from earwise.models.clip_inputs import clip_inputs
from earwise.models.decode import greedy, require
from earwise.models.decoder import Decoder
from earwise.models.ears import Ears
from earwise.models.families import Family, OwnEars, load_family
from earwise.models.families.base import ImageInput
from earwise.models.image_attention import image_attention
from earwise.models.kept_pictures import KeptPictures, KeyValues
from earwise.models.layout import Layout, LayoutBuilder
from earwise.models.lora import Lora
from earwise.models.sample import Sample
from earwise.models.saving import read_description
from earwise.models.segments import decoder_masks
from earwise.models.states import Ask, AudioStates, Hearing, States
from earwise.records import View

Pictures = dict[tuple[int, ...], Tensor]
"""Features of the images that views of one batch share, by the identities of these images."""

_PLAIN: Final = Ask()
_LORA = "lora"
"""Folder of the LoRA, beside the ears."""
_DECODER = "decoder"
"""Folder of a fully trained decoder, beside the ears."""


class OmniModel(nn.Module):
    """A base model and, unless it hears natively, optional ears.

    Args:
        family: the loaded base in its adapter.
        ears: None for the base alone, and for a base that hears natively.
        base: folder or hub id of the base, and its revision; saved with the ears.
    """

    def __init__(self, family: Family, ears: Ears | None, *, base: str, revision: str | None = None) -> None:
        super().__init__()
        if ears is not None and ears.config.width != family.width:
            raise InputError(f"the ears are {ears.config.width} wide, the base is {family.width}", file=base)
        self.family = family
        self.base = family.model
        self.ears: Hearing | None = family.hearing(ears)
        self.lora: Lora | None = None
        self.decoder: Decoder | None = None
        """Set if the decoder is, or was, fully trained."""
        self.aids = nn.ModuleDict()
        """Modules that terms train beside the model, by the term's name; saved with a checkpoint, not with the model.
        They run inside `forward`, so that DDP and FSDP2 see their gradients.
        """
        self.kept: KeptPictures | None = None
        """Keeps the outputs of frozen parts for a training run's pictures; None computes them in each step."""
        self.origin = (base, revision)
        self.layouts = LayoutBuilder(family, self.ears.num_tokens if self.ears is not None else None)
        self.base.requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls,
        base: str,
        ears: Ears | str | Path | None = None,
        *,
        family: str = "auto",
        revision: str | None = None,
        dtype: torch.dtype = torch.float32,
        trust_remote_code: bool = False,
    ) -> OmniModel:
        """Load a base from a folder or hub id. `ears` are `Ears`, or a folder that `save_ears` wrote."""
        adapter = load_family(base, family=family, revision=revision, dtype=dtype, trust_remote_code=trust_remote_code)
        if not isinstance(ears, str | Path):
            return cls(adapter, ears, base=base, revision=revision)
        folder = Path(ears)
        _check_origin(folder, adapter, base)
        given = None if adapter.hears else Ears.load(folder)[0]
        model = cls(adapter, given, base=base, revision=revision)
        if isinstance(model.ears, OwnEars):
            model.ears.load(folder)
        if (folder / _LORA).is_dir():
            model.lora = Lora.load(adapter.backbone, folder / _LORA, adapter.model)
        if (folder / _DECODER).is_dir():
            model.decoder = Decoder(adapter)
            model.decoder.load(folder / _DECODER)
        return model

    def save_ears(self, folder: Path | str) -> None:
        """Write everything that was added or trained (ears, LoRA, decoder), with the base's name and revision."""
        if self.ears is None:
            raise EarwiseError("the model has no ears to save")
        self.ears.save(Path(folder), base=self.origin[0], revision=self.origin[1])
        if self.lora is not None:
            self.lora.save(Path(folder) / _LORA, self.base, base=self.origin[0], revision=self.origin[1])
        if self.decoder is not None:
            self.decoder.save(Path(folder) / _DECODER, base=self.origin[0], revision=self.origin[1])

    @property
    def device(self) -> torch.device:
        """Device of the base."""
        return self.family.head_weight.device

    @property
    def base_is_frozen(self) -> bool:
        """Whether no part of the base is trained, apart from ears of its own."""
        own = {id(p) for p in self.ears.parameters()} if self.ears is not None else set()
        return not any(p.requires_grad and id(p) not in own for p in self.base.parameters())

    @property
    def tower_is_frozen(self) -> bool:
        """Whether no part is trained that images go through before they are embedded."""
        rest = [self.family.backbone, self.family.embed, *([self.ears] if self.ears is not None else [])]
        own = {id(self.family.head_weight), *(id(p) for part in rest for p in part.parameters())}
        return not any(p.requires_grad and id(p) not in own for p in self.base.parameters())

    @property
    def no_shared_prefix(self) -> str | None:
        """Why training cannot compute a shared prefix once; None if it can, exactly."""
        if not self.base_is_frozen and self.lora is not None:
            return "LoRA is trained: a gradient flows through the student's prefix, and the teacher's has no adapter"
        if not self.base_is_frozen:
            return "the base model is trained, so a gradient flows through the prefix"
        return self.family.no_shared_prefix

    def train(self, mode: bool = True) -> Self:
        """As in torch, except that a base stays in evaluation mode if it is frozen, has LoRA or has its decoder
        trained: it is also the teacher, so it must not drop out.
        """
        super().train(mode)
        if self.base_is_frozen or self.lora is not None or self.decoder is not None:
            self.base.eval()
        if self.lora is not None:
            self.lora.train(mode)
        return self

    def forward(self, batch: ViewBatch, passes: Mapping[str, Ask] | None = None) -> dict[str, States]:
        """States of every view of the batch. `passes` requests states by view; other views return their last states,
        without a gradient. The batch need not hold every view of `passes`.

        Views without gradients are the teachers of those with gradients: they are computed without LoRA. A fully
        trained decoder is its own teacher, with its current weights.

        Raises `EarwiseError` if a shared prefix or attention is requested while gradient checkpointing is on, because
        Hugging Face models then silently drop the cache and run layers twice.
        """
        passes = passes or {}
        if batch.prefix is not None and torch.is_grad_enabled():
            self._check_prefix_in_training()
        if any(ask.wants.attention for ask in passes.values()) and self._checkpoints_gradients:
            raise EarwiseError("gradient checkpointing runs layers twice, attention terms read them once: turn one off")
        learns = any(ask.learn for ask in passes.values())
        past = (self.kept or self).prefix(batch.prefix) if batch.prefix is not None else None
        states, seen = {}, Pictures()
        for name, view in batch.views.items():
            ask = passes.get(name, _PLAIN)
            teaches = learns and not ask.learn
            with (
                nullcontext() if ask.learn else torch.no_grad(),
                self.lora.switched_off() if self.lora is not None and teaches else nullcontext(),
            ):
                found = self._states(view, batch.prefix, past, ask, seen=seen)
                if ask.learn and found.layers is not None:
                    found.aided = {term: aid(found.layers) for term, aid in self.aids.items()}
                states[name] = found
        return states

    def prefix(self, prefix: Pass) -> KeyValues:
        """The keys and values of the tokens of `prefix`, without a gradient."""
        with torch.no_grad():
            cache = DynamicCache(config=self.family.backbone.config)
            self.decode(self.embed(prefix, self.ears), prefix.mask, prefix.positions, cache)
        return [(require(layer.keys), require(layer.values)) for layer in _layers(cache)]

    @property
    def _checkpoints_gradients(self) -> bool:
        """Whether gradient checkpointing is on, from the modules: the name of the model's property has changed."""
        return self.base.training and any(
            getattr(part, "gradient_checkpointing", False) for part in self.base.modules()
        )

    def _check_prefix_in_training(self) -> None:
        if self.no_shared_prefix:
            raise EarwiseError(f"the prefix cannot be shared: {self.no_shared_prefix}")
        if self._checkpoints_gradients:
            raise EarwiseError("gradient checkpointing drops the shared prefix: turn one of the two off")

    def _states(self, view: Pass, prefix: Pass | None, past: KeyValues | None, ask: Ask, *, seen: Pictures) -> States:
        wants, ears = ask.wants, ask.ears or self.ears
        mask = view.mask if prefix is None else torch.cat([prefix.mask, view.mask], dim=1)
        cache = fresh_cache(past, self.family) if past is not None else None
        embeds = self.embed(view, ears, seen)
        seen_by = decoder_masks(self.family, mask, view.segments, view.image_mask, embeds.dtype)
        audio = wants.audio and bool(view.audio_mask.any())
        tapped = wants.attention
        with image_attention(self.family.backbone, tapped, view, prefix) if tapped else nullcontext() as attention:
            every_layer = bool(wants.layers) or audio
            out = self.decode(embeds, seen_by, view.positions, cache, output_hidden_states=every_layer)
        layers = _at(view.predicts, out) if wants.layers else None
        states = States(require(out.last_hidden_state)[view.predicts], layers, view.targets)
        states.turns, states.attention = view.turns, attention
        if wants.inputs:
            states.inputs = clip_inputs(view, embeds[..., : self.family.width], self.family.embed, ears)
        if audio:
            rows, responses = view.audio_mask.nonzero()[:, 0], view.predicts.nonzero()[:, 0]
            states.audio = AudioStates(_at(view.audio_mask, out), rows, responses)
        return states

    def embed(self, view: Pass, ears: Hearing | None, seen: Pictures | None = None) -> Tensor:
        """(B, L, H) input embeddings, with the features of images and of clips, as `ears` hear them, in their places.

        Image features are reused from `seen`, and stored there for other views of the same batch. Deep features stand
        beside the embeddings, in further columns; other tokens have 0 there.
        """
        embeds = self.family.embed(view.ids)
        if view.images:
            features = self._features(view.images, {} if seen is None else seen)
            embeds = _placed(embeds, view.image_mask, features)
        if view.waveforms:
            if ears is None:
                raise EarwiseError("the model has no ears, so it cannot be asked by speech")
            embeds = _placed(embeds, view.audio_mask, ears(view.waveforms))
        return embeds

    def _features(self, images: Sequence[ImageInput], seen: Pictures) -> Tensor:
        """(image tokens, H) of `images`, encoded once for all views unless gradients flow through them."""
        if self.kept is not None and self.tower_is_frozen:
            return self.kept.features(images)
        key = tuple(map(id, images))
        if key not in seen:
            features = self.family.encode_images(images)
            if features.requires_grad or not torch.is_grad_enabled():  # Each student view needs its own graph.
                return features
            seen[key] = features
        return seen[key]

    def decode(
        self,
        embeds: Tensor,
        mask: Tensor | dict[str, Tensor],
        positions: Tensor,
        cache: DynamicCache | None,
        *,
        output_hidden_states: bool = False,
    ) -> BaseModelOutputWithPast:
        """Run the decoder without its head on embeddings, as `embed` returns them, that follow the tokens in `cache`.

        `mask` is (B, cached + L), or (B, 1, L, L) to be added to the attention scores, or a dict of these by kind of
        layer. `positions` is (D, B, L).
        """
        width = self.family.width
        deep = self.family.deep_inputs(embeds[..., width:]) if embeds.shape[-1] > width else {}
        return self.family.backbone(
            **deep,
            inputs_embeds=embeds[..., :width],
            attention_mask=mask if isinstance(mask, dict) or mask.is_floating_point() else mask.long(),
            position_ids=positions if positions.shape[0] > 1 else positions[0],
            past_key_values=cache,
            use_cache=cache is not None,
            output_hidden_states=output_hidden_states,
        )

    def generate(self, items: Sequence[Sample], *, view: View, max_new_tokens: int = 32) -> list[str]:
        """Greedy answers to the last turn of each item under `view`, in the order of `items`."""
        return self.generate_views(items, views=[view], max_new_tokens=max_new_tokens)[view]

    @torch.no_grad()
    def generate_views(
        self, items: Sequence[Sample], *, views: Sequence[View], max_new_tokens: int = 32, share_prefix: bool = True
    ) -> dict[View, list[str]]:
        """As `generate`, under several views of the same items with one shared prefix; one list per view."""
        layouts: dict[str, list[Layout]] = {
            view: [self.layouts.build(item, view, answers=False) for item in items] for view in views
        }
        share = share_prefix and self.family.no_shared_prefix is None
        batch = collate(layouts, self.family, share_prefix=share, with_audio=True).to(self.device)
        past = self.prefix(batch.prefix) if batch.prefix is not None else None
        answers = {}
        for view in views:
            prompt = batch.views[view]
            mask = prompt.mask if batch.prefix is None else torch.cat([batch.prefix.mask, prompt.mask], dim=1)
            ids = greedy(self, prompt, mask, fresh_cache(past or [], self.family), max_new_tokens)
            answers[view] = [text.strip() for text in self.family.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return answers


def _placed(embeds: Tensor, where: Tensor, features: Tensor) -> Tensor:
    """`embeds` with (n, H) `features` at the n positions of the mask `where`."""
    if len(features) != (places := int(where.sum())):
        raise EarwiseError(f"{len(features)} features of images or clips for {places} places in the input")
    width = max(embeds.shape[-1], features.shape[-1])
    return _as_wide(embeds, width).masked_scatter(where[..., None], _as_wide(features, width).to(embeds.dtype))


def _as_wide(rows: Tensor, width: int) -> Tensor:
    """`rows` with columns of 0 behind their own, up to `width`."""
    return rows if rows.shape[-1] == width else nn.functional.pad(rows, (0, width - rows.shape[-1]))


def _at(where: Tensor, out: BaseModelOutputWithPast) -> Tensor:
    """(K, n, H) states of every layer at the n positions of the mask `where`, (B, L)."""
    return torch.stack([hidden[where] for hidden in out.hidden_states or ()])


def _check_origin(folder: Path, family: Family, base: str) -> None:
    origin = read_description(folder)
    if Path(origin["base"]).name != Path(base).name:
        raise InputError(f"the ears belong to {origin['base']!r}, not to {base!r}", file=base)
    if ("own" in origin) != family.hears:
        raise InputError(f"not the kind of ears that a {family.name} has", file=folder)


def fresh_cache(past: KeyValues, family: Family) -> DynamicCache:
    """A new cache over the tensors of `past`, so that several passes can extend it independently."""
    cache = DynamicCache(config=family.backbone.config)
    for layer, (keys, values) in zip(_layers(cache), past, strict=False):
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return cache


def _layers(cache: DynamicCache) -> list[DynamicLayer]:
    """The cache's layers; `Family.no_shared_prefix` ensures that all of them keep every key."""
    return cast(list[DynamicLayer], cache.layers)
