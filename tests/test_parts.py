"""A training of several parts: what a step is made of, what its loss and gradient are, and that it resumes."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from example_recipe import TEXT
from tiny import tiny_model, tiny_samples
from training_case import STEPS, trainer_of

from earwise.distil.objective import Objective
from earwise.distil.parts import PartsObjective
from earwise.distil.schedule import Schedule, braid
from earwise.distil.terms import make_term
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.errors import InputError
from earwise.models.families import Family
from earwise.planning.compile import Compiler
from earwise.recipe.read import load_recipe
from earwise.recipe.terms import AcousticTerm, LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm, Training, portions
from earwise.records import Item
from earwise.stages.training import _mixed
from earwise.work.store import write_jsonl

BLIND = object.__new__(Family)
"""Takes pictures of any size."""
SPOKEN = (LogitsTerm(type="logits", weight=0.75), SftTerm(type="sft", weight=0.25))
HEARD = (
    SftTerm(type="sft", weight=0.5),
    LayerMapTerm(type="layer_map", weight=0.2, space="cosine", view="text_only"),
    AcousticTerm(type="acoustic", weight=0.3, teacher="snapshot", view="speech_only"),
)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


def objective(view, settings, model, part=""):
    terms = [make_term(one) for one in settings]
    for term in terms:
        term.name = f"{part}/{term.name}" if part else term.name
    return Objective(view, terms, model)


def two_parts(model):
    """Spoken questions about pictures by Self-KD, and spoken words alone by other terms."""
    return PartsObjective(
        {
            "spoken": objective("image_speech", SPOKEN, model, "spoken"),
            "heard": objective("speech_only", HEARD, model, "heard"),
        }
    )


def parted(samples, *names):
    return [replace(sample, part=name) for sample, name in zip(samples, names, strict=True)]


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("total", "shares", "counts"),
    [
        (8, [0.5, 0.25, 0.25], [4, 2, 2]),
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (32, [0.4, 0.35, 0.25], [13, 11, 8]),
        (7, [0.9, 0.1], [6, 1]),
        (100, [0.29, 0.57, 0.14], [29, 57, 14]),
    ],
)
def test_items_of_a_step_are_shared_out_by_the_largest_remainders(total, shares, counts):
    assert portions(total, shares) == counts


def test_every_step_has_each_part_in_its_share_and_in_its_own_order():
    order = braid([np.arange(6), 100 + np.arange(3), 200 + np.arange(3)], [2, 1, 1])
    steps = order.reshape(3, 4)
    assert [sorted(step) for step in steps.tolist()] == [[0, 1, 100, 200], [2, 3, 101, 201], [4, 5, 102, 202]]
    for half in (order[:2], order[2:4]):  # micro-batches of two: one of the larger part in each
        assert sum(half < 100) == 1


def test_the_gradient_is_the_sum_of_the_parts_gradients_over_all_response_tokens(checkpoint, tmp_path):
    samples = parted(tiny_samples(tmp_path), "spoken", "heard", "heard", "spoken")
    model = tiny_model(checkpoint)
    model.ears.requires_grad_(True)
    whole = two_parts(model)
    batch = whole.collate(samples)["batch"]
    assert batch.num_responses == 10
    assert [batch.responses_of(name) for name in ("spoken/sft", "heard/acoustic")] == [4, 6]
    args = training_arguments(Training(steps=1, batch_size=4, lr=1e-3), tmp_path / "out", seed=0)
    trainer = DistilTrainer(model, whole, Schedule(samples, [0, 1, 2, 3]), args, lambda step, numbers: None)
    loss = trainer.compute_loss(model, {"batch": batch}, num_items_in_batch=torch.tensor(10.0))
    loss.backward()
    together = gradients(model)

    by_hand = tiny_model(checkpoint)
    by_hand.ears.requires_grad_(True)
    total = 0.0
    for view, settings, rows in (("image_speech", SPOKEN, (0, 3)), ("speech_only", HEARD, (1, 2))):
        part = objective(view, settings, by_hand)
        values = part.losses(by_hand, part.collate([samples[row] for row in rows])["batch"])
        own = sum(term.weight * values[term.name].sum() for term in part.terms) / 10
        own.backward()
        total += own.item()
    assert loss.item() == pytest.approx(total, rel=1e-5)
    alone = {name.replace("aids.", "aids.heard/"): grad for name, grad in gradients(by_hand).items()}
    assert together.keys() == alone.keys()
    for name, gradient in together.items():
        assert torch.allclose(gradient, alone[name], rtol=1e-4, atol=1e-6), name


def parts_trainer(checkpoint, media, out, *, batch=4, accumulate=1, save_every=100):
    model = tiny_model(checkpoint)
    model.ears.requires_grad_(True)
    first, second = tiny_samples(media, 6), tiny_samples(media, 4)
    samples = [*(replace(s, part="spoken") for s in first), *(replace(s, part="heard") for s in second)]
    counts = portions(4, [0.75, 0.25])
    order = braid([np.arange(STEPS * 3) % 6, 6 + np.arange(STEPS) % 4], counts)
    settings = Training(
        steps=STEPS, batch_size=batch, accumulate=accumulate, lr=1e-3, log_every=1, save_every=save_every
    )
    logs = []
    arguments = training_arguments(settings, out, seed=0)
    schedule = Schedule(samples, order.tolist())
    trainer = DistilTrainer(
        model, two_parts(model), schedule, arguments, lambda step, numbers: logs.append((step, numbers))
    )
    return trainer, logs


def test_losses_are_logged_by_part_and_term_each_over_its_own_tokens(checkpoint, tmp_path):
    """A step has three spoken samples and a heard one: with answers of 2, 4, 2 and 2 tokens, 8 and 2 tokens."""
    trainer, logs = parts_trainer(checkpoint, tmp_path, tmp_path / "out")
    trainer.train()
    terms = trainer._objective.terms
    assert [term.name for term in terms] == [
        "spoken/logits", "spoken/sft", "heard/sft", "heard/layer_map", "heard/acoustic"
    ]  # fmt: skip
    numbers = logs[0][1]
    tokens = {"spoken": 8, "heard": 2}
    by_part = sum(term.weight * numbers[f"terms/{term.name}"] * tokens[term.name.split("/")[0]] for term in terms)
    assert numbers["loss"] == pytest.approx(by_part / 10, rel=1e-4)
    trainer._objective.save_aids(tmp_path / "terms")
    assert (tmp_path / "terms/heard/layer_map.safetensors").is_file()


def test_micro_batches_without_one_of_the_parts_give_the_same_curve(checkpoint, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "four").mkdir()
    whole, logs = parts_trainer(checkpoint, tmp_path / "one", tmp_path / "out")
    whole.train()
    cut, same = parts_trainer(checkpoint, tmp_path / "four", tmp_path / "cut", batch=1, accumulate=4)
    cut.train()
    for (_, one), (_, other) in zip(logs[:STEPS], same[:STEPS], strict=True):
        for name in ("loss", "grad_norm", "terms/spoken/logits", "terms/heard/acoustic"):
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=1e-7)


def test_a_training_of_parts_resumes_bit_for_bit(checkpoint, tmp_path):
    saving, logs = parts_trainer(checkpoint, tmp_path, tmp_path / "out", save_every=2)
    saving.train()
    resumed, after = parts_trainer(checkpoint, tmp_path, tmp_path / "out", save_every=2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-4"))
    assert [numbers["loss"] for _, numbers in after if "loss" in numbers] == [
        numbers["loss"] for _, numbers in logs if "loss" in numbers
    ][4:]
    for (name, one), two in zip(
        saving.model.named_parameters(), dict(resumed.model.named_parameters()).values(), strict=True
    ):
        assert torch.equal(one, two), name


def test_one_part_of_everything_is_the_training_without_parts_bit_for_bit(checkpoint, tmp_path):
    plain, logs = trainer_of(checkpoint, tmp_path, tmp_path / "plain", batch=4)
    plain.train()
    model = tiny_model(checkpoint)
    model.ears.requires_grad_(True)
    settings = [
        SftTerm(type="sft", weight=0.25),
        LogitsTerm(type="logits", weight=0.75),
        LayersTerm(type="layers", weight=2.0),
        LayerMapTerm(type="layer_map", weight=0.5, space="cosine"),
    ]
    alone = PartsObjective({"all": objective("image_speech", settings, model, "all")})
    schedule = plain.train_dataset
    marked = [replace(schedule[place], part="all") for place in range(len(schedule))]
    found = []
    trainer = DistilTrainer(
        model, alone, Schedule(marked, range(len(marked))), plain.args, lambda step, numbers: found.append(numbers)
    )
    trainer.train()
    for (_, one), other in zip(logs[:STEPS], found[:STEPS], strict=True):
        assert one["loss"] == other["loss"]
        assert one["grad_norm"] == other["grad_norm"]
        assert one["terms/layers"] == other["terms/all/layers"]
    for one, two in zip(plain.model.ears.parameters(), model.ears.parameters(), strict=True):
        assert torch.equal(one, two)


PARTS = """
[train.both.parts.spoken]
share = 0.5
terms = [{ type = "logits", weight = 0.75 }, { type = "sft", weight = 0.25 }]

