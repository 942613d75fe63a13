"""Stage `answers`: a model generates the answers that training runs learn from, under a typed view.

answers.jsonl      every generated answer
counts.json        items kept, and dropped by reason
written.jsonl in items/: the items with these answers in place of their own (`earwise.stages.taught`)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import torch

from earwise.data import meta
from earwise.distil.rollouts import LocalRollouts, Prompt, seed_of
from earwise.io.messages import counted
from earwise.models.device import best_device
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample, Turn
from earwise.recipe.model import BASE
from earwise.recipe.teach import Answers
from earwise.records import Item, NonEmpty, Record
from earwise.stages.data import data_folder, items_of
from earwise.stages.descriptions import described
from earwise.stages.jobs.models import AnswersJob
from earwise.stages.models import load_base
from earwise.stages.samples import sample_items
from earwise.stages.taught import write_taught
from earwise.stages.traces import COUNTS, in_words
from earwise.views import DESCRIBED_VIEWS
from earwise.work.job import StageContext
from earwise.work.progress import track
from earwise.work.store import Store, read_store, write_atomic

ANSWERS: Final = "answers.jsonl"
WRITTEN: Final = "written"
"""The item file that it writes."""
EMPTY, BEHIND = "empty", "behind an answer of its conversation that does not end"
"""Why an item is dropped."""
CUT: Final = "kept without an end"
"""Of the kept answers, those that the limit cut. They are learned as far as they go, and end with no stop token, as
that would teach to stop in the middle of a sentence."""
_HALF: Final = "\ufffd"
"""What a tokenizer decodes of a character whose last bytes were cut."""


class WrittenAnswer(Record):
    """The generated answer to one item."""

    item: NonEmpty
    text: str
    ended: bool
    """Whether the model ended it, not the token limit."""

    @property
    def key(self) -> str:
        """The item's id."""
        return self.item

    @property
    def learned(self) -> str:
        """What can be learned of it: all of it, without half a character at a cut."""
        return self.text if self.ended else self.text.rstrip(_HALF).rstrip()

    @property
    def fault(self) -> str | None:
        """Why nothing can be learned from it, if so."""
        return None if self.learned else EMPTY


def work(context: StageContext, job: AnswersJob) -> None:
    """Have a model answer the items, and write what training runs learn from."""
    settings, folder = context.settled(job.answers), data_folder(context, job.data)
    items = items_of(context, job.data, settings.items)
    longest = job.source.longest_sound
    samples = sample_items(items, folder, None, context.say, views=[settings.view], longest_s=longest)
    if settings.view in DESCRIBED_VIEWS:
        samples = described(context, job.descriptions, samples, folder)
    path = context.folder / ANSWERS
    with Store(path, WrittenAnswer) as store:
        model = _model(context, job)
        if settings.precision == "bfloat16":
            model.to(torch.bfloat16)  # Nothing is trained, so no copy in float32 is needed.
        write_answers(model, samples, settings, store)
    written, counts = written_items(samples, read_store(path, WrittenAnswer))
    write_taught(context.folder, WRITTEN, written)
    write_atomic(context.folder / COUNTS, json.dumps(counts, indent=2) + "\n")
    cut = counts.pop(CUT, 0)
    context.say(f"answers: {in_words(counts)} of {counted(len(items), 'item')}; {cut} of them {CUT}")


def _model(context: StageContext, job: AnswersJob) -> OmniModel:
    if job.answers.model == BASE:
        return load_base(context, job.source).eval()
    dtype = getattr(torch, job.source.model.dtype if job.source.model is not None else "float32")
    return OmniModel.from_pretrained(job.answers.model, dtype=dtype).to(best_device()).eval()


def write_answers(model: OmniModel, samples: Sequence[Sample], settings: Answers, store: Store[WrittenAnswer]) -> None:
    """Answer every item of `samples` that is not in `store`; the turns of a conversation in order, each after the
    generated answers to the earlier turns. A conversation ends at an answer that is empty or cut. Batches are
    cut from all samples, even if some are answered, so that a resumed run computes the same as an uninterrupted one.
    """
    source = LocalRollouts(model, max_tokens=settings.max_new_tokens, temperature=settings.temperature)
    known = {answer.item: answer for answer in read_store(store.path, WrittenAnswer)}
    for turn in range(max((len(sample.turns) for sample in samples), default=0)):
        asked = [(n, begun) for n, sample in enumerate(samples) if (begun := _begun(sample, turn, known)) is not None]
        batches = [asked[i : i + settings.batch_size] for i in range(0, len(asked), settings.batch_size)]
        for batch in track(batches, len(batches), f"answers, turn {turn + 1}" if turn else "answers"):
            if all(sample.turns[turn].item.id in known for _, sample in batch):
                continue
            build = model.layouts.build
            prompts = [Prompt(sample, build(sample, settings.view, answers=False)) for _, sample in batch]
            seeds = [seed_of(settings.seed, turn, n) for n, _ in batch]
            drawn = source.draw(prompts, seeds, 1)
            for (_, sample), (completion,) in zip(batch, drawn, strict=True):
                item = sample.turns[turn].item.id
                ids = list(completion.ids[:-1] if completion.ended else completion.ids)
                text = str(model.family.tokenizer.decode(ids, skip_special_tokens=True)).strip()
                if item not in known:
                    known[item] = WrittenAnswer(item=item, text=text, ended=completion.ended)
                    store.append(known[item])


def _begun(sample: Sample, turn: int, known: dict[str, WrittenAnswer]) -> Sample | None:
    """`sample` up to `turn`, with the generated answers to the earlier turns; None if it ends before."""
    if turn >= len(sample.turns):
        return None
    before = [known.get(one.item.id) for one in sample.turns[:turn]]
    if any(answer is None or answer.fault or not answer.ended for answer in before):
        return None
    turns = [_answered(one, answer.text) for one, answer in zip(sample.turns, before, strict=False) if answer]
    return replace(sample, turns=(*turns, sample.turns[turn]))


def _answered(turn: Turn, text: str) -> Turn:
    return replace(turn, item=turn.item.model_copy(update={"answers": (text,)}))


def written_items(samples: Sequence[Sample], answers: Sequence[WrittenAnswer]) -> tuple[list[Item], dict[str, int]]:
    """The items with generated answers in place of gold answers, and counts of kept and dropped items by reason.

    `CUT` counts the kept ones that the limit cut; their `meta` says so. Ids stay, so that an item finds its clip.
    """
    known = {answer.item: answer for answer in answers}
    kept, counts = [], Counter({"kept": 0})
    for item, fault in _faults(samples, known):
        counts[fault or "kept"] += 1
        if fault is None:
            answer = known[item.id]
            kept.append(_with_answer(item, answer))
            if not answer.ended:
                counts[CUT] += 1
    return kept, dict(counts)


def _with_answer(item: Item, answer: WrittenAnswer) -> Item:
    cut = {} if answer.ended else {meta.CUT: True}
    return item.model_copy(update={"answers": (answer.learned,), "meta": {**item.meta, **cut}})


def _faults(samples: Sequence[Sample], known: dict[str, WrittenAnswer]) -> Iterator[tuple[Item, str | None]]:
    """Every item with the reason why its answer cannot be learned from, if any."""
    for sample in samples:
        ended = False
        for turn in sample.turns:
            answer = None if ended else known[turn.item.id]
            fault = BEHIND if answer is None else answer.fault
            ended = answer is None or fault is not None or not answer.ended
            yield turn.item, fault
