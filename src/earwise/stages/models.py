"""Models as recipes name them: a base with fresh, pretrained, native or trained ears, and what else is trained."""

from __future__ import annotations

from pathlib import Path

import torch

from earwise.errors import InputError
from earwise.models.decoder import Decoder
from earwise.models.device import best_device
from earwise.models.ears import Ears, EarsConfig
from earwise.models.families import OwnEars
from earwise.models.lora import Lora
from earwise.models.omni import OmniModel
from earwise.models.shipped import model_folder
from earwise.models.whisper import encoder_config
from earwise.recipe.model import BASE, FreshEars, Model, NativeEars
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import FrozenLayers
from earwise.work.run import StageContext

EARS = "ears"
"""Folder of a training stage that holds the ears it leaves."""


def load_model(recipe: Recipe, context: StageContext, *, ears: Ears | Path | None = None) -> OmniModel:
    """The recipe's base with new ears, or with those given."""
    settings = recipe.model
    assert settings is not None
    model = load_base(recipe, context, ears)
    _check_ears(settings, model)
    if isinstance(model.ears, OwnEars) and isinstance(settings.ears, NativeEars) and ears is None:
        model.ears.train_part(settings.ears.train)
    elif model.ears is None:
        new = _new_ears(settings, model.family.width, context.seed)
        model = OmniModel(model.family, new, base=model.origin[0], revision=model.origin[1])
    return model.to(best_device())


def _check_ears(settings: Model, model: OmniModel) -> None:
    """Raise `InputError` unless the recipe's ears are of the kind that the family has."""
    native = isinstance(settings.ears, NativeEars)
    if native != model.family.hears:
        what = "does not hear by itself" if native else "hears by itself"
        remedy = "set model.ears.encoder to 'fresh' or 'pretrained'" if native else "set model.ears.encoder to 'native'"
        raise InputError(f"{model.family.name} {what}", file=settings.base, remedy=remedy)


def load_base(recipe: Recipe, context: StageContext, ears: Ears | Path | None = None) -> OmniModel:
    """The recipe's base, with the given ears or none."""
    settings = recipe.model
    if settings is None or settings.base == BASE:
        folder = context.folder_of(f"seed{context.seed}/{BASE}") / "model"
        return OmniModel.from_pretrained(str(folder), ears).to(best_device())
    model = OmniModel.from_pretrained(
        settings.base,
        ears,
        family=settings.family,
        revision=settings.revision,
        dtype=getattr(torch, settings.dtype),
        trust_remote_code=settings.trust_remote_code,
    )
    return model.to(best_device())


def load_start(recipe: Recipe, context: StageContext, stage: str | None) -> OmniModel:
    """The model that `stage` left, or the base with new ears when there is no such stage; with the recipe's LoRA, or
    with its decoder ready to be trained.
    """
    model = load_model(recipe, context, ears=context.folder_of(stage) / EARS if stage else None)
    assert recipe.model is not None
    lora = recipe.model.lora
    if lora is not None:
        if model.lora is None:
            model.lora = Lora.fresh(
                model.family.backbone, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, targets=lora.targets,
                seed=context.seed,
            )  # fmt: skip
        model.lora.requires_grad_(True)
    if recipe.model.decoder == "full":
        model.decoder = model.decoder or Decoder(model.family)
        model.decoder.requires_grad_(True)
    return model


def train_ears(model: OmniModel, frozen_layers: FrozenLayers) -> None:
    """Ears learn wherever anything does; LoRA and decoder are settled when the model is loaded."""
    assert model.ears is not None
    model.ears.requires_grad_(True)
    if isinstance(model.ears, Ears):
        model.ears.freeze_encoder(frozen_layers)


def _new_ears(settings: Model, width: int, seed: int) -> Ears:
    ears = settings.ears
    assert not isinstance(ears, NativeEars)
    encoder = encoder_config(ears.layers, ears.width, ears.heads, ears.mel_bins) if isinstance(ears, FreshEars) else {}
    config = EarsConfig(encoder, width, stack=ears.stack, hidden=ears.hidden, markers=ears.markers)
    if isinstance(ears, FreshEars):
        return Ears.fresh(config, seed=seed)
    return Ears.from_whisper(model_folder(ears.path), config, seed=seed, revision=ears.revision)
