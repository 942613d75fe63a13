"""`fit` beside every state that a kill can leave its checkpoints in."""

import shutil

import pytest
import torch
from tiny import tiny_model, tiny_samples

from earwise.distil.checkpoints import Checkpoints
from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.errors import EarwiseError
from earwise.recipe.train import SftTerm, Training
from earwise.work.metrics import Metrics

STEPS = 4


class Killed(Exception):
    pass


class Case:
    """A training of 4 steps, a checkpoint each, in `folder`."""

    def __init__(self, base, folder):
        self.model = tiny_model(base)
        self.model.ears.requires_grad_(True)
        self.folder, self.checkpoints = folder, folder / "checkpoints"
        folder.mkdir(exist_ok=True)

    def fit(self, save=lambda: None):
        settings = Training(steps=STEPS, batch_size=2, lr=1e-3, log_every=3, save_every=1)
        fit(
            self.model,
            Objective("image_speech", [make_term(SftTerm(type="sft", weight=1.0))], self.model),
            Schedule(tiny_samples(self.folder), [0, 1, 2, 3] * 2),
            settings,
            self.checkpoints,
            seed=0,
            metrics=Metrics(self.folder / "metrics.jsonl"),
            what="tiny",
            save=save,
        )
        return self

    @property
    def numbers(self):
        return (self.folder / "metrics.jsonl").read_text()

    def equals(self, other):
        pairs = zip(self.model.ears.parameters(), other.model.ears.parameters(), strict=True)
        return all(torch.equal(one, two) for one, two in pairs)


def killed():
    raise Killed


@pytest.fixture(scope="module")
def base(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    return Case(base, tmp_path_factory.mktemp("whole")).fit()


@pytest.fixture
def stopped(base, tmp_path):
    """All steps are done, the checkpoint of the last one is there, the result is not."""
    case = Case(base, tmp_path / "stopped")
    with pytest.raises(Killed):
        case.fit(save=killed)
    return case


def test_at_the_end_no_checkpoint_is_left_and_numbers_come_with_each_one(whole):
    assert not whole.checkpoints.exists()
    assert whole.numbers.count("\n") == STEPS


def test_one_whole_checkpoint_is_kept_until_the_result_is_written(base, stopped, whole):
    assert [path.name for path in stopped.checkpoints.iterdir()] == [f"checkpoint-{STEPS}"]
    assert Checkpoints(stopped.checkpoints).last() == (stopped.checkpoints / f"checkpoint-{STEPS}", STEPS)
    saved = []
    resumed = Case(base, stopped.folder).fit(save=lambda: saved.append(True))
    assert saved
    assert resumed.equals(whole)
    assert resumed.numbers == whole.numbers


@pytest.mark.parametrize("lost", ["trainer_state.json", "optimizer.pt", "trained.safetensors"])
def test_a_checkpoint_that_is_not_whole_is_not_resumed_from(lost, base, stopped, whole):
    newest = stopped.checkpoints / f"checkpoint-{STEPS}"
    (newest / lost).unlink()
    (newest / "whole").unlink()
    assert Checkpoints(stopped.checkpoints).last() == (None, 0)
    resumed = Case(base, stopped.folder).fit()
    assert resumed.equals(whole)
    assert resumed.numbers == whole.numbers


def test_of_several_whole_checkpoints_the_one_with_the_highest_step_is_taken(tmp_path):
    for step, marked in ((9, True), (10, True), (11, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if marked:
            (tmp_path / f"checkpoint-{step}/whole").touch()
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.last() == (tmp_path / "checkpoint-10", 10)
    checkpoints.clear(keep=tmp_path / "checkpoint-10")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]
    shutil.rmtree(tmp_path / "checkpoint-10")
    assert checkpoints.last() == (None, 0)


def test_a_loss_that_is_not_a_number_stops_the_training(base, tmp_path):
    case = Case(base, tmp_path)
    with torch.no_grad():
        case.model.ears.projector[1].weight.fill_(float("nan"))
    with pytest.raises(EarwiseError, match="the loss is not finite after step 1"):
        case.fit()
