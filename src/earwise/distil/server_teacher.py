"""A text teacher behind a server: of its distributions only the likeliest words are known (`distil.listed_divergence`).

Every sample is laid out with the teacher's own tokenizer, and the server is given these token ids, so that nothing is
cut anew: what it scores is, token by token, what the student answered, also where the student drew it.

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
        """Move everything to `device`."""
        self.listed, self.targets = Listed(*(part.to(device) for part in self.listed)), self.targets.to(device)
        return self


class ServerTeacher:
    """A teacher that only `logits` can learn from. What the server scored once is in the scorer's store.

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
        """The teacher's words."""
        return self._family.tokenizer

    @property
    def shape(self) -> Shape:
        """The teacher's decoder, of which no state is ever seen."""
        return shape_of(self._family)

    @property
    def head(self) -> Tensor:
        """(0, 0): a server gives no weights."""
        return torch.empty(0, 0)

    @property
    def vocabulary(self) -> int:
        """Rows of the server's softmax that are words."""
        return self._family.vocabulary

    @property
    def norm(self) -> nn.Module:
        """Nothing: a server gives no states."""
        return nn.Identity()

    def prepare(self, samples: Sequence[Sample], view: View, say: Callable[[str], None]) -> None:
        """Have all `samples` scored before the training, each once. Of several processes, all call this, and each asks
        for its share.

        `say` is told how much of the probability the listed words have. Raises `InputError` as `Scorer.score`.
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
        """Scores of `samples`; those that are not in the store are asked for. Raises `InputError` as `Scorer.score`."""
        layouts = [self._layout(sample, view) for sample in samples]
        pieces = [piece for pair in zip(samples, layouts, strict=True) for piece in self._pieces(*pair)]
        rows = [self._row(words) for one in self._scorer.score(pieces) for words in one.listed]
        targets = [layout.ids[i] for layout in layouts for i in layout.response]
        return ListedBatch(_padded(rows), torch.tensor(targets, dtype=torch.long))

    def lacks(self, wants: Wants) -> Lack | None:
        """Everything but listed words."""
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
        """What is sent of a layout: all of it, or each independent turn after what all turns see."""
        starts = layout.starts or (0,)
        shown = layout.ids[: starts[0]]
        for start, stop in zip(starts, (*starts[1:], len(layout)), strict=True):
            inside = [i for i in layout.response if start <= i < stop]
            ids = (*shown, *layout.ids[start:stop])
            places = tuple(i - start + len(shown) for i in inside)
            texts = tuple(str(self.tokenizer.decode([ids[place]])) for place in places)
            yield Scoring(sample.key, ids, places, texts, self._settings.top_k, self._settings.reply)

    def _row(self, words: Sequence[tuple[Word, float]]) -> dict[int, float]:
        """Listed words by id. A text that is no single word of the tokenizer is left in the rest."""
        row: dict[int, float] = {}
        for word, logprob in words:
            known = self._id(word) if isinstance(word, str) else word
            if known is not None:
                row.setdefault(known, logprob)
        return row

    def _id(self, text: str) -> int | None:
        """The only word with this text; None where there is none, or several."""
        if not self._texts:
            for number in range(len(self.tokenizer)):
                own = str(self.tokenizer.decode([number]))
                self._texts[own] = None if own in self._texts else number
        return self._texts.get(text)


def _padded(rows: Sequence[dict[int, float]]) -> Listed:
    """Rows of different lengths as tensors."""
    longest = max(map(len, rows), default=0)
    ids = torch.full((len(rows), longest), -1, dtype=torch.long)
    logprobs = torch.full((len(rows), longest), -math.inf, dtype=torch.float64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(list(row))
        logprobs[number, : len(row)] = torch.tensor(list(row.values()), dtype=torch.float64)
    return Listed(ids, logprobs)


@contextmanager
def open_server_teacher(settings: TeacherServer, folder: Path) -> Iterator[ServerTeacher]:
    """The teacher that a table of a recipe names. Its scores are kept in `folder`, found again by what was asked: they
    serve every training that shows the same tokens to a server's model of this name.
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
    """Whether a file is `own_file` of some process, and not of a model whose name begins alike."""
    return re.fullmatch(rf"{re.escape(name)}(@\d+)?\.jsonl", path.name) is not None
