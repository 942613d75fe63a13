"""The objective of learning from reward: the policy answers prompts, and better answers become more likely.

At the beginning of an optimiser step (`begin`), the current weights answer the prompts of all its micro-batches.
(`collate` is too early: a loader prepares batches ahead.) So the number of completions and of their tokens is known
before the first loss, and the trainer divides once by that of the whole step, as for every other objective.

All completions of a prompt share its computation in training, too: they are independent turns after it.

Shapes: G completions of each prompt, R completions of a micro-batch, N their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from earwise.distil.guard import CollapseGuard
from earwise.distil.policy_batch import POLICY, REPLAY, Group, PolicyBatch, Rollouts, completed
from earwise.distil.reference import Reference
from earwise.distil.rewards import Known, Reward, make_rewards, value
from earwise.distil.rollout_log import AnswerLog, Meter
from earwise.distil.rollouts import Completion, LocalRollouts, Prompt, RolloutSource, seed_of
from earwise.distil.sharding import whole_for_asking
from earwise.distil.terms import Side
from earwise.distil.terms.grpo import Grpo, TokenLosses, advantages
from earwise.distil.terms.sft import Sft
from earwise.distil.token_logprobs import linear_logprobs
from earwise.errors import EarwiseError, InputError
from earwise.models.batch import ViewBatch, collate
from earwise.models.decode import banned_ids
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.models.states import Ask
from earwise.recipe.terms import GrpoTerm
from earwise.recipe.train import SftTerm
from earwise.records import View

_ANSWERS_LOGGED: Final = 5


class PolicyObjective:
    """GRPO on prompts, and optionally SFT on replayed samples.

    With the normaliser `completion`, the loss of a completion is the mean over its tokens. That of a replayed sample is
    the mean over its tokens times G, so that a prompt and a replayed sample weigh the same; the trainer divides by
    their number times G. With `token`, every token counts the same and the trainer divides by the number of tokens.

    Dropout is off, as it is during sampling: otherwise the ratio would differ from 1 before any update.

    Args:
        settings: of the term `grpo`.
        student: the model that learns; `requires_grad` must be final (`Reference`).
        view: what it sees.
        rewards: of a completion.
        source: draws the completions.
        seed: of the sampling.
        sft: the term of the replayed samples.
        replay: the parts of the replayed samples (`Sample.part`), each with its view; both `sft` and `replay` or none.
        answers: file in which some answers are logged in full.
    """

    def __init__(
        self,
        settings: GrpoTerm,
        student: OmniModel,
        view: View,
        rewards: Sequence[Reward],
        source: RolloutSource,
        *,
        seed: int,
        sft: Sft | None = None,
        replay: Mapping[str, View] = MappingProxyType({}),
        answers: Path | None = None,
    ) -> None:
        if sft is None and replay:
            raise InputError("replayed samples beside grpo, and no sft term", remedy="give both or none")
        if sft is not None and not replay:
            raise InputError("an sft term beside grpo, and no replayed samples", remedy="give both or none")
        self.settings, self.view = settings, view
        self.grpo, self.sft = Grpo(settings), sft
        self.terms: list[Grpo | Sft] = [self.grpo] if sft is None else [self.grpo, sft]
        self._student, self._rewards, self._source = student, list(rewards), source
        self._seed, self._replay = seed, replay
        self._banned = banned_ids(student.family)
        self._reference = Reference(student) if settings.beta else None
        self._guard = CollapseGuard(settings.guard) if settings.guard else None
        self._answers = AnswerLog(answers) if answers else None
        names = [f"rewards/{reward.name}" for reward in self._rewards]
        names += ["reward", "zero_advantage", "dropped", "invalid", "unanswered", "length", "kl", "entropy", "clipped"]
        self._step_meter, self._meter = Meter(names), Meter(names)
        self._held: list[tuple[list[str], Rollouts]] = []
        self._step: int | None = None
        self._main = True

    def check(self, samples: Sequence[Sample]) -> None:
        """Raise `InputError` for the first sample that cannot be answered or rewarded."""
        for sample in samples:
            if len(sample.turns) != 1:
                raise InputError("grpo learns from single questions, and this is a dialogue", record=sample.key)
            if sample.part not in self._replay:
                for reward in self._rewards:
                    reward.check(sample.turns[0].item)

    def _check_shards(self) -> None:
        """Raise `InputError` for a sharded student with replayed samples. FSDP2 gathers the shards of all processes at
        every pass. A process whose micro-batch has no replayed sample, or nothing else, makes one pass fewer.
        """
        if self._replay and any(isinstance(parameter, DTensor) for parameter in self._student.parameters()):
            what = "with replayed samples, processes make different numbers of passes, and FSDP2 needs the same"
            raise InputError(what, remedy="train with DDP, or without replayed parts")

    def collate(self, samples: Sequence[Sample]) -> dict[str, PolicyBatch]:
        """A micro-batch for `DistilTrainer`, not answered yet."""
        self.check(samples)
        asked = [place for place, sample in enumerate(samples) if sample.part not in self._replay]
        build = self._student.layouts.build
        prompts = [Prompt(samples[place], build(samples[place], self.view, answers=False)) for place in asked]
        replayed = [sample for sample in samples if sample.part in self._replay]
        layouts = [build(sample, self._replay[sample.part], answers=True) for sample in replayed]
        return {"batch": PolicyBatch(prompts, replayed, layouts, asked, len(samples), view=self.view)}

    def begin(self, step: int, batches: Sequence[PolicyBatch], rank: int = 0, world: int = 1) -> None:
        """Answer the prompts of an optimiser step, or take the answers of the update before; called once per step.
        Raises `EarwiseError` from the collapse guard for the steps so far.
        """
        self._main = rank == 0
        if self._step is None:
            self._check_shards()
            if self._reference is not None:
                self._reference.check()
            if self._answers is not None and self._main:
                self._answers.rewind(step)
        elif self._guard is not None:
            self._guard(self._step + 1, self._step_meter.means())
        self._step_meter.clear()
        self._step = step
        keys = [[prompt.sample.key for prompt in b.prompts] + [s.key for s in b.replayed] for b in batches]
        if step % self.settings.updates == 0:
            with whole_for_asking(self._student):
                rolled = [self._roll(b, step, (m * world + rank) * b.size) for m, b in enumerate(batches)]
            self._held = list(zip(keys, rolled, strict=True))
        elif [known for known, _ in self._held] != keys:
            raise EarwiseError(
                f"step {step} repeats no batch, and {self.settings.updates} updates are made on each: "
                "order the draws with repeat_batches, and make save_every a multiple of updates"
            )
        for batch, (_, rollouts) in zip(batches, self._held, strict=True):
            batch.rollouts, batch.num_responses = rollouts, self._count(batch, rollouts)

    def losses(self, model: nn.Module, batch: PolicyBatch) -> dict[str, Tensor]:
        """Unweighted values of every term, by name: `grpo` (R,) or (N,), `sft` one per replayed sample or token.
        `model` is the student, possibly wrapped by the training engine.
        """
        rollouts, training = batch.rollouts, model.training
        if rollouts is None:
            raise AssertionError("begin comes before losses")
        model.eval()
        try:
            self._refer(rollouts)
            states = model(rollouts.views, {name: Ask(learn=True) for name in rollouts.views.views})
        finally:
            model.train(training)
        head = self._student.family.head_weight[: self._student.family.vocabulary]
        losses = {self.grpo.name: head.new_zeros(0, dtype=torch.float32)}
        if POLICY in states:
            losses[self.grpo.name] = self._policy_loss(rollouts, *self._logprobs(states[POLICY].hidden, rollouts))
        if self.sft is not None:
            losses[self.sft.name] = head.new_zeros(0, dtype=torch.float32)
            if REPLAY in states:
                values = self.sft(Side(states[REPLAY], head), None)
                lengths = [len(layout.response) for layout in batch.replay_layouts]
                losses[self.sft.name] = self._normalised(values, lengths) * self._per_prompt
        return losses

    def drain(self) -> dict[str, tuple[float, float]]:
        """See `Stepwise.drain`; also logs some answers of the last step."""
        if self._answers is not None and self._main and self._step is not None:
            self._answers(self._step + 1, self._some_answers())
        return self._meter.drain()

    @property
    def _per_prompt(self) -> int:
        return self.settings.group if self.settings.normaliser == "completion" else 1

    def _count(self, batch: PolicyBatch, rollouts: Rollouts) -> int:
        if self.settings.normaliser == "completion":
            return len(batch.replayed) * self.settings.group + (0 if rollouts.empty else len(rollouts.lengths))
        replayed = sum(len(layout.response) for layout in batch.replay_layouts)
        return replayed + (0 if rollouts.empty else sum(rollouts.lengths))

    def _roll(self, batch: PolicyBatch, step: int, start: int) -> Rollouts:
        """Draw, reward and lay out the completions of a micro-batch; its first sample is number `start` of the step."""
        seeds = [seed_of(self._seed, step, start + place) for place in batch.places]
        group = self.settings.group
        drawn = self._source.draw(batch.prompts, seeds, group) if batch.prompts else []
        self._add("unanswered", [float(n >= len(some)) for some in drawn for n in range(group)])
        groups = [self._value(prompt, some) for prompt, some in zip(batch.prompts, drawn, strict=True) if some]
        if not groups and not batch.replayed:
            raise EarwiseError(f"step {step}: none of {len(batch.prompts)} prompts was answered")
        learned = [one for one in groups if not (one.equal and self.settings.drop_equal)]
        self._add("zero_advantage", [float(one.equal) for one in groups])
        self._add("dropped", [float(one.equal and self.settings.drop_equal) for one in groups])
        empty = not learned
        learned = learned or groups[:1]
        layouts = {}
        if learned:
            layouts[POLICY] = [completed(one.prompt.layout, [c.ids for c in one.completions]) for one in learned]
        if batch.replay_layouts:
            layouts[REPLAY] = batch.replay_layouts
        family = self._student.family
        passes = {name: collate({name: rows}, family, share_prefix=False).views[name] for name, rows in layouts.items()}
        return Rollouts(groups, learned, ViewBatch(passes, None).to(self._student.device), empty)

    def _value(self, prompt: Prompt, completions: list[Completion]) -> Group:
        values = [value(completion.text, prompt.item, self._rewards) for completion in completions]
        for reward in self._rewards:
            self._add(f"rewards/{reward.name}", [one.parts[reward.name] for one in values])
        self._add("reward", [one.total for one in values])
        self._add("invalid", [float(not one.valid) for one in values])
        self._add("length", [len(completion.ids) for completion in completions])
        scaled = advantages([one.total for one in values], standardise=self.settings.standardise)
        return Group(prompt, completions, values, scaled)

    def _refer(self, rollouts: Rollouts) -> None:
        """Compute the reference's log-probabilities, once for all updates on the same completions."""
        if self._reference is None or rollouts.reference is not None or POLICY not in rollouts.views.views:
            return
        with self._reference.swapped_in():
            policy = ViewBatch({POLICY: rollouts.views.views[POLICY]}, None)
            hidden = self._student(policy)[POLICY].hidden
            rollouts.reference, _ = self._logprobs(hidden, rollouts)

    def _logprobs(self, hidden: Tensor, rollouts: Rollouts) -> tuple[Tensor, Tensor]:
        family = self._student.family
        return linear_logprobs(
            hidden,
            family.head_weight[: family.vocabulary],
            rollouts.views.views[POLICY].targets,
            temperature=self.settings.temperature,
            banned=self._banned,
        )

    def _policy_loss(self, rollouts: Rollouts, logprobs: Tensor, entropies: Tensor) -> Tensor:
        if rollouts.old is None:
            rollouts.old = logprobs.detach()
        lengths = rollouts.lengths
        each = torch.tensor([one for group in rollouts.learned for one in group.advantages], dtype=logprobs.dtype)
        advantage = each.repeat_interleave(torch.tensor(lengths)).to(logprobs.device)
        losses = self.grpo(logprobs, rollouts.old, rollouts.reference, advantage)
        if rollouts.empty:
            return self._normalised(losses.value, lengths) * 0
        self._observe(losses, entropies)
        return self._normalised(losses.value, lengths)

    def _observe(self, losses: TokenLosses, entropies: Tensor) -> None:
        self._add("entropy", entropies.tolist())
        self._add("clipped", losses.clipped.float().tolist())
        if losses.kl is not None:
            self._add("kl", losses.kl.tolist())

    def _normalised(self, values: Tensor, lengths: Sequence[int]) -> Tensor:
        """(R,) means over each completion's tokens, or the (N,) values themselves."""
        if self.settings.normaliser == "token":
            return values
        return torch.stack([run.mean() for run in values.split(list(lengths))])

    def _add(self, name: str, values: Sequence[float]) -> None:
        self._step_meter.add(name, values)
        self._meter.add(name, values)

    def _some_answers(self) -> list[dict[str, Any]]:
        """The first answers of the step: one to each prompt before a second to any."""
        groups = [group for _, rollouts in self._held for group in rollouts.drawn]
        places = [(n, group) for n in range(self.settings.group) for group in groups if n < len(group.completions)]
        return [
            {
                "item": group.prompt.item.id,
                "text": group.completions[n].text,
                "ended": group.completions[n].ended,
                "reward": group.values[n].total,
                "rewards": group.values[n].parts,
                "advantage": group.advantages[n],
            }
            for n, group in places[:_ANSWERS_LOGGED]
        ]


