"""Exact numbers of a deep model from shallow ones: all layers of a tower have the same shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers.utils.output_capturing import maybe_install_capturing_hooks

from earwise.models import OmniModel
from earwise.models.ears import Ears

DECODER, VISION, GLOBAL_VISION, HEARING = "decoder", "vision", "global_vision", "hearing"
"""Kinds of layers. In a vision tower with window attention, the layers with global attention are a kind of their own.
"""


def depths(model: OmniModel) -> dict[str, int]:
    """The number of layers of each kind in `model`."""
    found = {kind: len(getattr(*place)) for kind, place in _towers(model).items()}
    if seeing_all := _seeing_all(model):
        found |= {VISION: found[VISION] - len(seeing_all), GLOBAL_VISION: len(seeing_all)}
    return found


def deep(model: OmniModel, count: Callable[[], Mapping[str, int]]) -> dict[str, int]:
    """What `count` would return for `model`, from calls with one layer of each kind, and with a second one of each in
    turn.
    """
    full = depths(model)
    maybe_install_capturing_hooks(model.family.backbone)  # hooks go into all layers that exist now
    once = dict.fromkeys(full, 1)
    with _cut(model, once):
        total = base = dict(count())
    for kind, layers in full.items():
        with _cut(model, {**once, kind: 2}):
            more = count()
        total = {key: value + (more[key] - base[key]) * (layers - 1) for key, value in total.items()}
    return total


@contextmanager
def _cut(model: OmniModel, layers: Mapping[str, int]) -> Iterator[None]:
    """A context in which `model` has these numbers of layers."""
    towers, config, seeing_all = _towers(model), model.family.backbone.config, _seeing_all(model)
    before = {kind: getattr(*place) for kind, place in towers.items()}
    types, depth = config.layer_types, config.num_hidden_layers
    for kind, (owner, name) in towers.items():
        wanted = layers[kind] + (layers.get(GLOBAL_VISION, 0) if kind == VISION else 0)
        setattr(owner, name, nn.ModuleList(list(before[kind])[:wanted]))
    config.num_hidden_layers, config.layer_types = layers[DECODER], types[: layers[DECODER]]
    if seeing_all:
        towers[VISION][0].fullatt_block_indexes = [layers[VISION] + n for n in range(layers[GLOBAL_VISION])]
    try:
        yield
    finally:
        for kind, (owner, name) in towers.items():
            setattr(owner, name, before[kind])
        config.num_hidden_layers, config.layer_types = depth, types
        if seeing_all:
            towers[VISION][0].fullatt_block_indexes = seeing_all


def _towers(model: OmniModel) -> dict[str, tuple[Any, str]]:
    """The owner and name of each tower's list of layers."""
    inner: Any = model.base.model
    seeing = (inner.vision_tower.encoder, "layer") if model.family.name == "internvl" else (inner.visual, "blocks")
    hearing = model.ears.encoder if isinstance(model.ears, Ears) else inner.audio_tower
    return {DECODER: (model.family.backbone, "layers"), VISION: seeing, HEARING: (hearing, "layers")}


def _seeing_all(model: OmniModel) -> list[int]:
    return list(getattr(_towers(model)[VISION][0], "fullatt_block_indexes", ()))
