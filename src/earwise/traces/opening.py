"""Engines and clients as recipes name them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from earwise.traces.client import Client, Price
from earwise.traces.engine import Engine
from earwise.traces.requests import file_digest
from earwise.traces.server import Server, ServerEngine
from earwise.traces_settings import Generator, LocalModel


def open_client(settings: Generator, path: Path) -> Client:
    """A client that stores its answers at `path`; raises `InputError` for a model or key that is not there."""
    return Client(_open_engine(settings), path)


def price_of(settings: Generator) -> Price:
    """What tokens cost; nothing for a local model."""
    return Price() if isinstance(settings, LocalModel) else Price(settings.prompt_price, settings.completion_price)


def _open_engine(settings: Generator) -> Engine:
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
    # A recipe that asks a server should not wait for torch.
    from earwise.models.omni import OmniModel
    from earwise.models.shipped import model_folder
    from earwise.traces.local import LocalEngine

    model = OmniModel.from_pretrained(settings.model, settings.ears, revision=settings.revision)
    name = weights_name(settings.model, Path(model_folder(settings.model)), settings.revision)
    if settings.ears is not None:
        name += f" with {weights_name('ears', Path(settings.ears), None)}"
    return LocalEngine(model, name, settings.batch_size)


def weights_name(name: str, folder: Path, revision: str | None) -> str:
    """What identifies weights: of a folder their content, as they may change under its name; else id and revision."""
    if not folder.is_dir():
        return f"{name}@{revision or 'main'}"
    files = sorted(folder.rglob("*.safetensors"))
    digests = "".join(file_digest(file, name) for file in files)
    return f"{folder.name}-{hashlib.sha256(digests.encode()).hexdigest()[:16]}"
