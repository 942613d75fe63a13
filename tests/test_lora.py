"""LoRA in the decoder: the student has it, its teacher does not."""

import logging
import sys

import pytest
import torch
from safetensors.torch import load_file
from test_families_training import load, losses, trainer_of, views_of
from tiny import tiny_model, tiny_samples
from tiny_families import write_tiny_family

from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.errors import EarwiseError, InputError
from earwise.models import OmniModel
from earwise.models.batch import collate
from earwise.models.lora import Lora
from earwise.models.states import Ask
from earwise.recipe.train import LogitsTerm

CASES = ("internvl", "qwen2_5_omni")
TRAINED = (*CASES, "qwen3_vl", "qwen3_5", "gemma3", "smolvlm", "voxtral")


@pytest.fixture(scope="module")
def folders(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    made = {name: write_tiny_family(root / f"tiny-{name}", name) for name in TRAINED if name not in tiny_checkpoints}
    return tiny_checkpoints | made


def with_lora(folders, family, dropout=0.0, targets=("q_proj", "v_proj", "down_proj"), part="projector"):
    model = load(folders, family, part)
    model.lora = Lora.fresh(model.family.backbone, rank=3, alpha=6, dropout=dropout, targets=targets, seed=0)
    model.lora.requires_grad_(True)
    return model


def stir(model):
    """Give B values, as training would: until then LoRA changes nothing."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


def batch_of(model, samples, views):
    layouts = {view: [model.layouts.build(sample, view, answers=True) for sample in samples] for view in views}
    return collate(layouts, model.family, share_prefix=False)


@pytest.mark.parametrize("family", CASES)
def test_a_fresh_lora_changes_nothing_and_a_stirred_one_does(family, folders, tmp_path):
    samples, views = tiny_samples(tmp_path), views_of(family)
    bare, model = load(folders, family), with_lora(folders, family)
    with torch.no_grad():
        expected = bare(batch_of(bare, samples, views))
        fresh = model(batch_of(model, samples, views))
        stir(model)
        stirred = model(batch_of(model, samples, views))
    for view in views:
        assert torch.equal(fresh[view].hidden, expected[view].hidden)
        assert (stirred[view].hidden - expected[view].hidden).abs().max() > 0.1


@pytest.mark.parametrize("family", CASES)
def test_a_teacher_beside_its_student_is_the_untouched_base(family, folders, tmp_path):
    samples, (spoken, typed) = tiny_samples(tmp_path), views_of(family)
    bare, model = load(folders, family), with_lora(folders, family, dropout=0.5)
    stir(model)
    model.train()
    states = model(batch_of(model, samples, (spoken, typed)), {spoken: Ask(learn=True)})
    with torch.no_grad():
        expected = bare(batch_of(bare, samples, (spoken, typed)))
    assert torch.equal(states[typed].hidden, expected[typed].hidden)
    assert not states[typed].hidden.requires_grad
    assert (states[spoken].hidden - expected[spoken].hidden).abs().max() > 0.1
    states[spoken].hidden.square().sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in model.lora.parameters())
    assert all(p.grad is None for n, p in model.base.named_parameters() if "lora_" not in n and not p.requires_grad)


def test_switching_off_leaves_a_frozen_lora_frozen(folders):
    model = with_lora(folders, "internvl")
    model.lora.requires_grad_(False)
    with model.lora.switched_off():
        assert all(layer.disable_adapters for layer in model.lora.layers)
    assert not any(layer.disable_adapters for layer in model.lora.layers)
    assert not any(p.requires_grad for p in model.lora.parameters())


@pytest.mark.parametrize("family", CASES)
def test_identical_views_teach_a_fresh_lora_nothing(family, folders, tmp_path):
    model = with_lora(folders, family).train()
    view = views_of(family)[0]
    objective = Objective(view, [make_term(LogitsTerm(type="logits", weight=1.0, view=view))], model)
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    [value] = objective.values(objective.states(model, batch)).values()
    assert torch.equal(value, torch.zeros_like(value))
    value.sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool((gradient == 0).all()) for gradient in gradients)


def test_full_passes_are_run_and_the_log_says_why(folders, tmp_path, caplog):
    model = with_lora(folders, "internvl").train()
    with caplog.at_level(logging.INFO):
        objective = Objective("image_speech", [make_term(LogitsTerm(type="logits", weight=1.0))], model)
    assert "full passes instead of a shared prefix: LoRA is trained" in caplog.text
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    assert batch.own.prefix is None
    rows = {v: [model.layouts.build(s, v, answers=True) for s in tiny_samples(tmp_path)] for v in views_of("internvl")}
    with pytest.raises(EarwiseError, match="cannot be shared: LoRA is trained"):
        model(collate(rows, model.family, share_prefix=True), {"image_speech": Ask(learn=True)})


def test_a_frozen_tower_sees_what_two_views_show_once(folders, tmp_path, monkeypatch):
    model = with_lora(folders, "internvl")
    samples = tiny_samples(tmp_path)
    batch, encode, seen = batch_of(model, samples, ("image_speech", "image_text")), model.family.encode_images, []
    monkeypatch.setattr(model.family, "encode_images", lambda images: seen.append(len(images)) or encode(images))
    both = model(batch, {"image_speech": Ask(learn=True)})
    assert seen == [len(batch.views["image_text"].images)]
    for view, states in both.items():
        alone = model(batch_of(model, samples, (view,)), {"image_speech": Ask(learn=True)})[view]
        assert torch.equal(states.hidden, alone.hidden)
    model.base.requires_grad_(True)
    seen.clear()
    model(batch, {"image_speech": Ask(learn=True)})
    assert len(seen) == 2


def test_answers_have_the_lora_and_share_a_prefix(folders, tmp_path):
    model, samples = with_lora(folders, "internvl").eval(), tiny_samples(tmp_path)
    before = model.generate(samples, view="image_text", max_new_tokens=5)
    stir(model)
    views = views_of("internvl")
    shared = model.generate_views(samples, views=views, max_new_tokens=5)
    assert shared == model.generate_views(samples, views=views, max_new_tokens=5, share_prefix=False)
    assert shared["image_text"] != before


def test_only_the_lora_drops_out_and_only_in_training(folders):
    model = with_lora(folders, "internvl", dropout=0.5)
    drops = [layer.lora_dropout["default"] for layer in model.lora.layers]
    model.train()
    assert all(drop.training for drop in drops)
    assert not model.family.backbone.training
    model.eval()
    assert not any(drop.training for drop in drops)


@pytest.mark.parametrize("family", TRAINED)
def test_ears_and_lora_train_and_resume_bit_for_bit(family, folders, tmp_path):
    """With dropout: the generators' states come back, too."""
    whole, logs = trainer_of(with_lora(folders, family, dropout=0.1), tmp_path, tmp_path / "out")
    before = {name: p.clone() for name, p in whole.model.base.named_parameters()}
    whole.train()
    gold = [numbers["terms/sft"] for numbers in logs if "terms/sft" in numbers]
    assert gold[2] < gold[0]  # of the same two samples
    changed = {n for n, p in whole.model.base.named_parameters() if not torch.equal(p, before[n])}
    assert {n for n in changed if ".lora_B." in n}
    own = ("model.audio_tower.proj.", "model.multi_modal_projector.") if whole.model.family.hears else ()
    assert all(".lora_" in name or name.startswith(own) for name in changed)
    resumed, after = trainer_of(with_lora(folders, family, dropout=0.1), tmp_path, tmp_path / "out")
    resumed.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-2"))
    assert losses(after) == losses(logs)[2:]
    pairs = zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True)
    assert not [name for (name, one), two in pairs if not torch.equal(one, two)]


