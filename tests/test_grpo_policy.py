"""The policy objective beside what it should be, computed one completion at a time."""

import json
from dataclasses import replace

import pytest
import torch
from grpo_case import Letters, Says, asked, curve, learner, objective_of, term_of, trainer_of
from tiny import tiny_model
from tiny_families import write_tiny_family

from earwise.distil.policy import policy_objective
from earwise.distil.policy_batch import POLICY, completed
from earwise.distil.reference import Reference
from earwise.distil.rollouts import Completion, LocalRollouts, Prompt, seed_of
from earwise.errors import EarwiseError, InputError
from earwise.models.batch import collate
from earwise.models.decode import banned_ids
from earwise.models.sample import Sound
from earwise.recipe.train import SftTerm


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


@pytest.fixture(scope="module")
def checkpoints(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    return tiny_checkpoints | {"qwen2_audio": write_tiny_family(root / "tiny-qwen2_audio", "qwen2_audio")}


def begun(objective, samples, step=0):
    batch = objective.collate(samples)["batch"]
    objective.begin(step, [batch])
    return batch


def one_by_one(model, group, temperature=1.0):
    """Log-probabilities of each completion of a group from a whole sequence of its own: prompt and completion."""
    family = model.family
    prompt = collate({"p": [group.prompt.layout]}, family, share_prefix=False).views["p"]
    banned = banned_ids(family)
    found = []
    for completion in group.completions:
        ids = torch.tensor([completion.ids])
        embeds = torch.cat([model.embed(prompt, model.ears), family.embed(ids)], dim=1)
        after = prompt.positions[..., -1:] + 1 + torch.arange(ids.shape[1])
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool)
        hidden = model.decode(embeds, mask, torch.cat([prompt.positions, after], dim=-1), None).last_hidden_state
        logits = hidden[0, len(group.prompt.layout) - 1 : -1] @ family.head_weight[: family.vocabulary].T / temperature
        allowed = torch.ones(logits.shape[-1], dtype=torch.bool)
        allowed[banned] = False
        logprobs = logits.masked_fill(~allowed, float("-inf")).log_softmax(-1)
        found.append(logprobs.gather(-1, ids[0][:, None])[:, 0])
    return found


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def clear(model):
    for p in model.parameters():
        p.grad = None


@pytest.mark.parametrize(
    ("family", "view"),
    [
        ("internvl", "text_only"),
        ("internvl", "image_speech"),
        ("qwen2_vl", "image_text"),
        ("qwen2_audio", "sound_text"),
    ],
)
def test_completions_behind_one_prompt_are_those_one_by_one(family, view, checkpoints, tmp_path):
    """One prefix for a group in drawing and in training gives the log-probabilities of whole sequences."""
    model = tiny_model(checkpoints[family], ears=family != "qwen2_audio")
    model.family.backbone.requires_grad_(True)
    samples = [replace(one, sound=Sound(one.turns[0].clip, 9_000 + 500 * n)) for n, one in
               enumerate(asked(tmp_path, 3))]  # fmt: skip
    objective = objective_of(model, term_of(group=3, temperature=1.3), view=view)
    batch = begun(objective, samples)
    states = model(batch.rollouts.views)
    found, _ = objective._logprobs(states[POLICY].hidden, batch.rollouts)
    expected = [run for group in batch.rollouts.drawn for run in one_by_one(model, group, 1.3)]
    assert batch.rollouts.lengths == [len(run) for run in expected]
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)


@pytest.mark.parametrize("normaliser", ["completion", "token"])
def test_the_gradient_is_that_of_reinforce(normaliser, checkpoint, tmp_path):
    """At the first update, the gradient of -A log p, averaged as the normaliser says, with A of the group's rewards."""
    model = learner(checkpoint)
    objective = objective_of(model, term_of(beta=0.0, normaliser=normaliser, max_tokens=7))
    batch = begun(objective, asked(tmp_path, 3))
    assert {len(one.ids) for group in batch.rollouts.drawn for one in group.completions} != {7}
    (objective.losses(model, batch)["grpo"].sum() / batch.num_responses).backward()
    found = gradients(model)
    clear(model)
    loss = torch.zeros(())
    groups = batch.rollouts.drawn
    for group in groups:
        rewards = torch.tensor([Letters()(one.text, None) for one in group.completions], dtype=torch.float64)
        scaled = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for a, run in zip(scaled.tolist(), one_by_one(model, group), strict=True):
            loss = loss - a * (run.mean() if normaliser == "completion" else run.sum())
    count = sum(len(g.completions) if normaliser == "completion" else sum(len(c.ids) for c in g.completions)
                for g in groups)  # fmt: skip
    assert batch.num_responses == count
    (loss / count).backward()
    expected = gradients(model)
    assert found.keys() == expected.keys()
    scale = max(float(g.abs().max()) for g in expected.values())
    assert scale > 1e-4
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-4 * scale), name


