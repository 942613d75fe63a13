"""A decoder that is trained whole: it is its own teacher and saved beside the ears, and the towers stay as they are."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from test_families_recipes import RECIPE
from test_families_training import load, losses, trainer_of, views_of
from test_planning import LOGITS, SFT, counted, samples_passes
from tiny import FAMILIES, tiny_samples
from tiny_families import PARTS, write_tiny_family

from earwise.cli import execute
from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.errors import EarwiseError, InputError
from earwise.micro.build import write_tiny
from earwise.models import OmniModel
from earwise.models.batch import collate
from earwise.models.decoder import Decoder
from earwise.models.states import Ask
from earwise.planning.compile import Compiler
from earwise.planning.cost import step_flops
from earwise.recipe.read import load_recipe
from earwise.recipe.train import LayersTerm, LogitsTerm
from earwise.recipe.uses import asked_views
from earwise.stages.models import load_start

CASES = ("internvl", "qwen2_audio")
TRAINED = (*FAMILIES, *PARTS)
TOWERS = ("model.vision", "model.visual.", "model.connector.", "model.multi_modal_projector.", "model.audio_tower.")


@pytest.fixture(scope="module")
def folders(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    hearing = write_tiny(root / "tiny-qwen2_audio", "qwen2_audio")
    made = {name: write_tiny_family(root / f"tiny-{name}", name) for name in TRAINED if name not in (*FAMILIES, *CASES)}
    return {**tiny_checkpoints, "qwen2_audio": hearing, **made}


def full(folders, family, part="none"):
    """With ears that are trained, too, where they were added; native ones stay as they are."""
    model = load(folders, family, part)
    model.decoder = Decoder(model.family)
    model.decoder.requires_grad_(True)
    return model


def states_of(model, samples, views, learn=()):
    layouts = {view: [model.layouts.build(sample, view, answers=True) for sample in samples] for view in views}
    return model(collate(layouts, model.family, share_prefix=False), {view: Ask(learn=True) for view in learn})


def stir(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


@pytest.mark.parametrize("family", CASES)
def test_all_of_the_language_model_is_trained_and_nothing_else_of_the_base(family, folders):
    model = full(folders, family)
    trained = {name for name, p in model.base.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in model.base.named_parameters() if not name.startswith(TOWERS)}
    assert {"model.language_model.embed_tokens.weight", "model.language_model.norm.weight", "lm_head.weight"} < trained
    assert not model.base_is_frozen


@pytest.mark.parametrize("family", CASES)
def test_identical_views_teach_a_decoder_nothing(family, folders, tmp_path):
    model, view = full(folders, family).train(), views_of(family)[0]
    terms = [LogitsTerm(type="logits", weight=1.0, view=view), LayersTerm(type="layers", weight=1.0, view=view)]
    objective = Objective(view, [make_term(term) for term in terms], model)
    values = objective.values(objective.states(model, objective.collate(tiny_samples(tmp_path))["batch"]))
    for value in values.values():
        assert torch.equal(value, torch.zeros_like(value))
    sum(value.sum() for value in values.values()).backward()
    gradients = {name: p.grad for name, p in model.decoder.named_parameters().items() if p.grad is not None}
    assert "lm_head.weight" in gradients
    assert all(bool((gradient == 0).all()) for gradient in gradients.values())


@pytest.mark.parametrize("family", CASES)
def test_the_teacher_self_is_the_decoder_of_this_step_without_gradient(family, folders, tmp_path):
    model, samples, (spoken, typed) = full(folders, family).train(), tiny_samples(tmp_path), views_of(family)
    stir(model)
    states = states_of(model, samples, (spoken, typed), learn=[spoken])
    with torch.no_grad():
        alone = states_of(model, samples, (typed,))
    assert torch.equal(states[typed].hidden, alone[typed].hidden)
    assert not states[typed].hidden.requires_grad
    objective = Objective(spoken, [make_term(LogitsTerm(type="logits", weight=1.0, view=typed))], model)
    value = objective.values(objective.states(model, objective.collate(samples)["batch"]))["logits"]
    value.sum().backward()
    missing = [name for name, p in model.decoder.named_parameters().items() if p.grad is None or not p.grad.any()]
    assert missing == [name for name in missing if name.endswith("k_proj.bias")]


def test_the_gradient_of_the_head_is_that_of_the_student_alone(folders, tmp_path):
    """As if a frozen copy of the whole model were the teacher."""
    gradients = []
    for teacher in ("self", "snapshot"):
        model = full(folders, "internvl")
        term = LogitsTerm(type="logits", weight=1.0, view="image_text", teacher=teacher)
        objective = Objective("image_speech", [make_term(term)], model)
        batch = objective.collate(tiny_samples(tmp_path))["batch"]
        objective.values(objective.states(model, batch))["logits"].sum().backward()
        gradients.append(model.family.head_weight.grad)
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


def test_a_snapshot_has_the_decoder_of_the_start(folders, tmp_path):
    model = full(folders, "internvl")
    term = LogitsTerm(type="logits", weight=1.0, view="image_speech", teacher="snapshot")
    objective = Objective("image_speech", [make_term(term)], model)
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    assert objective.values(objective.states(model, batch))["logits"].abs().max() < 1e-6
    stir(model)
    assert objective.values(objective.states(model, batch))["logits"].max() > 1e-3


def test_no_prefix_is_shared_in_training_and_answers_share_one(folders, tmp_path):
    model, samples, views = full(folders, "internvl").train(), tiny_samples(tmp_path), views_of("internvl")
    rows = {view: [model.layouts.build(s, view, answers=True) for s in samples] for view in views}
    with pytest.raises(EarwiseError, match="cannot be shared: the base model is trained"):
        model(collate(rows, model.family, share_prefix=True), {"image_speech": Ask(learn=True)})
    model.eval()
    stir(model)
    shared = model.generate_views(samples, views=views, max_new_tokens=5)
    assert shared == model.generate_views(samples, views=views, max_new_tokens=5, share_prefix=False)


@pytest.mark.parametrize("family", TRAINED)
def test_a_decoder_trains_and_resumes_bit_for_bit_and_the_rest_stays(family, folders, tmp_path):
    whole, logs = trainer_of(full(folders, family), tmp_path, tmp_path / "out")
    before = {name: p.clone() for name, p in whole.model.base.named_parameters()}
    whole.train()
    assert losses(logs)[2] < losses(logs)[0]  # of the same two samples
    changed = {name for name, p in whole.model.base.named_parameters() if not torch.equal(p, before[name])}
    names = {id(p): name for name, p in whole.model.base.named_parameters()}
    assert changed >= {names[id(whole.model.family.head_weight)], names[id(whole.model.family.embed.weight)]}
    assert not [name for name in changed if name.startswith(TOWERS)]
    resumed, after = trainer_of(full(folders, family), tmp_path, tmp_path / "out")
    resumed.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-2"))
    assert losses(after) == losses(logs)[2:]
    pairs = zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True)
    assert not [name for (name, one), two in pairs if not torch.equal(one, two)]


@pytest.mark.parametrize("family", TRAINED)
def test_a_decoder_is_saved_beside_the_ears_and_comes_back(family, folders, tmp_path):
    model, samples = full(folders, family), tiny_samples(tmp_path)
    stir(model)
    model.save_ears(tmp_path / "ears")
    described = json.loads((tmp_path / "ears/decoder/decoder.json").read_text())
    assert described == {
        "base": str(folders[family]),
        "revision": None,
        "shards": ["decoder-00001-of-00001.safetensors"],
    }
    saved = load_file(tmp_path / "ears/decoder" / described["shards"][0])
    assert {*saved} == {name for name, _ in model.base.named_parameters() if not name.startswith(TOWERS)}
    again = OmniModel.from_pretrained(str(folders[family]), tmp_path / "ears").eval()
    assert not any(p.requires_grad for p in again.base.parameters())
    views = views_of(family)
    with torch.no_grad():
        one, two = (states_of(m.eval(), samples, views) for m in (model, again))
    for view in views:
        assert torch.equal(one[view].hidden, two[view].hidden)
        assert torch.equal(model.family.head_weight, again.family.head_weight)


def test_shards_hold_each_parameter_once_and_a_part_that_is_missing_is_named(folders, tmp_path):
    model = full(folders, "internvl")
    stir(model)
    expected = {name: p.detach().clone() for name, p in model.decoder.named_parameters().items()}
    model.decoder.save(tmp_path, base="b", revision="r", shard_bytes=40_000)
    shards = json.loads((tmp_path / "decoder.json").read_text())["shards"]
    sizes = [sum(value.nbytes for value in load_file(tmp_path / name).values()) for name in shards]
    assert len(shards) > 3
    assert all(size <= 40_000 or len(load_file(tmp_path / name)) == 1 for name, size in zip(shards, sizes, strict=True))
    assert sum(sizes) == sum(value.nbytes for value in expected.values())
    other = full(folders, "internvl")
    other.decoder.load(tmp_path)
    assert all(torch.equal(p, expected[name]) for name, p in other.decoder.named_parameters().items())
    (tmp_path / "decoder.json").write_text(json.dumps({"shards": shards[:-1]}))
    with pytest.raises(InputError, match=r"no weights for '.*' \(copy the whole folder\)"):
        other.decoder.load(tmp_path)


def test_a_decoder_of_another_shape_is_refused(folders, tmp_path):
    full(folders, "internvl").save_ears(tmp_path / "ears")
    write_tiny(tmp_path / "tiny-internvl", hidden_size=64, num_layers=1)
    with pytest.raises(InputError, match=r"'model\.language_model\.layers\.1\..*' does not fit the base's decoder"):
        OmniModel.from_pretrained(str(tmp_path / "tiny-internvl"), tmp_path / "ears")


def test_a_decoder_of_a_bfloat16_base_is_trained_in_float32(folders, tmp_path):
    model = OmniModel.from_pretrained(str(folders["qwen2_audio"]), dtype=torch.bfloat16)
    model.decoder = Decoder(model.family)
    model.decoder.requires_grad_(True)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert model.base.model.audio_tower.conv1.weight.dtype == torch.bfloat16
    trainer, logs = trainer_of(model, tmp_path, tmp_path / "out", precision="bfloat16")
    trainer.train()
    assert losses(logs)[2] < losses(logs)[0]
    assert len(model.eval().generate(tiny_samples(tmp_path), view="speech_only", max_new_tokens=2)) == 4


def test_predicted_operations_are_those_of_a_real_step(folders, tmp_path):
    model, sample = full(folders, "internvl"), tiny_samples(tmp_path, 2)[1:]
    _, sizes, passes = samples_passes(model, sample)
    for some, terms in ((passes[:1], [SFT]), (passes, [SFT, LOGITS])):
        assert step_flops(some, [0], terms, sizes) == pytest.approx(counted(model, sample, terms, False), rel=0.06)


@pytest.fixture
def recipe(folders, tmp_path):
    path = tmp_path / "full.toml"
    text = RECIPE.replace("BASE", str(folders["qwen2_audio"])).replace("image_", "text_only").replace("lora = {", "#")
    text = text.replace('views = ["text_onlytext", "text_onlyspeech"]', 'views = ["text_only", "speech_only"]')
    text = text.replace("weight = 0.75 }", 'weight = 0.75, view = "text_only" }')
    text = text.replace('start = "', 'view = "speech_only"\nstart = "')
    text += 'text_view = "text_only"\nspeech_view = "speech_only"\n'
    path.write_text(text.replace("[model.ears]", 'decoder = "full"\n[model.ears]\ntrain = "none"'))
    return path


def test_a_recipe_trains_the_decoder_alone_and_goes_on_from_it(recipe, tmp_path):
    assert execute(recipe, [], tmp_path / "run") == 0
    stages = tmp_path / "run/stages/seed0"
    shard = "ears/decoder/decoder-00001-of-00001.safetensors"
    first, second = (load_file(stages / f"train.{name}" / shard) for name in ("self_kd", "more"))
    assert all(not torch.equal(first[name], second[name]) for name in first if not name.endswith("k_proj.bias"))
    assert json.loads((stages / "train.more/ears/ears.json").read_text())["own"] == "none"
    made = Compiler(load_recipe(recipe))
    model = load_start(context(stages / "train.self_kd"), made.source(0), made.train("self_kd", 0))
    assert torch.equal(model.family.head_weight, first["lm_head.weight"])
    assert model.family.head_weight.requires_grad


def context(folder):
    return SimpleNamespace(seed=0, folder_of=lambda job: folder)


def test_typed_answers_of_a_trained_decoder_are_its_own(recipe):
    for override, typed in ((), True), (("model.decoder=frozen", "model.ears.train=projector"), False):
        loaded = load_recipe(recipe, list(override))
        assert ("text_only" in asked_views(loaded, "self_kd")) == typed
        assert "text_only" in asked_views(loaded, "base")


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["model.decoder=frozen"], r"model\.ears\.train: 'none' leaves nothing to train: add \[model\.lora\]"),
        (["align={steps=1, batch_size=1, lr=1e-3}"], r"model\.ears\.train: 'none' leaves nothing that \[align\] could"),
        (["model.lora={rank=2, alpha=2}"], "lora updates a frozen decoder"),
    ],
)
def test_what_leaves_nothing_to_train_or_trains_it_twice_is_refused(recipe, overrides, what):
    with pytest.raises(InputError, match=what):
        load_recipe(recipe, overrides)
