import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import tiny_model, tiny_samples
from training_case import STEPS, trainer_of

from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.recipe.train import SftTerm

NUMBERS = ("loss", "grad_norm", "terms/sft", "terms/logits", "terms/layers", "terms/layer_map")


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


@pytest.fixture(scope="module")
def uninterrupted(checkpoint, tmp_path_factory):
    """Logs and final ears of one process with 4 samples per step."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    trainer, logs = trainer_of(checkpoint, folder, folder / "out", batch=4)
    before = [p.clone() for p in trainer.model.base.parameters()]
    trainer.train()
    after = list(trainer.model.base.parameters())
    return logs, trainer.model, all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def curve(logs, name):
    return [numbers[name] for _, numbers in logs if name in numbers]


def assert_same_curves(one, two, tolerance):
    for name in NUMBERS:
        first, second = curve(one, name), curve(two, name)
        assert len(first) == STEPS
        differences = [a - b for a, b in zip(first, second, strict=True)]
        scale = max(map(abs, first))
        assert max(map(abs, differences)) <= tolerance * scale, (name, differences)
        assert abs(sum(differences)) <= tolerance * scale, f"{name} drifts to one side"


def test_the_base_is_untouched_bit_for_bit_and_the_ears_are_not(uninterrupted, checkpoint):
    _, trained, untouched = uninterrupted
    assert untouched
    fresh = tiny_model(checkpoint).ears
    assert not any(
        torch.equal(a, b)
        for a, b in zip(trained.ears.projector.parameters(), fresh.projector.parameters(), strict=True)
    )


def test_the_loss_is_the_weighted_sum_of_the_terms_per_response_token(uninterrupted):
    logs, _, _ = uninterrupted
    for _, numbers in logs[:STEPS]:
        expected = 0.25 * numbers["terms/sft"] + 0.75 * numbers["terms/logits"] + 2.0 * numbers["terms/layers"]
        expected += 0.5 * numbers["terms/layer_map"]
        assert numbers["loss"] == pytest.approx(expected, rel=1e-4)


def test_first_loss_divides_by_the_response_tokens_not_by_the_samples(checkpoint, tmp_path):
    """Responses of 2, 4, 2 and 2 tokens: the mean over 10 tokens, not the mean of four means."""
    model, samples = tiny_model(checkpoint), tiny_samples(tmp_path)
    objective = Objective("image_speech", [make_term(SftTerm(type="sft", weight=1.0))], model)
    batch = objective.collate(samples)["batch"]
    values = objective.values(objective.states(model, batch))["sft"]
    assert batch.num_responses == len(values) == 10
    by_hand = []
    for sample in samples:
        alone = objective.collate([sample])["batch"]
        by_hand += objective.values(objective.states(model, alone))["sft"].tolist()
    assert values.mean().item() == pytest.approx(sum(by_hand) / 10, rel=1e-5)


@pytest.mark.parametrize(("batch", "accumulate"), [(2, 2), (1, 4)])
def test_accumulation_gives_the_same_curve(batch, accumulate, uninterrupted, checkpoint, tmp_path):
    trainer, logs = trainer_of(checkpoint, tmp_path, tmp_path / "out", batch=batch, accumulate=accumulate)
    trainer.train()
    assert_same_curves(uninterrupted[0], logs, 1e-4)


def test_two_processes_give_the_same_curve(uninterrupted, checkpoint, tmp_path):
    """torchrun with two gloo processes, 2 samples each, against one process with 4."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29517",
        str(Path(__file__).with_name("training_case.py")), str(checkpoint), str(tmp_path), str(tmp_path), "2", "1",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_curves(uninterrupted[0], json.loads((tmp_path / "logs.json").read_text()), 1e-4)


def test_resuming_gives_the_same_curve_and_weights_bit_for_bit(uninterrupted, checkpoint, tmp_path):
    logs, model, _ = uninterrupted
    saving, _ = trainer_of(checkpoint, tmp_path, tmp_path / "out", batch=4, save_every=2)
    saving.train()
    resumed, after = trainer_of(checkpoint, tmp_path, tmp_path / "out", batch=4, save_every=2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    assert curve(after, "loss") == curve(logs, "loss")[4:]
    for (name, one), two in zip(model.ears.named_parameters(), resumed.model.ears.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_checkpoints_hold_what_is_trained_and_nothing_else(checkpoint, tmp_path):
    from safetensors.torch import load_file

    trainer, _ = trainer_of(checkpoint, tmp_path, tmp_path / "out", batch=4, save_every=STEPS)
    trainer.train()
    saved = load_file(tmp_path / "out" / f"checkpoint-{STEPS}" / "trained.safetensors")
    assert saved
    assert all(name.startswith(("ears.", "aids.")) for name in saved)