def test_the_first_update_has_ratio_one_and_no_kl(checkpoint, tmp_path):
    model = learner(checkpoint, train="lora")
    model.train()  # its dropout of one half would make the ratio differ from 1
    objective = objective_of(model, term_of(beta=0.5))
    batch = begun(objective, asked(tmp_path, 2))
    values = objective.losses(model, batch)["grpo"]
    each = [a for group in batch.rollouts.drawn for a in group.advantages]
    assert values.tolist() == pytest.approx([-a for a in each], abs=1e-6)
    sums = objective.drain()
    assert sums["kl"][0] == sums["clipped"][0] == 0
    assert model.lora.layers[0].lora_dropout["default"].training


def test_neighbours_and_padding_change_nothing(checkpoint, tmp_path):
    """A group's values are the same alone, in another order and beside longer prompts."""
    model, samples = learner(checkpoint), asked(tmp_path, 3)
    drawn = {}

    class Fixed:
        def draw(self, prompts, seeds, group):
            return [drawn[prompt.sample.key] for prompt in prompts]

    draw = LocalRollouts(model, max_tokens=6, temperature=1.0).draw
    for n, one in enumerate(samples):
        prompt = Prompt(one, model.layouts.build(one, "image_speech", answers=False))
        (drawn[one.key],) = draw([prompt], [n], 4)
    objective = objective_of(model, term_of(), view="image_speech", source=Fixed())

    def values(some):
        return objective.losses(model, begun(objective, some))["grpo"].split(4)

    together = dict(zip("012", values(samples), strict=True))
    turned = dict(zip("210", values(samples[::-1]), strict=True))
    for n, one in enumerate(samples):
        (alone,) = values([one])
        assert torch.allclose(together[str(n)], alone, atol=1e-5)
        assert torch.allclose(turned[str(n)], alone, atol=1e-5)
    one = samples[0]
    first, *others = drawn[one.key]
    (before,) = values([one])
    drawn[one.key] = [*others, first]
    (after,) = values([one])
    assert torch.allclose(before.roll(-1), after, atol=1e-5)


def test_draws_depend_on_seed_step_and_place_not_on_how_a_batch_is_cut(checkpoint, tmp_path):
    model, samples = learner(checkpoint), asked(tmp_path, 4)

    def texts(cut, step=0, seed=7):
        objective = objective_of(model, term_of(), seed=seed)
        batches = [objective.collate(some)["batch"] for some in cut]
        objective.begin(step, batches)
        return [c.text for b in batches for g in b.rollouts.drawn for c in g.completions]

    whole = texts([samples])
    assert whole == texts([samples[:2], samples[2:]])
    assert whole != texts([samples], step=1)
    assert whole != texts([samples], seed=8)
    assert len(set(whole)) > 4
    second = objective_of(model, term_of())
    half = second.collate(samples[2:])["batch"]
    second.begin(0, [half], rank=1, world=2)
    assert [c.text for g in half.rollouts.drawn for c in g.completions] == whole[8:]
    assert seed_of(0, 1, 2) != seed_of(0, 2, 1)


def test_no_completion_holds_a_placeholder(checkpoint, tmp_path):
    model = learner(checkpoint)
    batch = begun(objective_of(model, term_of(group=16, max_tokens=12)), asked(tmp_path, 4))
    said = {token for group in batch.rollouts.drawn for one in group.completions for token in one.ids}
    assert len(said) > 50
    assert not said & {*banned_ids(model.family)}


def test_groups_without_advantage_are_counted_and_dropped(checkpoint, tmp_path):
    """Only one of three prompts is rewarded unequally: it alone counts in the normaliser."""
    model, samples = learner(checkpoint), asked(tmp_path, 3)

    class OfOneItem(Letters):
        def __call__(self, text, item):
            return super().__call__(text, item) if item.id == "item-1" else 0.5

    def outcome(drop):
        objective = objective_of(model, term_of(drop_equal=drop, beta=0.0), rewards=[OfOneItem()])
        batch = begun(objective, samples)
        return objective.losses(model, batch)["grpo"], batch.num_responses, objective.drain()

    kept, count, sums = outcome(False)
    dropped, fewer, without = outcome(True)
    assert (count, fewer) == (12, 4)
    assert sums["zero_advantage"] == without["zero_advantage"] == (2, 3)
    assert (sums["dropped"], without["dropped"]) == ((0, 3), (2, 3))
    assert kept.tolist()[:4] == kept.tolist()[8:] == [0.0] * 4
    assert torch.allclose(kept[4:8], dropped, atol=1e-5)