[train.both.parts.copy]
share = 0.5
data = "transcribe"
view = "speech_only"
terms = [{ type = "sft", weight = 1.0 }]
"""


def recipe_of(folder, *overrides):
    path = folder / "recipe.toml"
    path.write_text(TEXT + PARTS)
    return load_recipe(path, list(overrides))


def test_a_part_is_set_by_its_name_and_a_training_without_parts_keeps_its_fingerprint(tmp_path):
    train = recipe_of(tmp_path, "train.both.parts.copy.terms.0.weight=2.0").train
    assert [part.data for part in train["both"].each] == ["train", "transcribe"]
    assert train["both"].each[1].terms[0].weight == 2.0
    assert "parts" in train["both"].for_stage()
    assert "parts" not in train["sft"].for_stage()
    assert "kinds" not in train["both"].for_stage()["parts"]["copy"]


def test_shares_are_parts_that_a_training_run_without_parts_spells_shortly(tmp_path):
    text = (
        TEXT
        + PARTS.replace("both", "long")
        + """
[train.short]
copy_share = 0.5
view = "speech_only"
data = "transcribe"
terms = [{ type = "sft", weight = 1.0 }]
"""
    )
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    spelled = [f"train.long.parts.spoken.{key}" for key in ("data=transcribe", "view=speech_only")]
    terms = 'train.long.parts.spoken.terms=[{ type = "sft", weight = 1.0 }]'
    recipe = load_recipe(path, [*spelled, terms, "train.long.parts.copy.terms.0.weight=1.0"])
    short, long = recipe.train["short"], recipe.train["long"]
    assert list(short.mixture) == ["", "copy_share"]
    assert [*short.mixture.values()] == [*long.parts.values()]
    assert [part.data for part in short.each] == ["transcribe"], "what it adds is not compared"
    jobs = [Compiler(recipe).train(name, 0) for name in ("short", "long")]
    assert jobs[0].parts == jobs[1].parts
    items = [
        Item(id=f"{n}", source="transcribe", question=f"say {n}", answers=("yes",), cluster=f"{n}") for n in range(6)
    ]
    write_jsonl(tmp_path / "transcribe.jsonl", items)
    typed = [f"train.{name}=text_only" for name in ("short.view", "long.parts.spoken.view", "long.parts.copy.view")]
    recipe = load_recipe(path, [*spelled, terms, *typed])
    context = SimpleNamespace(folder_of=lambda _: tmp_path, say=lambda _: None, seed=0)
    drawn = []
    for name in ("short", "long"):
        samples, order = _mixed(context, Compiler(recipe).train(name, 0), BLIND)
        drawn.append([samples[place].key for place in order])
        assert len({samples[place].part for place in order[:2]}) == 2, "each step has some of each"
    assert drawn[0] == drawn[1]


def test_a_reward_is_a_part_beside_what_is_replayed(tmp_path):
    rewards = '[{ type = "accuracy", weight = 1.0 }]'
    grpo = f'{{ type = "grpo", weight = 1.0, group = 2, max_tokens = 4, rewards = {rewards} }}'
    reward = [f"train.both.parts.spoken.terms=[{grpo}]"]
    assert recipe_of(tmp_path, *reward).train["both"].mixture["copy"].terms[0].type == "sft"
    beside = f'train.both.parts.spoken.terms=[{grpo}, {{ type = "sft", weight = 1.0 }}]'
    with pytest.raises(InputError, match=re.escape("train.both.parts.spoken.terms: grpo stands alone")):
        recipe_of(tmp_path, beside)
    other = 'train.both.parts.copy.terms=[{ type = "sft", weight = 1.0 }, { type = "sft", weight = 2.0 }]'
    with pytest.raises(InputError, match=re.escape("train.both.parts.copy.terms: beside grpo, all other parts")):
        recipe_of(tmp_path, *reward, other)


def test_a_part_learns_from_the_kinds_that_it_names(tmp_path):
    items = [
        Item(id=f"{n}", source="transcribe", question=f"say {n}", answers=("yes",), cluster=f"{n}", kind=kind)
        for n, kind in enumerate(["choice", "count", "choice", "reading"])
    ]
    write_jsonl(tmp_path / "transcribe.jsonl", items)
    typed = [f"train.both.parts.{part}.view=text_only" for part in ("spoken", "copy")]
    typed += [
        "train.both.parts.spoken.data=transcribe",
        'train.both.parts.spoken.terms=[{ type = "sft", weight = 1.0 }]',
    ]
    context = SimpleNamespace(folder_of=lambda _: tmp_path, say=lambda _: None, seed=0)

    def kinds(named):
        recipe = recipe_of(tmp_path, *typed, f"train.both.parts.copy.kinds={named}")
        samples, _ = _mixed(context, Compiler(recipe).train("both", 0), BLIND)
        return {
            part: sorted(one.turns[0].item.kind for one in samples if one.part == part) for part in ("spoken", "copy")
        }

    every = ["choice", "choice", "count", "reading"]
    assert kinds('["choice", "count"]') == {"spoken": every, "copy": ["choice", "choice", "count"]}
    assert kinds("[]") == {"spoken": every, "copy": every}
    said = re.escape("part copy: no item is of kind 'chart' (name some of choice, count, reading)")
    with pytest.raises(InputError, match=said):
        kinds('["choice", "chart"]')


def test_a_part_draws_typed_words_out_and_leaves_what_is_to_be_written_down(tmp_path):
    said = "the red circle and the blue star"
    one = Item(id="0", source="transcribe", question=said, answers=(said,), cluster="0")
    texts = [one.model_copy(update={"id": f"{n}", "cluster": f"{n}"}) for n in range(8)]
    write_jsonl(tmp_path / "transcribe.jsonl", texts)
    typed = ["train.both.parts.copy.view=text_only", "train.both.parts.spoken.data=transcribe"]
    typed += ["train.both.parts.spoken.view=text_only", "train.both.parts.copy.stretch=3"]
    terms = '[{ type = "sft", weight = 1.0 }]'
    recipe = recipe_of(tmp_path, *typed, f"train.both.parts.spoken.terms={terms}")
    context = SimpleNamespace(folder_of=lambda _: tmp_path, say=lambda _: None, seed=0)
    samples, _ = _mixed(context, Compiler(recipe).train("both", 0), BLIND)
    asked = {part: [one.turns[0].text.split() for one in samples if one.part == part] for part in ("spoken", "copy")}
    assert asked["spoken"] == [said.split()] * 8
    for words in asked["copy"]:
        assert [word for n, word in enumerate(words) if n == 0 or words[n - 1] != word] == said.split()
    assert {max(words.count(word) for word in ("red", "circle", "and")) for words in asked["copy"]} <= {1, 2, 3}
    assert sum(map(len, asked["copy"])) > sum(map(len, asked["spoken"]))
    assert all(one.turns[0].item.answers == (said,) for one in samples)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.both.parts.copy.share=0.25", "the shares of the parts sum to 0.75, not to 1"),
        ("train.both.replay_share=0.1", "replay_share has no effect beside parts"),
        ("train.both.view=speech_only", "view has no effect beside parts"),
        ("train.sft.terms=[]", "nothing is to be learned: give terms, or parts"),
        ("train.both.parts.spoken.terms.0.view=image_speech", "train.both.parts.spoken.terms.0.view: teacher and"),
        ("train.both.parts.copy.terms.0.weight=0.0", "train.both.parts.copy.terms: all weights are 0"),
        ("train.both.parts.copy.data=traces", "missing table, which train.both.parts.copy.data = 'traces' needs"),
        ("train.both.batch_size=1", "train.both.parts.copy.share: less than one of the 1 items of an optimiser step"),
        ("training.select={ every = 2, max_new_tokens = 4 }", "chooses steps by one view, and train.both has parts"),
        ("train.both.parts.spoken.share=1.5", "expected at most 1, got 1.5"),
        ("train.both.parts.copy.data=nowhere", "train.both.parts.copy.data: [data] has no item file 'nowhere': choose"),
        ("train.both.parts.copy.data=../x", "train.both.parts.copy.data"),
        ("train.both.parts.copy.stretch=5", "stretch has no effect on the view 'speech_only': set a view with"),
    ],
)
def test_wrong_parts_are_named(override, said, tmp_path):
    with pytest.raises(InputError, match=re.escape(said)):
        recipe_of(tmp_path, override)
