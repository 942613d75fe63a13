"""A local Hugging Face model as an engine: any family of `earwise.models`, with or without ears."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from earwise.models.batch import collate
from earwise.models.omni import OmniModel
from earwise.traces.engine import Ask, Draw, Event, Failure, alike
from earwise.traces.local_prompt import layout_of
from earwise.traces.local_sampling import Sampled, sample

_SEEDS = 2**63
_PROMPT = "prompt"


class LocalEngine:
    """Draws samples from a loaded model; see `Engine`.

    Args:
        model: the model; frames are shown to it as images.
        name: identifies its weights in keys, for example hub id and revision, or a digest of its folder.
        batch_size: prompts per batch; each needs memory for all its samples.
    """

    def __init__(self, model: OmniModel, name: str, batch_size: int = 8) -> None:
        self.model = name
        self._omni, self._batch_size = model.eval(), batch_size

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`, in order. Raises `InputError` for media that the model cannot take."""
        for some in alike(asks, self._batch_size):
            yield from self._batch(some)

    def _batch(self, asks: Sequence[Ask]) -> Iterator[Event]:
        omni = self._omni
        layouts = [layout_of(omni, ask.request) for ask in asks]
        batch = collate({_PROMPT: layouts}, omni.family, share_prefix=False).to(omni.device)
        sampling = asks[0].request.sampling
        drawn = iter(sample(omni, batch.views[_PROMPT], [_seeds(ask) for ask in asks], sampling))
        for ask, layout in zip(asks, layouts, strict=True):
            some = [next(drawn) for _ in ask.samples]
            tokens = (len(layout), sum(len(one.logprobs) for one in some))
            for number, one in zip(ask.samples, some, strict=True):
                text = str(omni.family.tokenizer.decode(one.ids)).strip()
                if text:
                    yield _draw(ask, number, text, one, tokens)
                    tokens = (0, 0)
                else:
                    yield Failure(ask.key, (number,), "the answer is empty")


def _draw(ask: Ask, number: int, text: str, one: Sampled, tokens: tuple[int, int]) -> Draw:
    logprobs = tuple(one.logprobs) if ask.request.sampling.logprobs else None
    return Draw(ask.key, number, text, "stop" if one.stopped else "length", logprobs, *tokens)


def _seeds(ask: Ask) -> list[int]:
    """A seed for each sample, of the request's key, seed and number; without a seed in the request, any."""
    seed = ask.request.sampling.seed
    if seed is None:
        return [secrets.randbelow(_SEEDS) for _ in ask.samples]
    return [(int(ask.key[:15], 16) + seed + number) % _SEEDS for number in ask.samples]
