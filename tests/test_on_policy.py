"""On-policy distillation: what is drawn, what is scored, and that a training goes on where it was."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from example_recipe import TEXT
from grpo_case import curve, learner
from tiny import tiny_model, tiny_samples

from earwise.distil.objective import Objective
from earwise.distil.on_policy import OnPolicyObjective, chance_of
from earwise.distil.rollouts import Completion, LocalRollouts, Prompt, seed_of
from earwise.distil.schedule import Schedule
from earwise.distil.teachers import Shape
from earwise.distil.terms import make_term
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.errors import InputError
from earwise.recipe.read import load_recipe
from earwise.recipe.train import LayersTerm, LogitsTerm, OnPolicy, SftTerm, Training

SEED = 7


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


def reverse_kl(**given):
    return LogitsTerm(type="logits", weight=1.0, divergence="reverse_kl", **given)


def plain(model, terms, view="image_speech", teachers=None):
    made = [make_term(term) for term in terms]
    for term, settings in zip(made, terms, strict=True):
        term.answers = getattr(settings, "answers", term.answers)
    return Objective(view, made, model, teachers=teachers)


def drawing(model, terms, *, share=1.0, max_tokens=5, temperature=1.0, source=None, **given):
    settings = OnPolicy(share=share, max_tokens=max_tokens, temperature=temperature)
    return OnPolicyObjective(plain(model, terms, **given), model, settings, seed=SEED, source=source)


def begun(objective, samples, step=0):
    batch = objective.collate(samples)["batch"]
    objective.begin(step, [batch])
    return batch


class Answering:
    """A source whose answers are written here."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def draw(self, prompts, seeds, group):
        return [[self.answers.pop(0)] for _ in prompts]


def drawn_by(model, samples, view, step=0, max_tokens=5):
    """What the student draws, from its rollouts alone."""
    source = LocalRollouts(model, max_tokens=max_tokens, temperature=1.0)
    prompts = [Prompt(sample, model.layouts.build(sample, view, answers=False)) for sample in samples]
    return [one.ids for (one,) in source.draw(prompts, [seed_of(SEED, step, n) for n in range(len(samples))], 1)]


def test_the_same_view_and_weights_give_exactly_no_loss_and_no_gradient(checkpoint, tmp_path):
    model = learner(checkpoint, train="ears")
    terms = [reverse_kl(view="image_speech"), LayersTerm(type="layers", weight=1.0, view="image_speech")]
    objective = drawing(model, terms)
    batch = begun(objective, tiny_samples(tmp_path, 2))
    assert batch.drawn.all()
    values = objective.losses(model, batch)
    sum(value.sum() for value in values.values()).backward()
    assert all(torch.equal(value, torch.zeros_like(value)) for value in values.values())
    assert all(p.grad is None or not p.grad.any() for p in model.ears.parameters())


def test_the_drawn_tokens_are_scored_by_reverse_kl_as_by_hand(checkpoint, tmp_path):
    """Another model's logits and the student's own at each drawn token, from plain forward passes one by one."""
    model, other = tiny_model(checkpoint), tiny_model(checkpoint, ears=False)
    with torch.no_grad():
        for parameter in other.family.backbone.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    samples = tiny_samples(tmp_path, 3)
    expected, tokens = [], []
    for sample, ids in zip(samples, drawn_by(model, samples, "text_only"), strict=True):
        prompt = model.layouts.build(sample, "text_only", answers=False).ids
        words, whole = model.family.vocabulary, torch.tensor([[*prompt, *ids]])
        with torch.no_grad():
            mine, theirs = (
                m.family.model(input_ids=whole).logits[0, len(prompt) - 1 : -1, :words].log_softmax(-1)
                for m in (model, other)
            )
        expected += (mine.exp() * (mine - theirs)).sum(-1).tolist()
        tokens += ids
    term = reverse_kl(teacher="other", view="text_only")
    objective = drawing(model, [term], view="text_only", teachers={"other": other})
    batch = begun(objective, samples)
    assert batch.passes.own.views["student/text_only"].targets.tolist() == tokens
    assert batch.passes.others["other/text_only"].targets.tolist() == tokens
    assert batch.num_responses == len(tokens)
    assert objective.losses(model, batch)["logits"].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert min(expected) > 1e-4


