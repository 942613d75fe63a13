"""Models as recipes name them: a base with fresh, pretrained, native or trained ears, and other trained parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from earwise.errors import InputError
from earwise.models.decoder import Decoder
from earwise.models.device import best_device
from earwise.models.ears import Ears, EarsConfig
from earwise.models.families import OwnEars
from earwise.models.lora import Lora
from earwise.models.omni import OmniModel
from earwise.models.shipped import TRAINING, model_folder
from earwise.models.whisper import encoder_config
from earwise.recipe.model import FreshEars, Model, NativeEars, PretrainedEars, Tail
from earwise.recipe.train import FrozenLayers
from earwise.stages.jobs.models import ModelSource
from earwise.work.job import Job, StageContext

EARS = "ears"
"""Folder of the trained ears in a training stage."""


class _Held:
    """Keeps the last model that answered: jobs of one model follow each other, and loading takes longer than a job. It
    is dropped before another model is loaded, because memory may not hold two.
    """

    def __init__(self) -> None:
        self._of: object = None
        self._model: OmniModel | None = None

    def __call__(self, of: object, load: Callable[[], OmniModel]) -> OmniModel:
        """The model with key `of`, loaded if it is not the last one."""
        if self._model is None or self._of != of:
            model = load()  # drops the last one
            self._of, self._model = of, model
        return self._model

    def forget(self) -> None:
        """Drop the model."""
        self._of, self._model = None, None


PUBLIC_TAIL_S: Final = 4.0
"""Silence behind a clip for a Whisper that was trained on 30 s (`model.ears.tail = "auto"`)."""
HELD = _Held()


def load_model(context: StageContext, source: ModelSource, *, ears: Ears | Path | None = None) -> OmniModel:
    """The base with the given ears, or new ones."""
    settings = source.model
    assert settings is not None
    model = load_base(context, source, ears)
    _check_ears(settings, model)
    if isinstance(model.ears, OwnEars) and isinstance(settings.ears, NativeEars) and ears is None:
        model.ears.train_part(settings.ears.train)
    elif model.ears is None:
        new = _new_ears(settings, model.family.width, context.seed)
        model = OmniModel(model.family, new, base=model.origin[0], revision=model.origin[1])
    return model.to(best_device())


def _check_ears(settings: Model, model: OmniModel) -> None:
    """Raise `InputError` if the family hears natively and the recipe's ears are not native, or the reverse."""
    native = isinstance(settings.ears, NativeEars)
    if native != model.family.hears:
        what = "does not hear by itself" if native else "hears by itself"
        remedy = "set model.ears.encoder to 'fresh' or 'pretrained'" if native else "set model.ears.encoder to 'native'"
        raise InputError(f"{model.family.name} {what}", file=settings.base, remedy=remedy)


def load_base(context: StageContext, source: ModelSource, ears: Ears | Path | None = None) -> OmniModel:
    """The base, with the given ears or none."""
    HELD.forget()
    settings = source.model
    if source.base is not None:
        return OmniModel.from_pretrained(str(context.folder_of(source.base) / "model"), ears).to(best_device())
    assert settings is not None
    model = OmniModel.from_pretrained(
        settings.base,
        ears,
        family=settings.family,
        revision=settings.revision,
        dtype=getattr(torch, settings.dtype),
        trust_remote_code=settings.trust_remote_code,
    )
    return model.to(best_device())


def load_start(context: StageContext, source: ModelSource, start: Job | None) -> OmniModel:
    """The result of `start`, or the base with new ears; LoRA and a trained decoder are made ready."""
    model = load_model(context, source, ears=context.folder_of(start) / EARS if start is not None else None)
    assert source.model is not None
    lora = source.model.lora
    if lora is not None:
        if model.lora is None:
            model.lora = Lora.fresh(
                model.family.backbone, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, targets=lora.targets,
                seed=context.seed,
            )  # fmt: skip
        model.lora.requires_grad_(True)
    if source.model.decoder == "full":
        model.decoder = model.decoder or Decoder(model.family)
        model.decoder.requires_grad_(True)
    return model


def train_ears(model: OmniModel, settings: Model | None, frozen_layers: FrozenLayers, seed: int) -> None:
    """Make the ears trainable as the recipe says; LoRA and decoder are set when the model is loaded."""
    assert model.ears is not None
    assert settings is not None
    model.ears.requires_grad_(True)
    if not isinstance(model.ears, Ears):
        return
    given = settings.ears if isinstance(settings.ears, PretrainedEars) else None
    if given is not None and given.lora is not None:
        model.ears.train_lora(given.lora.rank, given.lora.alpha, given.lora.targets, seed=seed)
    model.ears.freeze_encoder("all" if given is not None and given.train == "projector" else frozen_layers)


def _new_ears(settings: Model, width: int, seed: int) -> Ears:
    ears = settings.ears
    assert not isinstance(ears, NativeEars)
    encoder = encoder_config(ears.layers, ears.width, ears.heads, ears.mel_bins) if isinstance(ears, FreshEars) else {}
    tail = _tail(ears.path) if isinstance(ears, PretrainedEars) and ears.tail == "auto" else ears.tail
    assert tail != "auto"
    config = EarsConfig(encoder, width, stack=ears.stack, hidden=ears.hidden, markers=ears.markers, tail=tail)
    if isinstance(ears, FreshEars):
        return Ears.fresh(config, seed=seed)
    return Ears.from_whisper(model_folder(ears.path), config, seed=seed, revision=ears.revision)


def _tail(encoder: str) -> Tail:
    """The silence that a given encoder is used to: see docs/results/whisper_tail.md."""
    return 0.0 if (Path(model_folder(encoder)) / TRAINING).is_file() else PUBLIC_TAIL_S