def test_a_step_of_which_all_is_dropped_moves_nothing(checkpoint, tmp_path):
    model = learner(checkpoint)
    objective = objective_of(model, term_of(drop_equal=True), rewards=[Says("no such word")])
    before = [p.clone() for p in model.parameters()]
    trainer, logs = trainer_of(model, asked(tmp_path, 2), tmp_path / "out", objective, steps=2)
    trainer.train()
    assert curve(logs, "loss") == [0, 0]
    assert curve(logs, "dropped") == [1, 1]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("normaliser", ["completion", "token"])
def test_replayed_samples_are_learned_beside_the_prompts(normaliser, checkpoint, tmp_path):
    model, samples = learner(checkpoint), asked(tmp_path, 4)
    term = term_of(normaliser=normaliser)
    alone = objective_of(model, term)
    prompts = begun(alone, samples[:1])
    expected = alone.losses(model, prompts)["grpo"]
    samples[1:3] = [replace(sample, part="kept") for sample in samples[1:3]]
    mixed = objective_of(model, term, replay={"kept": "text_only"})
    batch = begun(mixed, samples[:3])
    found = mixed.losses(model, batch)
    assert torch.allclose(found["grpo"], expected, atol=1e-5)
    by_hand = []
    for one in samples[1:3]:
        row = collate({"r": [model.layouts.build(one, "text_only", answers=True)]}, model.family, share_prefix=False)
        state = model(row)["r"]
        logits = state.hidden @ model.family.head_weight.T
        nats = torch.nn.functional.cross_entropy(logits, state.targets, reduction="none")
        by_hand += [float(nats.mean()) * 4] if normaliser == "completion" else nats.tolist()
    assert found["sft"].tolist() == pytest.approx(by_hand, rel=1e-4)
    assert batch.num_responses == prompts.num_responses + (8 if normaliser == "completion" else len(by_hand))


def test_replay_and_its_term_come_together(checkpoint, tmp_path):
    model, samples = learner(checkpoint), asked(tmp_path, 2)
    sft = SftTerm(type="sft", weight=1.0)
    with pytest.raises(InputError, match="an sft term beside grpo, and no replayed samples"):
        policy_objective([term_of(), sft], model, "text_only", samples, seed=0)
    with pytest.raises(InputError, match="replayed samples beside grpo, and no sft term"):
        policy_objective([term_of()], model, "text_only", samples, seed=0, replay={"kept": "text_only"})


def test_what_cannot_be_rewarded_is_named_before_training(checkpoint, tmp_path):
    model = learner(checkpoint)
    samples = asked(tmp_path, 2, choices=("one", "two"), answers=("three",))
    with pytest.raises(InputError, match="item-0: the answer 'three' names none of the choices"):
        policy_objective([term_of()], model, "text_only", samples, seed=0)
    both = replace(samples[0], turns=samples[0].turns * 2)
    with pytest.raises(InputError, match="single questions"):
        policy_objective([term_of()], model, "text_only", [both], seed=0)


@pytest.mark.parametrize("train", ["decoder", "lora", "ears"])
def test_the_reference_is_the_start_whatever_is_trained(train, checkpoint, tmp_path):
    """After the weights moved, the KL is that between the moved model and a fresh one, token by token."""
    model, start = learner(checkpoint, train=train), learner(checkpoint, train=train)
    objective = objective_of(model, term_of(beta=0.1), view="image_speech")
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    batch = begun(objective, asked(tmp_path, 2))
    objective.losses(model, batch)["grpo"].sum().backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    with torch.no_grad():
        mine, theirs = (
            torch.cat([run for group in batch.rollouts.drawn for run in one_by_one(which, group)])
            for which in (model, start)
        )
    assert torch.allclose(batch.rollouts.reference, theirs, atol=1e-5)
    apart = theirs - mine
    total, count = objective.drain()["kl"]
    assert total / count == pytest.approx(float((apart.exp() - apart - 1).mean()), rel=1e-2)
    assert total > 1e-6


def test_a_reference_notices_what_is_trained_later(checkpoint):
    model = learner(checkpoint, train="decoder")
    reference = Reference(model)
    model.ears.requires_grad_(True)
    with pytest.raises(EarwiseError, match=r"ears.* was switched between trained and frozen"):
        reference.check()
    with pytest.raises(EarwiseError, match="nothing is trained"):
        Reference(tiny_model(checkpoint, ears=False))