def test_a_lora_alone_trains_a_base_that_hears_by_itself(folders, tmp_path):
    model = with_lora(folders, "qwen2_5_omni", part="none")
    trainer, logs = trainer_of(model, tmp_path, tmp_path / "out")
    trainer.train()
    assert losses(logs)[2] < losses(logs)[0]  # of the same two samples
    assert all(".lora_" in name for name in load_file(tmp_path / "out/checkpoint-2/trained.safetensors"))


@pytest.mark.parametrize("family", CASES)
def test_lora_is_saved_beside_the_ears_in_the_format_of_peft(family, folders, tmp_path):
    from peft import PeftConfig

    model, samples = with_lora(folders, family), tiny_samples(tmp_path)
    stir(model)
    model.save_ears(tmp_path / "ears")
    assert {p.name for p in (tmp_path / "ears/lora").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert PeftConfig.from_pretrained(str(tmp_path / "ears/lora")).r == 3
    assert not [n for n in load_file(tmp_path / "ears/lora/adapter_model.safetensors") if "lora_" not in n]
    again = OmniModel.from_pretrained(str(folders[family]), tmp_path / "ears")
    assert not any(p.requires_grad for p in again.base.parameters())
    views = views_of(family)
    with torch.no_grad():
        one, two = (m.eval()(batch_of(m, samples, views)) for m in (model, again))
    for view in views:
        assert torch.equal(one[view].hidden, two[view].hidden)


def test_a_snapshot_has_the_lora_of_the_start(folders, tmp_path):
    model = with_lora(folders, "internvl")
    stir(model)
    terms = [make_term(LogitsTerm(type="logits", weight=1.0, view="image_speech", teacher="snapshot"))]
    objective = Objective("image_speech", terms, model)
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    assert objective.values(objective.states(model, batch))["logits"].detach().abs().max() < 1e-6
    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.mul_(-2)
    assert objective.values(objective.states(model, batch))["logits"].detach().max() > 1e-3


def test_a_layer_that_is_not_there_is_named(folders):
    model = tiny_model(folders["internvl"])
    with pytest.raises(InputError, match=r"no linear layer of the decoder is called 'wqkv' \(targets may be down_proj"):
        Lora.fresh(model.family.backbone, rank=2, alpha=2, dropout=0.0, targets=["q_proj", "wqkv"], seed=0)


def test_a_missing_peft_is_one_line_with_the_remedy(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"LoRA needs the package `peft` \(pip install 'earwise\[peft\]'\)"):
        with_lora(folders, "internvl")


@pytest.mark.parametrize("family", CASES)
def test_what_is_trained_in_a_bfloat16_base_is_float32(family, folders, tmp_path):
    base = OmniModel.from_pretrained(str(folders[family]), dtype=torch.bfloat16)
    model = OmniModel(base.family, load(folders, family).ears if family == "internvl" else None, base=base.origin[0])
    if family != "internvl":
        model.ears.train_part("projector")
    model.ears.requires_grad_(True)
    model.lora = Lora.fresh(model.family.backbone, rank=2, alpha=2, dropout=0.0, targets=["q_proj"], seed=0)
    model.lora.requires_grad_(True)
    assert model.family.head_weight.dtype == torch.bfloat16
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    samples = tiny_samples(tmp_path)
    assert len(model.generate(samples, view="speech_only", max_new_tokens=2)) == 4
    trainer, logs = trainer_of(model, tmp_path, tmp_path / "out", precision="bfloat16")
    trainer.train()
    assert losses(logs)[2] < losses(logs)[0]
