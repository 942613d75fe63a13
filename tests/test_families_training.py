"""Every family in training: identical views, what changes and what does not, saving and loading, resuming."""

import pytest
import torch
from safetensors.torch import load_file
from tiny import FAMILIES, tiny_model, tiny_samples
from tiny_families import PARTS, write_tiny_family

from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.errors import EarwiseError, InputError
from earwise.models import OmniModel
from earwise.models.batch import collate
from earwise.models.families import OwnEars
from earwise.models.states import Ask
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm, Training

STEPS = 4
ALL = (*FAMILIES, *PARTS)
TRAINED = {
    "qwen2_audio": {"projector": ("multi_modal_projector.",), "tower": ("multi_modal_projector.", "audio_tower.")},
    "qwen2_5_omni": {"projector": ("audio_tower.proj.",), "tower": ("audio_tower.",)},
    "qwen3_omni": {"projector": ("audio_tower.proj2.",), "tower": ("audio_tower.",)},
    "audioflamingo3": {"projector": ("multi_modal_projector.",), "tower": ("multi_modal_projector.", "audio_tower.")},
    "voxtral": {"projector": ("multi_modal_projector.",), "tower": ("multi_modal_projector.", "audio_tower.")},
}
"""Parameters of a base that hears by itself: which are trained, by part."""
PARTS_OF = [(family, part) for family, parts in TRAINED.items() for part in parts]


