"""A text teacher behind a server, which gives only the most likely words of its distributions (`listed_divergence`).

Every sample is laid out with the teacher's own tokenizer, and the server gets these token ids. So it scores exactly the
response tokens of the student, including those that the student drew.

Shapes: N response tokens, K listed words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from earwise.distil.listed_divergence import Listed
from earwise.distil.skeleton import skeleton
from earwise.distil.teachers import Lack, ListedStates, Shape, TaughtBatch, shape_of
from earwise.errors import InputError
from earwise.models.layout import Layout, LayoutBuilder
from earwise.models.sample import Sample
from earwise.models.states import Wants
from earwise.recipe.terms import TeacherServer
from earwise.records import View
from earwise.traces.calls import Server
from earwise.traces.scoring import Scorer, Scoring, ScoringEngine, Word
from earwise.work.ranks import own_file, process_count, process_rank, wait_for_others

_LISTED: Final = Wants(hidden=False)


@dataclass
class ListedBatch:
    """Scores of some samples."""

    listed: Listed
    targets: Tensor
    """(N,) the response tokens."""

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""
        self.listed, self.targets = Listed(*(part.to(device) for part in self.listed)), self.targets.to(device)
        return self


class ServerTeacher:
    """A teacher for the term `logits` only. The scorer's store keeps every score, so nothing is scored twice.

    Args:
        scorer: asks the server.
        settings: of the server.
    """

    def __init__(self, scorer: Scorer, settings: TeacherServer) -> None:
        self._scorer, self._settings = scorer, settings
        self._family = skeleton(settings.tokenizer or settings.model)
        self._layouts = LayoutBuilder(self._family, None)
        self._texts: dict[str, int | None] = {}

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The teacher's tokenizer."""
        return self._family.tokenizer

    @property
    def shape(self) -> Shape:
        """The teacher's decoder."""
        return shape_of(self._family)

    @property
    def head(self) -> Tensor:
        """(0, 0): a server gives no weights."""
        return torch.empty(0, 0)

    @property
    def vocabulary(self) -> int:
        """Rows of the server's softmax that belong to tokens."""
        return self._family.vocabulary

    @property
    def norm(self) -> nn.Module:
        """The identity: a server gives no states."""
        return nn.Identity()

    def prepare(self, samples: Sequence[Sample], view: View, say: Callable[[str], None]) -> None:
        """Have all `samples` scored before training. With several processes, each calls this and scores its share.
        `say` receives how much probability the listed words cover. Raises `InputError` as `Scorer.score`.
        """
        share = samples[process_rank() :: process_count()]
        pieces = [piece for sample in share for piece in self._pieces(sample, self._layout(sample, view))]
        scored = self._scorer.score(pieces)
        wait_for_others()
        self._scorer.look()
        masses = [sum(math.exp(value) for _, value in words) for one in scored for words in one.listed]
        if masses:
            mean, least = 100 * sum(masses) / len(masses), 100 * min(masses)
            say(
                f"{self._settings.model}: the listed words have {mean:.2f} % of the probability, at least {least:.2f} %"
            )

    def collate(self, samples: Sequence[Sample], view: View) -> ListedBatch:
        """Scores of `samples`; asks for those that are not stored yet. Raises `InputError` as `Scorer.score`."""
        layouts = [self._layout(sample, view) for sample in samples]
        pieces = [piece for pair in zip(samples, layouts, strict=True) for piece in self._pieces(*pair)]
        rows = [self._row(words) for one in self._scorer.score(pieces) for words in one.listed]
        targets = [layout.ids[i] for layout in layouts for i in layout.response]
        return ListedBatch(_padded(rows), torch.tensor(targets, dtype=torch.long))

    def lacks(self, wants: Wants) -> Lack | None:
        """Everything except listed words."""
        if wants == _LISTED:
            return None
        what = "reads hidden states, and a server gives log-probabilities only"
        return Lack(what, "name a model in place of the server")

    def states(self, batch: TaughtBatch, wants: Wants) -> ListedStates:
        """What the server listed."""
        assert isinstance(batch, ListedBatch)
        assert self.lacks(wants) is None
        return ListedStates(batch.listed, batch.targets)

    def _layout(self, sample: Sample, view: View) -> Layout:
        layout = self._layouts.build(sample, view, answers=True)
        if not layout.response:
            raise InputError("the response has no tokens", record=sample.key)
        return layout

    def _pieces(self, sample: Sample, layout: Layout) -> Iterator[Scoring]:
        """Requests for a layout: all of it, or each independent turn after the shared tokens."""
        starts = layout.starts or (0,)
        shown = layout.ids[: starts[0]]
        for start, stop in zip(starts, (*starts[1:], len(layout)), strict=True):
            inside = [i for i in layout.response if start <= i < stop]
            ids = (*shown, *layout.ids[start:stop])
            places = tuple(i - start + len(shown) for i in inside)
            texts = tuple(str(self.tokenizer.decode([ids[place]])) for place in places)
            yield Scoring(sample.key, ids, places, texts, self._settings.top_k, self._settings.reply)

    def _row(self, words: Sequence[tuple[Word, float]]) -> dict[int, float]:
        """Log-probabilities by token id. A text that is not a single token is left out, and so belongs to the rest."""
        row: dict[int, float] = {}
        for word, logprob in words:
            known = self._id(word) if isinstance(word, str) else word
            if known is not None:
                row.setdefault(known, logprob)
        return row

    def _id(self, text: str) -> int | None:
        """The only token with this text; None if there is none, or several."""
        if not self._texts:
            for number in range(len(self.tokenizer)):
                own = str(self.tokenizer.decode([number]))
                self._texts[own] = None if own in self._texts else number
        return self._texts.get(text)


def _padded(rows: Sequence[dict[int, float]]) -> Listed:
    longest = max(map(len, rows), default=0)
    ids = torch.full((len(rows), longest), -1, dtype=torch.long)
    logprobs = torch.full((len(rows), longest), -math.inf, dtype=torch.float64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(list(row))
        logprobs[number, : len(row)] = torch.tensor(list(row.values()), dtype=torch.float64)
    return Listed(ids, logprobs)


@contextmanager
def open_server_teacher(settings: TeacherServer, folder: Path) -> Iterator[ServerTeacher]:
    """The teacher behind a server. Its scores are stored in `folder`, and serve every training run that shows the same
    tokens to a model of this name.
    """
    server = Server(
        settings.base_url,
        settings.model,
        api_key_env=settings.api_key_env,
        concurrency=settings.concurrency,
        timeout_s=settings.timeout_s,
        max_attempts=settings.max_attempts,
    )
    name = re.sub(r"[^\w.-]+", "_", settings.model)

    def beside() -> list[Path]:
        return sorted(path for path in folder.glob(f"{name}*.jsonl") if _is_of(path, name))

    with Scorer(ScoringEngine(server), own_file(folder / f"{name}.jsonl"), beside) as scorer:
        yield ServerTeacher(scorer, settings)


def _is_of(path: Path, name: str) -> bool:
    """Whether `path` is `own_file(name)` of some process, and not of a model whose name begins with `name`."""
    return re.fullmatch(rf"{re.escape(name)}(@\d+)?\.jsonl", path.name) is not None