def test_a_share_of_zero_is_the_off_policy_objective_exactly(checkpoint, tmp_path):
    terms = [SftTerm(type="sft", weight=0.5), reverse_kl(), LayersTerm(type="layers", weight=2.0, answers="given")]
    model, samples = learner(checkpoint, train="ears"), tiny_samples(tmp_path, 3)
    objective, other = drawing(model, terms, share=0.0), plain(model, terms)
    batch, given = begun(objective, samples), other.collate(samples)["batch"]
    assert batch.num_responses == given.num_responses
    mine, theirs = objective.losses(model, batch), other.losses(model, given)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert objective.drain()["drawn"] == (0.0, 3.0)


def test_terms_count_on_the_answers_that_they_name(checkpoint, tmp_path):
    model, samples = tiny_model(checkpoint), tiny_samples(tmp_path, 4)
    share = sorted(chance_of(SEED, 0, n) for n in range(4))[1] + 1e-9  # two of the four
    terms = [
        SftTerm(type="sft", weight=1.0), reverse_kl(), reverse_kl(answers="given"), reverse_kl(answers="drawn"),
    ]  # fmt: skip
    objective = drawing(model, terms, share=share)
    batch = begun(objective, samples)
    values = objective.losses(model, batch)
    drawn = batch.drawn
    assert 0 < int(drawn.sum()) < len(drawn) == batch.num_responses
    assert values["sft"][~drawn].min() > 0 == values["sft"][drawn].abs().max()
    assert torch.equal(values["logits_2"] + values["logits_3"], values["logits"])
    assert not values["logits_2"][drawn].any()
    assert not values["logits_3"][~drawn].any()
    assert values["logits"].min() > 0


def test_what_is_drawn_depends_on_seed_step_and_place_not_on_how_a_batch_is_cut(checkpoint, tmp_path):
    model, samples = tiny_model(checkpoint), tiny_samples(tmp_path, 4)
    objective = drawing(model, [reverse_kl()], share=0.7)

    def targets(batches):
        return [batch.passes.own.views["student/image_speech"].targets.tolist() for batch in batches]

    whole = targets([begun(objective, samples)])
    cut = [objective.collate(samples[n : n + 2])["batch"] for n in (0, 2)]
    objective.begin(0, cut)
    first, last = targets(cut)
    assert [first + last] == whole
    second = objective.collate(samples[2:])["batch"]
    objective.begin(0, [second], rank=1, world=2)
    assert targets([second]) == targets(cut[1:])
    assert targets([begun(objective, samples, step=1)]) != whole
    chances = [chance_of(SEED, step, n) for step in range(50) for n in range(40)]
    assert np.mean(np.array(chances) < 0.25) == pytest.approx(0.25, abs=0.03)


def test_empty_cut_and_foreign_answers_are_counted(checkpoint, tmp_path):
    """An empty answer is one token, which teachers score; one with a word that they do not have stays as given."""
    model, samples = tiny_model(checkpoint), tiny_samples(tmp_path, 3)
    (stop,) = model.family.stop_ids
    source = Answering(
        Completion((stop,), "", True), Completion((5, 6), "five six", False), Completion((5, 10**6), "?", False)
    )
    objective = drawing(model, [reverse_kl()], source=source)
    batch = begun(objective, samples)
    gold = model.layouts.build(samples[2], "image_speech", answers=True)
    expected = [stop, 5, 6, *(gold.ids[n] for n in gold.response)]
    for name in ("student/image_speech", "self/image_text"):
        assert batch.passes.own.views[name].targets.tolist() == expected
    assert batch.drawn.tolist() == [True] * 3 + [False] * (len(expected) - 3)
    assert objective.drain() == {"drawn": (2, 3), "length": (5, 3), "empty": (1, 3), "cut": (2, 3), "foreign": (1, 3)}


