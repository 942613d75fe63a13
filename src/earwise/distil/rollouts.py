"""Sources of completions: the student with its current weights, or a server.

Shapes: B prompts, G completions of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from earwise.models.batch import collate
from earwise.models.layout import Layout
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.records import Item
from earwise.traces.client import Client
from earwise.traces.local_sampling import Sampled, sample
from earwise.traces.requests import Message, Request, Response, Sampling

_PROMPT: Final = "prompt"
_SEEDS: Final = 2**31
"""Every server accepts seeds below this."""


@dataclass(frozen=True)
class Prompt:
    """A sample as the student sees it, up to the beginning of its answer."""

    sample: Sample
    layout: Layout

    @property
    def item(self) -> Item:
        """The only question of the sample."""
        return self.sample.turns[0].item


@dataclass(frozen=True)
class Completion:
    """One drawn answer."""

    ids: tuple[int, ...]
    """Its tokens, at least one, with the end-of-turn token if the policy ended the answer."""
    text: str
    """Its text, without the end-of-turn token."""
    ended: bool
    """Whether the policy ended it, not the token limit."""


class RolloutSource(Protocol):
    """Draws completions; the same for the same prompts, seeds and weights."""

    def draw(self, prompts: Sequence[Prompt], seeds: Sequence[int], group: int) -> list[list[Completion]]:
        """`group` completions of each prompt, the i-th with seed `seeds[b] + i`; fewer if some requests failed."""


def seed_of(seed: int, step: int, position: int) -> int:
    """The first seed of the prompt at `position` of a step's global batch. The position counts over accumulation and
    processes, so completions do not depend on how the batch is divided.
    """
    digest = hashlib.sha256(f"{seed}/{step}/{position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEEDS


class LocalRollouts:
    """Completions by the student itself. Each prompt is computed once for all its completions. Media placeholders and
    padding are never drawn (`traces.local_sampling`); dropout is off.
    """

    def __init__(self, model: OmniModel, *, max_tokens: int, temperature: float) -> None:
        self._model = model
        self._sampling = Sampling(max_tokens=max_tokens, temperature=temperature)

    def draw(self, prompts: Sequence[Prompt], seeds: Sequence[int], group: int) -> list[list[Completion]]:
        """See `RolloutSource.draw`."""
        family, training = self._model.family, self._model.training
        batch = collate({_PROMPT: [prompt.layout for prompt in prompts]}, family, share_prefix=False)
        self._model.eval()
        try:
            rows = [[seed + number for number in range(group)] for seed in seeds]
            drawn = sample(self._model, batch.to(self._model.device).views[_PROMPT], rows, self._sampling)
        finally:
            self._model.train(training)
        done = [self._completion(one) for one in drawn]
        return [done[start : start + group] for start in range(0, len(done), group)]

    def _completion(self, drawn: Sampled) -> Completion:
        ids = (*drawn.ids, *(() if drawn.stop_id is None else (drawn.stop_id,)))
        return Completion(ids, str(self._model.family.tokenizer.decode(drawn.ids)).strip(), drawn.stopped)


class ServerRollouts:
    """Completions by a server, through `earwise.traces.client`.

    The server keeps the weights that it was started with, unless somebody loads the student's. So completions are
    off-policy from the first update on, and nothing corrects for that. The ratio of the loss uses the student's own
    log-probabilities before the update, because a server's are rounded, truncated and use another tokenisation. Keep
    such training runs short, and watch the KL.

    Token ids are those of the text in the student's tokenizer, special tokens as plain characters. They can differ from
    those that the server drew.

    Args:
        client: asks the server; a resumed training run finds the same completions in its store.
        model: the student.
        prompt: how an item is shown to the server.
    """

    def __init__(
        self,
        client: Client,
        model: OmniModel,
        prompt: Callable[[Item], tuple[Message, ...]],
        *,
        max_tokens: int,
        temperature: float,
    ) -> None:
        self._client, self._model, self._prompt = client, model, prompt
        self._max_tokens, self._temperature = max_tokens, temperature

    def draw(self, prompts: Sequence[Prompt], seeds: Sequence[int], group: int) -> list[list[Completion]]:
        """See `RolloutSource.draw`. Unanswered requests are left out; the objective counts them."""
        requests = [
            Request(prompt.item.id, self._prompt(prompt.item), Sampling(self._max_tokens, self._temperature, seed=seed),
                    group)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]  # fmt: skip
        answered = self._client.complete(requests, f"drawing {group} answers to {len(prompts)} prompts")
        return [[self._completion(response) for response in one.responses if response is not None] for one in answered]

    def _completion(self, response: Response) -> Completion:
        family = self._model.family
        text, ended = response.text.strip(), response.finish_reason == "stop"
        ids = family.words.alone(text)
        return Completion((*ids, *((self._end(),) if ended or not ids else ())), text, ended)

    def _end(self) -> int:
        """The token that ends a turn in the student's chat template."""
        family = self._model.family
        text = family.render(["?"], ["!"], 0)
        after = family.words.split(text[text.rindex("!") + 1 :])
        ids = (family.words.id_of(part) for part, special in after if special)
        return next(token for token in ids if token in family.stop_ids)