def policy_objective(
    terms: Sequence[GrpoTerm | SftTerm],
    student: OmniModel,
    view: View,
    samples: Sequence[Sample],
    *,
    seed: int,
    replay: Mapping[str, View] = MappingProxyType({}),
    known: Known | None = None,
    source: RolloutSource | None = None,
    answers: Path | None = None,
) -> PolicyObjective:
    """The objective of a training run with a `grpo` term; all `samples` are checked first.

    Args:
        terms: one `grpo`, and `sft` if samples are replayed.
        student: the model that learns; its `requires_grad` must be final.
        view: what it sees.
        samples: all that the schedule can draw; the first answer of each item is its label.
        seed: of the sampling.
        replay: the parts whose samples `sft` learns instead of being answered, each with its view.
        known: a checker's claims, for the rewards `claims` and `completeness`.
        source: of completions; by default the student.
        answers: `samples.jsonl` in the stage's folder.
    """
    (grpo,) = (term for term in terms if isinstance(term, GrpoTerm))
    sft = next((Sft(term) for term in terms if isinstance(term, SftTerm)), None)
    if (source is None) != (grpo.server is None):
        raise AssertionError("the stage opens the server that the recipe names, and no other")
    local = LocalRollouts(student, max_tokens=grpo.max_tokens, temperature=grpo.temperature)
    objective = PolicyObjective(
        grpo, student, view, make_rewards(grpo.rewards, known), source or local, seed=seed, sft=sft, replay=replay,
        answers=answers,
    )  # fmt: skip
    objective.check(samples)
    return objective