def test_stored_states_and_dialogues_are_refused_before_training(checkpoint, tmp_path):
    model, (sample,) = tiny_model(checkpoint), tiny_samples(tmp_path, 1)
    objective = drawing(model, [reverse_kl()])
    with pytest.raises(InputError, match="item-0: on_policy draws answers to single questions, and this is a dialogue"):
        objective.check([replace(sample, turns=sample.turns * 2)])
    within = plain(model, [reverse_kl(teacher="other")], teachers={"other": copy.deepcopy(model)})

    class Stored(type(within.teachers["other"])):
        shape = Shape(1, 1, frozenset({1}))

    within.teachers["other"].__class__ = Stored
    with pytest.raises(InputError, match="other: stored states belong to the given answers"):
        OnPolicyObjective(within, model, objective.settings, seed=SEED)


def trained(checkpoint, folder, *, train="ears", resume=None):
    """Four steps on four spoken questions, half of the answers drawn."""
    folder.mkdir(exist_ok=True)
    model = learner(checkpoint, train=train)
    objective = drawing(model, [reverse_kl(), SftTerm(type="sft", weight=0.5)], share=0.5, max_tokens=3)
    settings = Training(steps=4, batch_size=4, lr=3e-3, log_every=1, save_every=2, schedule="constant")
    schedule, logs = Schedule(tiny_samples(Path(folder), 4), [0, 1, 2, 3] * 4), []
    arguments = training_arguments(settings, folder / "out", seed=0)
    trainer = DistilTrainer(model, objective, schedule, arguments, lambda step, numbers: logs.append((step, numbers)))
    trainer.train(resume_from_checkpoint=resume and str(folder / "out" / f"checkpoint-{resume}"))
    return logs, {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("train", ["ears", "lora", "decoder"])
def test_resuming_gives_the_same_curve_and_weights_bit_for_bit(train, checkpoint, tmp_path):
    logs, weights = trained(checkpoint, tmp_path, train=train)
    after, resumed = trained(checkpoint, tmp_path, train=train, resume=2)
    for name in ("loss", "grad_norm", "terms/logits", "drawn", "length"):
        late = [(step, numbers) for step, numbers in logs if step > 2]
        assert curve(after, name) == curve(late, name) != [], name
    assert all(torch.equal(value, resumed[name]) for name, value in weights.items())
    assert len(set(curve(logs, "drawn"))) > 1


DRAWS = """
[train.draws]
terms = [{ type = "logits", weight = 1.0, divergence = "reverse_kl" }]
on_policy = { share = 0.5, max_tokens = 8 }
"""


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("on_policy = { share = 0.5, max_tokens = 8 }\n", "", None),
        ("on_policy = { share = 0.5, max_tokens = 8 }\n", "view = \"speech_only\"\n", None),
        ("\"reverse_kl\" }]\non_policy = { share = 0.5, max_tokens = 8 }", "\"reverse_kl\", answers = \"drawn\" }]",
         "train.draws.on_policy: missing table, which the 'answers' of a term need"),
        ("\"reverse_kl\" }", "\"reverse_kl\", answers = \"given\" }",
         "train.draws.on_policy: no term learns from drawn answers"),
        ("type = \"logits\", weight = 1.0, divergence = \"reverse_kl\"", "type = \"sft\", weight = 1.0",
         "train.draws.on_policy: no term learns from drawn answers"),
        ("\"reverse_kl\" }]\non_policy = { share = 0.5", "\"jsd\" }, { type = \"sft\", weight = 1 }]\n"
         "on_policy = { share = 1.0", "train.draws.on_policy.share: 1 leaves no given answers"),
        ("type = \"logits\", weight = 1.0, divergence = \"reverse_kl\"",
         "type = \"grpo\", weight = 1.0, max_tokens = 8, rewards = [{ type = \"accuracy\", weight = 1.0 }]",
         "train.draws.on_policy: grpo draws answers of its own"),
        ("share = 0.5", "share = 1.5", "train.draws.on_policy.share"),
    ],
)  # fmt: skip
def test_recipes_that_contradict_themselves_are_refused(old, new, match, tmp_path):
    path = tmp_path / "draws.toml"
    assert old in DRAWS
    path.write_text(TEXT.replace("[report]\n", "") + DRAWS.replace(old, new))
    if match is None:
        assert load_recipe(path).train["draws"].on_policy is None
        return
    with pytest.raises(InputError, match=match):
        load_recipe(path)