def test_a_model_learns_to_say_what_is_rewarded(checkpoint, tmp_path):
    model = learner(checkpoint)
    objective = objective_of(model, term_of(group=8, beta=0.0, max_tokens=4), rewards=[Says("red")])
    trainer, logs = trainer_of(model, asked(tmp_path, 4), tmp_path / "out", objective, steps=30, batch=4, lr=3e-3)
    trainer.train()
    rewards = curve(logs, "reward")
    assert sum(rewards[:5]) / 5 < 0.3
    assert sum(rewards[-5:]) / 5 > 0.8
    assert curve(logs, "entropy")[-1] < curve(logs, "entropy")[0]


def test_every_number_is_logged_and_five_answers_are_kept(checkpoint, tmp_path):
    model, answers = learner(checkpoint), tmp_path / "samples.jsonl"
    objective = objective_of(model, term_of(), rewards=[Letters(), Says("red")], answers=answers)
    trainer, logs = trainer_of(model, asked(tmp_path, 4), tmp_path / "out", objective, steps=4, log_every=2)
    trainer.train()
    for _, numbers in logs:
        assert {"rewards/letters", "rewards/says", "reward", "zero_advantage", "dropped", "invalid", "unanswered",
                "length", "kl", "entropy", "clipped"} < numbers.keys()  # fmt: skip
        assert numbers["reward"] == pytest.approx(numbers["rewards/letters"] + numbers["rewards/says"])
        assert 1 <= numbers["length"] <= 5
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2] * 5 + [4] * 5
    for line in lines:
        assert line["rewards"]["letters"] == Letters()(line["text"], None)
    assert [line["item"] for line in lines[:5]] == ["item-2", "item-3", "item-2", "item-3", "item-2"]


@pytest.mark.parametrize(
    ("guard", "match"),
    [
        ({"min_entropy": 100.0}, r"the entropy is \d.* over the last 2 steps, after step 2, below 100: lower lr"),
        ({"max_invalid": 0.5}, "the share of invalid answers is 1 over the last 2 steps, after step 2, above 0.5"),
        ({"max_kl": 1e-6}, "the KL to the reference is .* above 1e-06: raise beta or lower lr"),
    ],
)
def test_a_collapse_stops_the_training_with_the_number_and_the_remedy(guard, match, checkpoint, tmp_path):
    model = learner(checkpoint)
    objective = objective_of(model, term_of(guard={"window": 2, **guard}))
    samples = asked(tmp_path, 2, choices=("no such", "answers"), answers=("A",))
    trainer, _ = trainer_of(model, samples, tmp_path / "out", objective, steps=6, lr=1e-3)
    with pytest.raises(EarwiseError, match=match):
        trainer.train()


def test_a_healthy_training_passes_the_guard(checkpoint, tmp_path):
    model = learner(checkpoint)
    guard = {"window": 1, "min_entropy": 0.5, "max_kl": 1.0, "max_invalid": 0.9}
    objective = objective_of(model, term_of(guard=guard))
    trainer, logs = trainer_of(model, asked(tmp_path, 2), tmp_path / "out", objective, steps=3, lr=1e-4)
    trainer.train()
    assert len(curve(logs, "loss")) == 3


def test_completions_become_turns_that_begin_with_the_last_prompt_token(checkpoint, tmp_path):
    model = tiny_model(checkpoint)
    prompt = model.layouts.build(asked(tmp_path, 1)[0], "image_speech", answers=False)
    layout = completed(prompt, [(7, 8), (9,)])
    last = prompt.ids[-1]
    assert layout.ids == (*prompt.ids[:-1], last, 7, 8, last, 9)
    assert [layout.ids[i] for i in layout.response] == [7, 8, 9]
    edge = len(prompt) - 1
    assert layout.starts == (edge, edge + 3)
    assert sum(span.stop - span.start for span in layout.spans) == len(layout)
    assert layout.media == prompt.media


def test_a_group_that_a_server_answered_in_part_is_learned_from(checkpoint, tmp_path):
    model, samples = learner(checkpoint), asked(tmp_path, 3)
    stop = model.family.stop_ids[0]

    class Patchy:
        def draw(self, prompts, seeds, group):
            one, two = Completion((5, stop), "see here", True), Completion((6, 7), "a b", False)
            return [[one, two, one], [], [one]]

    objective = objective_of(model, term_of(), source=Patchy())
    batch = begun(objective, samples)
    assert batch.num_responses == 4
    assert objective.losses(model, batch)["grpo"].tolist()[3] == 0
    assert objective.drain()["unanswered"] == (8, 12)