@pytest.fixture(scope="module")
def folders(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    return tiny_checkpoints | {family: write_tiny_family(root / f"tiny-{family}", family) for family in PARTS}


def load(folders, family, part="projector"):
    model = tiny_model(folders[family], ears=family not in TRAINED)
    if isinstance(model.ears, OwnEars):
        model.ears.train_part(part)
    model.ears.requires_grad_(True)
    return model


def views_of(family):
    sees = "image" in PARTS.get(family, {"image": ""})
    return ("image_speech", "image_text") if sees else ("speech_only", "text_only")


def trainer_of(model, media, out, teacher="self", precision="float32"):
    """SFT, logits and layers on four samples, two per step."""
    spoken, typed = views_of(model.family.name)
    terms = [
        SftTerm(type="sft", weight=0.25),
        LogitsTerm(type="logits", weight=0.75, view=typed, teacher=teacher),
        LayersTerm(type="layers", weight=1.0, view=typed, teacher=teacher),
    ]
    objective = Objective(spoken, [make_term(term) for term in terms], model)
    settings = Training(steps=STEPS, batch_size=2, lr=3e-3, log_every=1, save_every=2, precision=precision)
    schedule = Schedule(tiny_samples(media), [0, 1, 2, 3] * (STEPS // 2))
    logs = []
    arguments = training_arguments(settings, out, seed=0)
    return DistilTrainer(model, objective, schedule, arguments, lambda step, numbers: logs.append(numbers)), logs


def losses(logs):
    return [numbers["loss"] for numbers in logs if "loss" in numbers]


@pytest.mark.parametrize("family", ALL)
def test_identical_views_differ_by_nothing_and_teach_nothing(family, folders, tmp_path):
    """Same view, same weights: every value and every gradient is exactly 0."""
    model = load(folders, family, "tower").train()
    view = views_of(family)[0]
    terms = [LogitsTerm(type="logits", weight=1.0, view=view), LayersTerm(type="layers", weight=1.0, view=view)]
    objective = Objective(view, [make_term(term) for term in terms], model)
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    assert set(batch.own.views) == {f"student/{view}", f"self/{view}"}
    values = objective.values(objective.states(model, batch))
    for value in values.values():
        assert torch.equal(value, torch.zeros_like(value))
    sum(value.sum() for value in values.values()).backward()
    gradients = [p.grad for p in model.ears.parameters() if p.grad is not None]
    assert gradients
    assert all(bool((gradient == 0).all()) for gradient in gradients)


@pytest.mark.parametrize("family", ALL)
def test_different_views_do_teach(family, folders, tmp_path):
    """The test above would also pass if nothing were connected."""
    model = load(folders, family, "tower").train()
    spoken, typed = views_of(family)
    objective = Objective(spoken, [make_term(LogitsTerm(type="logits", weight=1.0, view=typed))], model)
    value = objective.values(objective.states(model, objective.collate(tiny_samples(tmp_path))["batch"]))["logits"]
    assert value.min() > 0
    value.sum().backward()
    assert max(p.grad.abs().max() for p in model.ears.parameters() if p.grad is not None) > 1e-4


@pytest.mark.parametrize("family", ALL)
def test_training_resumes_bit_for_bit(family, folders, tmp_path):
    whole, logs = trainer_of(load(folders, family, "tower"), tmp_path, tmp_path / "out")
    whole.train()
    assert len(losses(logs)) == STEPS
    gold = [numbers["terms/sft"] for numbers in logs if "terms/sft" in numbers]
    assert gold[2] < gold[0]  # of the same two samples
    resumed, after = trainer_of(load(folders, family, "tower"), tmp_path, tmp_path / "out")
    resumed.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-2"))
    assert losses(after) == losses(logs)[2:]
    pairs = zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True)
    assert not [name for (name, one), two in pairs if not torch.equal(one, two)]


@pytest.mark.parametrize(("family", "part"), PARTS_OF)
def test_only_the_chosen_part_of_its_own_ears_changes(family, part, folders, tmp_path):
    trainer, _ = trainer_of(load(folders, family, part), tmp_path, tmp_path / "out")
    before = {name: p.clone() for name, p in trainer.model.base.named_parameters()}
    trainer.train()
    chosen = TRAINED[family][part]
    changed = {name for name, p in trainer.model.base.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.removeprefix("model.").startswith(chosen) for name in changed)
    saved = load_file(tmp_path / "out/checkpoint-2/trained.safetensors")
    assert {name.removeprefix("base.") for name in saved} >= changed
    assert all(name.removeprefix("base.model.").startswith(chosen) for name in saved)


@pytest.mark.parametrize(("family", "part"), PARTS_OF)
def test_what_was_trained_is_saved_alone_and_comes_back(family, part, folders, tmp_path):
    model, samples = load(folders, family, part), tiny_samples(tmp_path)
    with torch.no_grad():
        for parameter in model.ears.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    model.save_ears(tmp_path / "ears")
    assert {path.name for path in (tmp_path / "ears").iterdir()} == {"ears.json", "ears.safetensors"}
    size = sum(p.numel() for p in model.ears.parameters())
    assert sum(v.numel() for v in load_file(tmp_path / "ears/ears.safetensors").values()) == size
    again = OmniModel.from_pretrained(str(folders[family]), tmp_path / "ears")
    assert again.ears.part == part
    for (name, one), two in zip(model.base.named_parameters(), again.base.parameters(), strict=True):
        assert torch.equal(one, two), name
    view = views_of(family)[0]
    assert again.generate(samples, view=view) == model.generate(samples, view=view)


def test_ears_of_another_kind_or_base_are_refused(folders, tmp_path):
    for family, others in (("internvl", "qwen2_audio"), ("qwen2_audio", "internvl")):
        model = load(folders, family)
        model.save_ears(tmp_path / family)
        with pytest.raises(InputError, match=f"the ears belong to .*{family}', not to .*{others}'"):
            OmniModel.from_pretrained(str(folders[others]), tmp_path / family)
        model.ears.save(tmp_path / others, base=str(folders[others]), revision=None)
        with pytest.raises(InputError, match=f"not the kind of ears that a {others} has"):
            OmniModel.from_pretrained(str(folders[others]), tmp_path / others)
    with pytest.raises(InputError, match=r"no ears\.json"):
        OmniModel.from_pretrained(str(folders["qwen2_audio"]), tmp_path)


@pytest.mark.parametrize("family", TRAINED)
def test_a_snapshot_of_its_own_ears_stays_what_it_was(family, folders, tmp_path):
    model = load(folders, family)
    samples = tiny_samples(tmp_path)
    spoken = views_of(family)[0]
    terms = [LogitsTerm(type="logits", weight=1.0, view=spoken, teacher="snapshot")]
    objective = Objective(spoken, [make_term(term) for term in terms], model)
    batch = objective.collate(samples)["batch"]
    assert not objective.values(objective.states(model, batch))["logits"].detach().any()
    with torch.no_grad():
        for parameter in model.ears.parameters():
            parameter.mul_(-1)
    assert objective.values(objective.states(model, batch))["logits"].detach().max() > 0


def test_a_part_that_is_not_chosen_any_more_is_frozen(folders):
    model = load(folders, "qwen2_5_omni", "tower")
    model.ears.train_part("none")
    assert not any(p.requires_grad for p in model.parameters())
    assert not list(model.ears.parameters())


def test_bases_that_are_trained_as_a_whole_share_no_prefix(folders, tmp_path):
    model = load(folders, "qwen2_5_omni", "tower")
    assert model.no_shared_prefix is None
    model.base.requires_grad_(True)
    assert "the base model is trained" in model.no_shared_prefix
    views = {view: [model.layouts.build(s, view, answers=True) for s in tiny_samples(tmp_path)] for view in
             ("image_speech", "image_text")}  # fmt: skip
    batch = collate(views, model.family, share_prefix=True)
    with pytest.raises(EarwiseError, match="cannot be shared"):
        model(batch, {"image_speech": Ask(learn=True)})
