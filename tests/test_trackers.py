"""`report_to`: trackers get the numbers of `metrics.jsonl`, and change no result."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest
from tiny import tiny_model, tiny_samples

from earwise.distil import trackers
from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.recipe.train import Optimisation, SftTerm, Tracker
from earwise.work.metrics import Metrics


def train(base: Path, folder: Path, report_to: tuple[Tracker, ...]) -> list[dict]:
    """Two steps; returns the metrics."""
    folder.mkdir()
    model = tiny_model(base)
    assert model.ears is not None
    model.ears.requires_grad_(True)
    samples = tiny_samples(folder)
    objective = Objective("image_speech", [make_term(SftTerm(type="sft", weight=1.0))], model)
    settings = Optimisation(steps=2, batch_size=2, lr=1e-3, log_every=1, precision="float32", report_to=report_to)
    fit(model, objective, Schedule(samples, [0, 1, 2, 3]), settings, folder / "checkpoints", seed=0,
        metrics=Metrics(folder / "metrics.jsonl"), what="train.x")  # fmt: skip
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_gets_the_numbers_and_changes_none(tiny_checkpoints: dict[str, Path], tmp_path: Path) -> None:
    base = tiny_checkpoints["internvl"]
    plain, reported = train(base, tmp_path / "a", ()), train(base, tmp_path / "b", ("tensorboard",))
    assert [one["loss"] for one in plain] == [one["loss"] for one in reported]
    (events,) = (tmp_path / "b" / trackers.TENSORBOARD).glob("events.*")
    content = events.read_bytes()
    for name in (b"train/loss", b"train/terms/sft", b"train/learning_rate"):
        assert content.count(name) == 2
    assert not (tmp_path / "a" / trackers.TENSORBOARD).exists()


def test_trackio_gets_the_numbers(
    tiny_checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through transformers' own callback, with a stand-in for the package, which needs a server."""
    logged: list[dict] = []
    begun: list[dict] = []
    fake = types.ModuleType("trackio")
    fake.__spec__ = importlib.util.spec_from_loader("trackio", None)
    fake.init = lambda **options: begun.append(options)  # type: ignore[attr-defined]
    fake.log = lambda numbers, *_, **__: logged.append(numbers)  # type: ignore[attr-defined]
    fake.finish = lambda: None  # type: ignore[attr-defined]
    fake.config = {}  # type: ignore[attr-defined]
    space = types.SimpleNamespace(get=lambda: None)
    fake.context_vars = types.SimpleNamespace(current_space_id=space)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setattr("transformers.integrations.integration_utils.is_trackio_available", lambda: True)

    class Config(dict):
        def update(self, values: dict, **_: object) -> None:
            super().update(values)

    fake.config = Config()  # type: ignore[attr-defined]
    metrics = train(tiny_checkpoints["internvl"], tmp_path / "a", ("trackio",))
    assert (begun[0]["project"], begun[0]["name"]) == ("earwise", "train.x")
    losses = [one["train/loss"] for one in logged if "train/loss" in one]
    assert losses == [one["loss"] for one in metrics if "loss" in one]


def test_a_missing_package_is_said_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="report_to 'wandb' needs the package 'wandb'"):
        [*trackers.trackers(("wandb",), tmp_path)]
