"""Selects the step with the best answers to held-out questions, which are asked at intervals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earwise.distil.sharding import whole_for_asking, whole_for_saving
from earwise.io.messages import counted
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.train import Selection
from earwise.records import Item, View
from earwise.traces.agreement import canonical
from earwise.traces.format import said
from earwise.work.store import write_atomic

_BATCH = 64
TRIED = "selection.json"
"""File in the training run's folder: the percentage of right answers by step."""


class Best(TrainerCallback):
    """Keeps the weights of the best step in a folder of its own.

    Args:
        model: the model that is trained.
        samples: held-out questions, single-turn.
        view: how they are shown.
        settings: the interval, and the length of an answer.
        folder: of the training run, for `selection.json` and the best weights.
        say: receives each result.
    """

    def __init__(
        self,
        model: OmniModel,
        samples: Sequence[Sample],
        view: View,
        settings: Selection,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._model, self._samples, self._view, self._settings = model, samples, view, settings
        self._folder, self._say = folder, say

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Ask after every `every` steps, and after the last one. A resumed run asks again at repeated steps."""
        step = state.global_step
        if step % self._settings.every == 0 or step == args.max_steps:
            # All processes gather a sharded model, for the first one to ask and to save.
            with whole_for_asking(self._model):
                right = self._ask() if state.is_world_process_zero else 0.0
            with whole_for_saving(self._model):
                if state.is_world_process_zero:
                    self._note(step, right)
        return control

    def _note(self, step: int, right: float) -> None:
        """Record a result, and keep the weights if it is the best so far."""
        before = {at: value for at, value in self._tried().items() if at < step}
        if right > max(before.values(), default=-1.0):
            self._keep()
        tried = {str(at): value for at, value in sorted((before | {step: right}).items())}
        write_atomic(self._folder / TRIED, json.dumps(tried, indent=1) + "\n")
        self._say(f"step {step}: {right:.1f} % of {counted(len(self._samples), 'held-out question')} are right")

    def take(self, folder: Path) -> None:
        """Copy the best weights to `folder`."""
        tried = self._tried()
        best = max(tried, key=lambda step: (tried[step], -step))
        self._say(f"the weights of step {best} are kept: {tried[best]:.1f} %")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._best, folder)

    @property
    def _best(self) -> Path:
        return self._folder / "best"

    def _keep(self) -> None:
        """Replace the folder of the best weights as a whole: a kill leaves the old or the new one."""
        new = self._folder / "best.new"
        shutil.rmtree(new, ignore_errors=True)
        self._model.save_ears(new)
        shutil.rmtree(self._best, ignore_errors=True)
        new.rename(self._best)

    def _tried(self) -> dict[int, float]:
        return tried(self._folder)

    def _ask(self) -> float:
        """Percentage of right answers."""
        self._model.eval()  # the trainer switches back before each step
        right = 0
        for start in range(0, len(self._samples), _BATCH):
            some = self._samples[start : start + _BATCH]
            answers = self._model.generate(some, view=self._view, max_new_tokens=self._settings.max_new_tokens)
            right += sum(_is_right(sample.turns[0].item, text) for sample, text in zip(some, answers, strict=True))
        return 100 * right / len(self._samples)


def tried(folder: Path) -> dict[int, float]:
    """Percentage of right answers by step, for the training run in `folder`; empty before the first result."""
    path = folder / TRIED
    return {int(at): value for at, value in json.loads(path.read_text()).items()} if path.exists() else {}


def _is_right(item: Item, text: str) -> bool:
    answer = said(text)
    return answer is not None and canonical(answer, item.choices) == canonical(item.answers[0], item.choices)
