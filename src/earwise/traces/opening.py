"""Opens the engines and clients of a recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from earwise.recipe.teach import Generator, LocalModel
from earwise.traces.client import Client, Price
from earwise.traces.engine import Engine
from earwise.traces.replicas import Replicas
from earwise.traces.requests import file_digest
from earwise.traces.server import Server, ServerEngine
from earwise.work.parallel import ProcessPool, Workers


def open_client(settings: Generator, path: Path, pool: Callable[[int], Workers] = ProcessPool) -> Client:
    """A client that stores its answers at `path`; raises `InputError` for a model or key that is not there.

    `pool` makes the workers for a local model that is to have several replicas.
    """
    return Client(_open_engine(settings, pool), path)


def price_of(settings: Generator) -> Price:
    """Prices of tokens; None for a local model."""
    return Price() if isinstance(settings, LocalModel) else Price(settings.prompt_price, settings.completion_price)


def _open_engine(settings: Generator, pool: Callable[[int], Workers]) -> Engine:
    if not isinstance(settings, LocalModel):
        return ServerEngine(
            Server(
                settings.base_url,
                settings.model,
                api_key_env=settings.api_key_env,
                concurrency=settings.concurrency,
                timeout_s=settings.timeout_s,
                max_attempts=settings.max_attempts,
                frames_as=settings.frames_as,
            )
        )
    if settings.replicas == 1 and pool is ProcessPool:  # One replica needs no pool.
        return _open_local(settings)
    return Replicas(partial(_open_local, settings), _name(settings), settings.batch_size, pool(settings.replicas))


def _open_local(settings: LocalModel) -> Engine:
    # Imported here because recipes with a server do not need torch.
    import torch

    from earwise.models.omni import OmniModel
    from earwise.traces.local import LocalEngine

    model = OmniModel.from_pretrained(settings.model, settings.ears, revision=settings.revision)
    return LocalEngine(model.to("cuda" if torch.cuda.is_available() else "cpu"), _name(settings), settings.batch_size)


def _name(settings: LocalModel) -> str:
    """Identifies the model's weights without loading them."""
    from earwise.models.shipped import model_folder

    name = weights_name(settings.model, Path(model_folder(settings.model)), settings.revision)
    return name if settings.ears is None else f"{name} with {weights_name('ears', Path(settings.ears), None)}"


def weights_name(name: str, folder: Path, revision: str | None) -> str:
    """Identifies weights: a folder by its content, because this may change; otherwise id and revision."""
    if not folder.is_dir():
        return f"{name}@{revision or 'main'}"
    files = sorted(folder.rglob("*.safetensors"))
    digests = "".join(file_digest(file, name) for file in files)
    return f"{folder.name}-{hashlib.sha256(digests.encode()).hexdigest()[:16]}"
