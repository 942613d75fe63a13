"""Disagreements between the ears of `[model]` and the tables that train them."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.recipe.model import FreshEars, NativeEars, PretrainedEars
from earwise.recipe.recipe import Recipe


def ears_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Pairs of a dotted key and what is wrong with it."""
    yield from _trained_parts(recipe)
    yield from _frozen_layers(recipe)
    yield from _encoder_lr(recipe)


def _frozen_layers(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Only layers that can hear already may stay frozen."""
    ears = recipe.model.ears if recipe.model is not None else None
    for key, settings in (("align", recipe.align), ("training", recipe.training)):
        if ears is None or settings is None or settings.frozen_layers == 0:
            continue
        key = f"{key}.frozen_layers"
        if isinstance(ears, PretrainedEars) and ears.train == "projector":
            yield key, "model.ears.train is 'projector', which freezes the whole encoder: leave it out"
        elif isinstance(ears, PretrainedEars) and ears.train == "lora" and settings.frozen_layers == "all":
            yield key, "'all' leaves nothing of the encoder to model.ears.lora: freeze fewer"
        elif isinstance(ears, NativeEars):
            yield key, "of a base that hears by itself, model.ears.train says what is trained"
        elif isinstance(ears, FreshEars) and (settings is recipe.align or recipe.align is None):
            yield key, "a fresh encoder hears nothing until it is trained: leave it out"


def _encoder_lr(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The encoder must be trained where it has a learning rate."""
    ears = recipe.model.ears if recipe.model is not None else None
    for key, settings in (("align", recipe.align), ("training", recipe.training)):
        if ears is None or settings is None or settings.encoder_lr is None:
            continue
        if isinstance(ears, NativeEars):
            yield f"{key}.encoder_lr", "of a base that hears by itself, lr is the rate of all that is trained"
        elif settings.frozen_layers == "all" or (isinstance(ears, PretrainedEars) and ears.train == "projector"):
            yield f"{key}.encoder_lr", "the encoder is not trained: leave it out"


def _trained_parts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """A table that trains must have something of the model to train."""
    model = recipe.model
    if model is None or not isinstance(model.ears, NativeEars) or model.ears.train != "none":
        return
    if recipe.align is not None:
        yield "model.ears.train", "'none' leaves nothing that [align] could train: it trains ears only"
    if recipe.train and not model.trains_decoder:
        yield "model.ears.train", "'none' leaves nothing to train: add [model.lora], or set model.decoder to 'full'"
